"""Bootstrap: from a bare VPS to a checked stack, by the commands that there are, in their order.

``HOST=root@203.0.113.7 ZONE=example.com EMAIL=ops@example.com python -m tasks.commands.bootstrap``. What is not said is asked;
YES=1 asks nothing. Again it goes on where it was: files, host key, bucket and host are what they have to be, or become it.
"""

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from tasks.commands import answers, described, leading, look, overheard, trusting, written
from tasks.commands.answers import say
from tasks.commands.described import Described
from tasks.commands.look import Look
from tasks.connection import confirm
from tasks.connection.exit_code import INTERRUPTED
from tasks.connection.said import Said
from tasks.model import rotation, settings
from tasks.model.targets import target
from tasks.rendering.templates import HOME
from tasks.run import Refused
from tasks.services import every, load

_KIT = "~/smarteros-kit.json"
# What a run says of a host that it does not come to (tasks/connection) → what helps here.
_HINTS = {
    "it accepts none of the keys": "ssh-copy-id brings one there. ",
    "sudo does not let": "Here nobody gives a password: this and all targets after it want sudo without one. ",
}


def main() -> None:
    """Ends with exit code 0 when the stack does what its users want."""
    try:
        name = answers.given(os.environ).name
        Bootstrap(HOME, f"inventories/{name}.py", name).run()
    except (Refused, Said) as error:
        sys.exit(f"bootstrap: {error}")
    except KeyboardInterrupt:
        say("ended; the same command goes on where it was")
        sys.exit(INTERRUPTED)


@dataclass(frozen=True)
class Bootstrap:
    """Of one inventory. home: the repository. file: the inventory's, as messages name it."""

    home: Path
    file: str
    name: str

    def run(self) -> None:
        """The command. Raises Refused."""
        found = described.described(self.home, answers.given(os.environ), answers.asked)
        # Answers that hold for any host come first: who ends it at the host's key is not asked for them again.
        self._write(found, "group_data")
        if found.login:
            trusting.noted(found)
        self._write(found, "inventories")
        found, seen = self._looked(found)
        leading.led(found, seen, self._look, self._again())
        kit = self._kit(found)
        self._do("the deploy", "deploy.py", yes=confirm.beforehand())
        if kit:
            self._do(
                "the proof that the kit opens the backups", "tasks.commands.kit_check.run", more={"KIT": kit}
            )
        self._checked(found)
        for line in self._next(found, seen, kit):
            say(line)

    def _write(self, found: Described, folder: str) -> None:
        for path, text in found.files.items():
            if path.parent.name != folder:
                continue
            short = path.relative_to(self.home)
            say(f"{short} is written" if written.keep(path, text) else f"{short} is as it has to be")

    def _looked(self, found: Described) -> tuple[Described, Look]:
        """What the host is; a setting that its system needs is written. Raises Refused."""
        say(f"looking at {found.host}: system, sizes, ports, and where the domains lead")
        seen = self._look()
        if seen.docker_com:
            found = described.changed(self.home, self.name, found, docker_source="docker.com")
            self._write(found, "group_data")
            seen = self._look()
        if seen.refused:
            lines = "\n".join(f"    {line}" for line in seen.refused)
            raise Refused(
                f'{found.host} cannot take this deployment:\n{lines}\n    Fewer services: SERVICES="…" of those that would fit. Then '
                f"{self._again()} goes on"
            )
        return found, seen

    def _look(self) -> Look:
        done = self._pyinfra("tasks.commands.look.run", yes=True, quiet=True)
        seen = look.read(done.stdout)
        if done.returncode or seen is None:
            sys.stderr.write(done.stdout)
            hint = next((hint for said, hint in _HINTS.items() if said in done.stdout), "")
            raise Refused(
                f"{self.file}: the host could not be looked at, as said above: mend that. {hint}{self._again()} goes on"
            )
        return seen

    def _kit(self, found: Described) -> str:
        """Where the kit is, empty without a bucket. Raises Refused."""
        if not found.settings.get("backup"):
            say("no bucket (BUCKET=https://s3.example.com/name): nothing of this host will be backed up")
            return ""
        kit = os.environ.get("KIT") or _KIT
        if Path(kit).expanduser().exists() and not os.environ.get("AWS_ACCESS_KEY_ID"):
            say(f"the kit {kit} is there")
        else:
            self._do("the bucket", "tasks.commands.bucket.run", more={"KIT": kit})
        return kit

    def _checked(self, found: Described) -> None:
        """What users do. Raises Refused."""
        say("doing once what its users do")
        if self._pyinfra("tasks.commands.check.run", yes=True).returncode == 0:
            return
        seen = self._look()
        why = ""
        if seen.elsewhere:
            leading.shown(found, seen)
            why = f" These lead elsewhere, and have no certificate yet: {', '.join(seen.elsewhere)}."
        raise Refused(
            f"{found.host} is deployed, and does not do yet what its users want, as said above.{why} {self._target('check')} tries it "
            f"again, {self._target('status')} says how each service is"
        )

    def _next(self, found: Described, seen: Look, kit: str) -> Iterable[str]:
        """What to do with a stack that works."""
        yield f"{found.host} does what its users want: " + " ".join(
            f"https://{name}/" for name in seen.domains
        )
        yield from self._logins(found)
        state = found.settings.get("state_dir")
        where = "" if found.login else " on another machine"
        yield f"keep a copy of {state}{where}: it has the keys that unseal Vault, and nobody can make them again"
        if kit:
            yield f"keep {kit} elsewhere, too, and on paper: it opens the backups. {self._target('backups')} lists them"
        else:
            yield f"backups: name a bucket, {self._again('BUCKET=https://s3.example.com/name')} (README, Backups)"
        if not found.login:
            yield (
                "sshd is as it was, since nobody could prove from here that a login still works: once a key lets you in, let it take "
                "no passwords (PasswordAuthentication no)"
            )
        yield f"commit {self.file}, group_data/{self.name}.py" + (
            f" and inventories/{found.known_hosts.name}" if found.login else ""
        )
        yield f"from now on: {self._target('status')}, {self._target('plan')}, {self._target('deploy')}"

    def _logins(self, found: Described) -> Iterable[str]:
        """Where passwords are, as far as the chosen services have some."""
        services = load(settings.read(found.settings, every()))
        if any(item.admin for item in services):
            show = "bash /root/generate-secrets.sh show"
            if found.login:
                show = f".venv/bin/pyinfra -y {self.file} exec -- {show}"
            yield f"first logins, once and within 24 hours: {show}"
        if rotation.places(services):
            yield f"each password later: {self._target('secret NAME=…')} (without NAME it lists them)"

    def _do(
        self, what: str, deploy: str, *, yes: bool = True, more: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        if self._pyinfra(deploy, yes=yes, more=more).returncode:
            raise Refused(
                f"{what} did not come to its end, as said above: then {self._again()} goes on where it was"
            )

    def _pyinfra(
        self, deploy: str, *, yes: bool, quiet: bool = False, more: Mapping[str, str] = MappingProxyType({})
    ) -> subprocess.CompletedProcess[str]:
        """As an operator calls it. quiet: what it prints is for us."""
        program = str(Path(sys.executable).with_name("pyinfra"))
        argv = [program, *(["-y"] if yes else []), self.file, deploy]
        with subprocess.Popen(
            argv,
            cwd=self.home,
            env={**os.environ, **more},
            stdout=subprocess.PIPE if quiet else None,
            stderr=subprocess.STDOUT if quiet else None,
            text=True,
        ) as child:
            try:
                said = overheard.printed(child, "looking at it") if quiet else None
                child.wait()
            except KeyboardInterrupt:  # which it has heard as well, and cleans up
                child.communicate()
                raise
        if child.returncode == INTERRUPTED:
            raise KeyboardInterrupt
        return subprocess.CompletedProcess(argv, child.returncode, said)

    def _again(self, *words: str) -> str:
        name = [] if self.name == "prod" else [f"NAME={self.name}"]
        return target(" ".join(["bootstrap", *name, *words]))

    def _target(self, words: str) -> str:
        return target(words, self.file)


if __name__ == "__main__":
    main()
