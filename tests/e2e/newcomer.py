"""Newcomer: `make bootstrap` as somebody runs it who has a clone of this repository, a key that the VPS takes, and nothing else."""

import fcntl
import shutil
import subprocess
import sys
import termios
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.deployment import Deployment, Run, outcomes
from tests.e2e.test_local import working_copy
from tests.faults.commands import Whole
from tests.lab.lab import Lab
from tests.lab.smarteros import ROOT

BOOTSTRAP = (sys.executable, "-m", "tasks.commands.bootstrap")
PYINFRA = str(Path(sys.executable).with_name("pyinfra"))


@dataclass
class Newcomer:
    """A machine with a home folder and the clone below a folder of its own."""

    folder: Path
    lab: Lab

    def __post_init__(self) -> None:
        """No host is known to it."""
        for name in working_copy():
            target = self.clone / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
        ssh = self.home / ".ssh"
        ssh.mkdir(mode=0o700, parents=True)
        shutil.copy(self.lab.state.ssh_key, ssh / "lab")
        (ssh / "config").write_text(f"Host *\n  IdentityFile {ssh / 'lab'}\n  IdentitiesOnly yes\n")

    @property
    def home(self) -> Path:
        """With the key."""
        return self.folder / "home"

    @property
    def clone(self) -> Path:
        """Of this repository."""
        return self.folder / "clone"

    @property
    def settings(self) -> Path:
        """What it writes."""
        return self.clone / "group_data/prod.py"

    def bootstrap(self, typed: str = "", **variables: str) -> Run:
        """One run, with these answers."""
        return self._run(BOOTSTRAP, typed, variables)

    def pyinfra(self, deploy: str, **variables: str) -> Run:
        """One of the targets after it."""
        return self._run((PYINFRA, "-y", "inventories/prod.py", deploy), "", variables)

    def _run(self, argv: Sequence[str], typed: str, variables: Mapping[str, str]) -> Run:
        done = subprocess.run(
            argv,
            cwd=self.clone,
            env=self.environment(variables),
            input=typed,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=1800,
            check=False,
        )
        return Run(done.returncode, done.stdout, *outcomes(done.stdout))

    def under_way(self, variables: Mapping[str, str], stdin: int = subprocess.DEVNULL) -> Whole:
        """One run in a session of its own, its output to be read as it comes; for tests that end it. stdin: where a terminal, its own."""
        terminal = None if stdin == subprocess.DEVNULL else lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        return Whole(
            BOOTSTRAP,
            cwd=self.clone,
            env=self.environment({"PYTHONUNBUFFERED": "1", **variables}),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            preexec_fn=terminal,
        )

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        """Of what it runs."""
        return {"PATH": "/usr/bin:/bin", "HOME": str(self.home), **variables}

    def as_in_the_lab(self, host: Deployment, settings: Path | None = None) -> None:
        """An editor after all: where there is no public authority, and no image of Vault's. settings: another file than its own."""
        lab = {"trusted_root": str(host.lab.acme_root()), "vault_engine": "openbao"}
        if host.lab.description.images == "upstream":
            lab["vault_engine"] = "vault"
            lab["acme_directory"] = "https://acme-v02.api.letsencrypt.org/directory"
            lab["acme_root"] = str(host.lab.state.authority)
        with (settings or self.settings).open("a") as file:
            file.writelines(f"{key} = {value!r}\n" for key, value in lab.items())

    def hand_over(self, host: Deployment) -> None:
        """What this machine keeps of the host goes to where the lab's own inventory looks for it."""
        kept = self.home / ".local/state/smarteros" / host.host.address
        shutil.copytree(kept, host.lab.state.folder / "state" / host.host.name, dirs_exist_ok=True)
