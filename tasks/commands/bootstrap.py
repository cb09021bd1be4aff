"""Bootstrap: from a bare VPS to a checked stack, by the commands that there are, in their order.

``HOST=root@203.0.113.7 ZONE=example.com EMAIL=ops@example.com python -m tasks.commands.bootstrap``. What is not said is asked;
YES=1 asks nothing. Again it goes on where it was: files, host key, bucket and host are what they have to be, or become it.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from tasks.commands import answers, described, look, records, trusting, written
from tasks.commands.answers import say
from tasks.commands.described import Described
from tasks.commands.look import Look
from tasks.connection.said import Said
from tasks.model.targets import target
from tasks.rendering.templates import HOME
from tasks.run import Refused

_KIT = "~/smarteros-kit.json"
_POLL = 10
# Where a host takes none (tasks/connection/connecting.py).
_KEYLESS = "it accepts none of the keys"


def main() -> None:
    """Ends with exit code 0 when the stack does what its users want."""
    try:
        name = answers.given(os.environ).name
        Bootstrap(HOME, f"inventories/{name}.py", name).run()
    except (Refused, Said) as error:
        sys.exit(f"bootstrap: {error}")
    except KeyboardInterrupt:
        sys.exit("bootstrap: ended; the same command goes on where it was")


@dataclass(frozen=True)
class Bootstrap:
    """Of one inventory. home: the repository. file: the inventory's, as messages name it."""

    home: Path
    file: str
    name: str

    def run(self) -> None:
        """The command. Raises Refused."""
        found = described.described(self.home, answers.given(os.environ), answers.asked)
        if found.login:
            trusting.noted(found)
        self._write(found)
        found, seen = self._looked(found)
        self._led(found, seen)
        kit = self._kit(found)
        self._do("the deploy", "deploy.py", yes=answers.silent())
        if kit:
            self._do(
                "the proof that the kit opens the backups", "tasks.commands.kit_check.run", more={"KIT": kit}
            )
        self._checked(found)
        for line in self._next(found, seen, kit):
            say(line)

    def _write(self, found: Described) -> None:
        for path, text in found.files.items():
            short = path.relative_to(self.home)
            say(f"{short} is written" if written.keep(path, text) else f"{short} is as it has to be")

    def _looked(self, found: Described) -> tuple[Described, Look]:
        """What the host is; a setting that its system needs is written. Raises Refused."""
        say(f"looking at {found.host}: system, sizes, ports, and where the domains lead")
        seen = self._look()
        if seen.docker_com:
            found = described.changed(self.home, self.name, found, docker_source="docker.com")
            self._write(found)
            seen = self._look()
        if seen.refused:
            lines = "\n".join(f"    {line}" for line in seen.refused)
            raise Refused(
                f'{found.host} cannot take this deployment:\n{lines}\n    Fewer services: SERVICES="…" of those that would fit. Then '
                f"{self._again()} goes on"
            )
        return found, seen

    def _look(self) -> Look:
        with tempfile.TemporaryDirectory() as folder:
            note = Path(folder) / "look.json"
            done = self._pyinfra("tasks.commands.look.run", yes=True, quiet=True, more={look.NOTE: str(note)})
            if done.returncode or not note.exists():
                sys.stderr.write(done.stdout or "")
                key = "ssh-copy-id brings one there. " if _KEYLESS in done.stdout else ""
                raise Refused(
                    f"{self.file}: the host could not be looked at, as said above: mend that. {key}{self._again()} goes on"
                )
            found = json.loads(note.read_text())
        return Look(**{**found, "refused": tuple(found["refused"]), "domains": tuple(found["domains"])})

    def _led(self, found: Described, seen: Look) -> None:
        """The records that are missing, waited for where that is wanted. Raises Refused when they do not come."""
        right = len(seen.domains) - len(seen.elsewhere)
        say(f"{right} of {len(seen.domains)} domains lead to {found.host}" if seen.domains else "no domains")
        lines = list(records.records(seen, found.settings.get("mail")))
        if lines:
            say(f"DNS, to paste into the zones' files{_ABOUT_6}:")
            sys.stderr.write("".join(f"{line}\n" for line in lines))
        if not seen.elsewhere:
            return
        minutes = _minutes()
        deadline = time.monotonic() + minutes * 60
        while seen.elsewhere and time.monotonic() < deadline:
            time.sleep(_POLL)
            before, seen = len(seen.elsewhere), self._look()
            if len(seen.elsewhere) != before:
                say(f"{len(seen.domains) - len(seen.elsewhere)} of {len(seen.domains)} domains lead there")
        if minutes and seen.elsewhere:
            raise Refused(
                f"after {minutes:g} minutes {', '.join(seen.elsewhere)} did not lead to {found.host}: {self._again()} goes on "
                "once they do; WAIT=0 goes on without"
            )
        if seen.elsewhere:
            say("going on without: each domain gets its certificate once its record is right")

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
        missing = self._look().elsewhere
        why = f" These lead elsewhere, and have no certificate yet: {', '.join(missing)}." if missing else ""
        raise Refused(
            f"{found.host} is deployed, and does not do yet what its users want, as said above.{why} {self._target('check')} tries it "
            f"again, {self._target('status')} says how each service is"
        )

    def _next(self, found: Described, seen: Look, kit: str) -> Iterable[str]:
        """What to do with a stack that works."""
        show = "bash /root/generate-secrets.sh show"
        if found.login:
            show = f".venv/bin/pyinfra -y {self.file} exec -- {show}"
        yield f"{found.host} does what its users want: " + " ".join(
            f"https://{name}/" for name in seen.domains
        )
        yield f"first logins, once and within 24 hours: {show}"
        yield f"each password later: {self._target('secret NAME=…')} (NAME alone lists them)"
        state = found.settings.get("state_dir")
        yield f"keep a copy of {state}: it has the keys that unseal Vault, and nobody can make them again"
        if kit:
            yield f"keep {kit} elsewhere, too, and on paper: it opens the backups. {self._target('backups')} lists them"
        else:
            yield f"backups: name a bucket, {self._again('BUCKET=https://s3.example.com/name')} (README, Backups)"
        yield f"commit {self.file}, group_data/{self.name}.py" + (
            f" and inventories/{found.known_hosts.name}" if found.login else ""
        )
        yield f"from now on: {self._target('status')}, {self._target('plan')}, {self._target('deploy')}"

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
        return subprocess.run(
            [program, *(["-y"] if yes else []), self.file, deploy],
            cwd=self.home,
            env={**os.environ, **more},
            stdout=subprocess.PIPE if quiet else None,
            stderr=subprocess.STDOUT if quiet else None,
            text=True,
            check=False,
        )

    def _again(self, *words: str) -> str:
        name = [] if self.name == "prod" else [f"NAME={self.name}"]
        return target(" ".join(["bootstrap", *name, *words]))

    def _target(self, words: str) -> str:
        return target(words, self.file)


_ABOUT_6 = " (no AAAA: the services would take all who come over IPv6 for one visitor)"


def _minutes() -> float:
    """How long the records are waited for. Raises Refused."""
    text = os.environ.get("WAIT", "").strip()
    if not text and not answers.silent():
        text = answers.asked("WAIT", "Minutes to wait for them (Enter: go on without)")
    try:
        return max(float(text or 0), 0)
    except ValueError:
        raise Refused(f"WAIT={text!r}: say it in minutes, as WAIT=30") from None


if __name__ == "__main__":
    main()
