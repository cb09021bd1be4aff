"""Recovering: `make recover` as somebody runs it who has this repository, the kit, and a new VPS."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.backed import Backed
from tests.e2e.deployment import Deployment, Run, outcomes
from tests.lab.smarteros import ROOT

INVENTORY = "inventories/recovered.py"


@dataclass
class Operator:
    """A machine that has deployed nothing yet: a home folder with a key for SSH."""

    home: Path
    backed: Backed

    def __post_init__(self) -> None:
        """Logs in to every host of the lab."""
        folder, lab = self.home / ".ssh", self.backed.host.lab.state
        folder.mkdir(mode=0o700, parents=True)
        shutil.copy(lab.ssh_key, folder / "lab")
        (folder / "config").write_text(f"Host *\n  IdentityFile {folder / 'lab'}\n  IdentitiesOnly yes\n")
        self.meets()

    def meets(self) -> None:
        """Hosts that the lab knows by now."""
        shutil.copy(self.backed.host.lab.state.known_hosts, self.home / ".ssh" / "known_hosts")

    def recover(self, host: Deployment, kit: Path | None = None, **environment: str) -> Run:
        """Onto that host."""
        self.meets()
        place = f"root@{host.host.address}"
        words = {"HOST": place, "KIT": str(kit or self.backed.path), **environment}
        return self._run([sys.executable, "-m", "tasks.commands.recover"], words)

    def pyinfra(self, *words: str) -> Run:
        """With the settings that were in the bucket."""
        program = str(Path(sys.executable).with_name("pyinfra"))
        return self._run([program, "-y", INVENTORY, *words], {})

    def _run(self, argv: list[str], environment: dict[str, str]) -> Run:
        done = subprocess.run(
            argv,
            cwd=ROOT,
            env={
                "PATH": "/usr/bin:/bin",
                "HOME": str(self.home),
                **self.backed.host.lab.names,
                **environment,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=1200,
            check=False,
        )
        return Run(done.returncode, done.stdout, *outcomes(done.stdout))
