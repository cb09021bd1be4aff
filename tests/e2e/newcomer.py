"""Newcomer: `make bootstrap` as somebody runs it who has a clone of this repository, a key that the VPS takes, and nothing else."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.deployment import Deployment, Run, outcomes
from tests.e2e.test_local import working_copy
from tests.lab.lab import Lab
from tests.lab.smarteros import ROOT


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
        done = subprocess.run(
            [sys.executable, "-m", "tasks.commands.bootstrap"],
            cwd=self.clone,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.home), **variables},
            input=typed,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=1800,
            check=False,
        )
        return Run(done.returncode, done.stdout, *outcomes(done.stdout))

    def as_in_the_lab(self, host: Deployment) -> None:
        """An editor after all: where there is no public authority, and no image of Vault's."""
        lab = {"trusted_root": str(host.lab.acme_root()), "vault_engine": "openbao"}
        if host.lab.description.images == "upstream":
            lab["vault_engine"] = "vault"
            lab["acme_directory"] = "https://acme-v02.api.letsencrypt.org/directory"
            lab["acme_root"] = str(host.lab.state.authority)
        with self.settings.open("a") as file:
            file.writelines(f"{key} = {value!r}\n" for key, value in lab.items())

    def hand_over(self, host: Deployment) -> None:
        """What this machine keeps of the host goes to where the lab's own inventory looks for it."""
        kept = self.home / ".local/state/smarteros" / host.host.address
        shutil.copytree(kept, host.lab.state.folder / "state" / host.host.name, dirs_exist_ok=True)
