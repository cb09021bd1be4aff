"""Bootstrapping: `make bootstrap` of a bare host is ended again and again, each time further on; the next run goes on, and the last one ends
as one that was never disturbed.

Where it can be killed on this machine stands in writes/sitecustomize.py: before and after each file that it writes.
"""

import os
import pty
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from random import Random
from typing import Any

from tasks.clients import bucket_key
from tasks.clients.bucket import Bucket
from tasks.model.stack import Backup
from tests.e2e.deployment import Deployment
from tests.e2e.newcomer import Newcomer
from tests.faults import proof, state
from tests.faults.commands import DRIFT
from tests.faults.course import DURING, Step, counted, killed, points, sample
from tests.faults.proof import AGAIN, LIGHT
from tests.faults.state import State
from tests.lab import addresses, network, s3, smarteros
from tests.lab.lab import Lab
from tests.signals import heard

_NAME = "bootstrapped"
# n8n has a page that is long enough to come compressed, as the check wants one.
_SERVICES = (*LIGHT["services"], "n8n")
_WRITES = Path(__file__).with_name("writes")
# Where runs leave what they do not need any more, there; Docker notes each build in its own folder, and containerd's shim leaves the
# request of a health check whose container is ended meanwhile. Those of systemd's are of units that are at work as one looks.
_LOOK = "find /tmp /var/tmp /dev/shm /run/smarteros /root -mindepth 1 ! -path '/root/repos*' ! -path '/root/.docker*' ! -name 'runc-process*' ! -path '*/systemd-private-*' -printf '%p %m %u\\n' | sort"
_OWN = re.compile(r"(?<=[.-])\w{6}(?=[ /])|[0-9a-f]{16,}|\d{5,}")
# Seconds: more than a run takes that has lost its host, or has to remove what it has made.
_PATIENCE = 240
_ANSWERS = ("HOST", "ZONE", "MIRRORS", "EMAIL", "SERVICES", "BUCKET", "BUCKET_ROOT", "FINGERPRINT")
# Of a program's output: where it asks the host what it is, and where it does what users do.
_QUIET = ("bootstrap: looking at", "bootstrap: doing once what its users do")


@dataclass
class Program:
    """`make bootstrap` with every answer in a variable, from a terminal."""

    newcomer: Newcomer
    words: Mapping[str, str]
    terminal: int = -1

    def under_way(self, **_: Any) -> subprocess.Popen[str]:
        """Its output to be read as it comes."""
        self.hang_up()
        self.terminal, inside = pty.openpty()
        with heard():
            process = self.newcomer.under_way(self.words, inside)
        os.close(inside)
        return process

    def interrupt(self) -> None:
        """Ctrl-C is typed."""
        os.write(self.terminal, b"\x03")

    def hang_up(self) -> None:
        """The terminal is closed, if there is one."""
        if self.terminal != -1:
            os.close(self.terminal)
        self.terminal = -1


@dataclass(frozen=True)
class Seen:
    """What is there afterwards. files: that it has written for people, as they are. here: all below the newcomer's folder, with its mode.
    there: the same of the host's places for what passes. bucket: who has a key for it, and what it holds.
    """

    files: Mapping[str, str]
    here: Mapping[str, str]
    there: Collection[str]
    bucket: Sequence[str]
    host: State


@dataclass
class Trial:
    """A bare host, an empty bucket, and a newcomer."""

    lab: Lab
    folder: Path
    faults: Path
    # Points where a run was killed as it wrote.
    killed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """All of it is made."""
        self.host = Deployment(self.lab, self.lab.add_host(_NAME))
        self.lab.point(smarteros.domains(), self.host.host)
        if there := network.find(self.lab.client, self.lab.state.key, "s3"):
            there.remove(force=True, v=True)
        self.bucket = self.lab.bucket(_NAME)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.newcomer = Newcomer(self.folder, self.lab)
        self.newcomer.as_in_the_lab(self.host, self.newcomer.clone / "group_data/all.py")
        (self.folder / "tmp").mkdir()
        self.program = Program(self.newcomer, self._words())
        self.follow(None)

    def _words(self) -> dict[str, str]:
        root = self.folder / "root.pem"
        root.write_text(self.bucket["root"])
        key = self.host.sh("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub").split()[1]
        return {
            **self.lab.names,
            "PYTHONPATH": str(_WRITES),
            "SMARTEROS_FAULTS": str(self.faults),
            "TMPDIR": str(self.folder / "tmp"),
            "HOST": f"root@{self.host.host.address}",
            "ZONE": "smarterbot.cl",
            "MIRRORS": "smarterbot.store",
            "EMAIL": "ops@smarterbot.cl",
            "SERVICES": " ".join(_SERVICES),
            "BUCKET": f"{self.bucket['endpoint']}/{self.bucket['bucket']}",
            "BUCKET_ROOT": str(root),
            "AWS_ACCESS_KEY_ID": s3.ADMIN[0],
            "AWS_SECRET_ACCESS_KEY": s3.ADMIN[1],
            "FINGERPRINT": key,
            "YES": "1",
        }

    def follow(self, wanted: Collection[str] | None) -> None:
        """From now on a run is killed at the first write where none was, and only at these, if there are any; at none with None."""
        shutil.rmtree(self.faults, ignore_errors=True)
        self.faults.mkdir()
        (self.faults / "below").write_text(str(self.folder.resolve()))
        (self.faults / "wanted").write_text("".join(f"{point}\n" for point in wanted or ()))
        for name in ("course", "ended", *(["armed"] if wanted is not None else [])):
            (self.faults / name).touch()
        self.killed = []

    def writes(self) -> list[str]:
        """What the runs so far have passed, in order."""
        return list(dict.fromkeys((self.faults / "course").read_text().splitlines()))

    def was_killed(self) -> str:
        """Where the last run was killed as it wrote; empty where it was not."""
        fresh = (self.faults / "ended").read_text().splitlines()[len(self.killed) :]
        self.killed += fresh
        return fresh[-1] if fresh else ""

    def ends(self, point: object) -> None:
        """The same command again goes through."""
        with self.program.under_way() as process:
            said, _ = process.communicate(timeout=1200)
        assert process.returncode == 0, (
            f"after {point} the same command ends with {process.returncode}\n{said[-6000:]}"
        )

    def asks_nothing_again(self) -> None:
        """What was answered once is known: without a single answer it goes through, too."""
        words = {name: value for name, value in self.program.words.items() if name not in _ANSWERS}
        run = self.newcomer.bootstrap(**words)
        assert (run.code, run.changes) == (0, []), f"without answers: {run.changes}\n{run.output[-6000:]}"

    def secrets(self) -> dict[str, str]:
        """All that Vault holds so far."""
        if not (self.newcomer.home / ".local/state/smarteros" / self.host.host.address).exists():
            return {}
        self.newcomer.hand_over(self.host)
        return state.secrets(self.host)

    def seen(self) -> Seen:
        """As it is now; a deploy then finds nothing to do."""
        again = self.newcomer.pyinfra("deploy.py", **self.program.words)
        assert (again.code, again.changes) == (0, []), (
            f"a deploy afterwards: {again.changes}\n{again.output[-6000:]}"
        )
        drift = self.newcomer.pyinfra(DRIFT, **self.program.words)
        assert drift.code == 0, drift.output[-4000:]
        self.newcomer.hand_over(self.host)
        return Seen(self._files(), self._here(), self._there(), self._bucket(), state.read(self.host))

    def _files(self) -> dict[str, str]:
        key = self.host.sh("cut -d' ' -f2 /etc/ssh/ssh_host_*_key.pub").split()
        found = {
            f"{path.parent.name}/{path.name}": path.read_text()
            for folder in ("inventories", "group_data")
            for path in (self.newcomer.clone / folder).glob("*")
            if path.is_file()
        }
        for part in key:
            found = {name: text.replace(part, "KEY") for name, text in found.items()}
        return found

    def _here(self) -> dict[str, str]:
        paths = [path for path in self.folder.rglob("*") if "__pycache__" not in path.parts]
        return {str(path.relative_to(self.folder)): f"{path.stat().st_mode:o}" for path in paths}

    def _there(self) -> set[str]:
        return {_OWN.sub("…", line) for line in self.host.sh(_LOOK).splitlines()}

    def _bucket(self) -> list[str]:
        with s3.reached(addresses.address(self.lab.description.subnet, addresses.S3)):
            admin = Bucket(Backup.model_validate(self.bucket), *s3.ADMIN)
            user = bucket_key.user(admin.place.bucket)
            keys = admin.client("iam", admin.place.endpoint).list_access_keys(UserName=user)[
                "AccessKeyMetadata"
            ]
            return [f"{len(keys)} keys of {user}", *sorted(admin.folders()), *admin.keys("trial/")]

    def remove(self) -> None:
        """The host is gone."""
        proof.remove(self.host)


class Bootstrapping:
    """Chains, each on a bare host of its own. count: so many points of each; all without."""

    def __init__(self, lab: Lab, folder: Path, chance: Random, count: int | None) -> None:
        smarteros.prepare(lab, [_NAME])
        lab.remove_host(_NAME)
        self.lab, self.folder, self.chance, self.count = lab, folder, chance, count

    def all(self) -> int:
        """How much did not hold."""
        trial = self._trial()
        steps = counted(trial.program)
        writes = trial.writes()
        clean = trial.seen()
        trial.remove()
        print(f"clean: {len(steps)} operations, {len(writes)} points of writing", flush=True)
        chains: dict[str, Callable[[Trial], Iterator[object]]] = {
            "writes": lambda trial: self._writes(trial, writes),
            "operations": lambda trial: self._operations(trial, steps),
            "other ends": lambda trial: self._others(trial, steps),
        }
        return sum(self._holds(name, chain, clean) for name, chain in chains.items())

    def _trial(self) -> Trial:
        return Trial(self.lab, self.folder / "newcomer", self.folder / "faults")

    def _holds(self, name: str, chain: Callable[[Trial], Iterator[object]], clean: Seen) -> int:
        """1 where it did not."""
        trial, many, point, secrets = self._trial(), 0, object(), dict[str, str]()
        try:
            for point in chain(trial):
                many += 1
                print(f"ended {point}", flush=True)
                found = trial.secrets()
                changed = state.lost(secrets, found) if found else []
                assert changed == [], f"{point}: {changed}"
                secrets |= found
            trial.follow(None)
            trial.ends(point)
            trial.asks_nothing_again()
            seen = trial.seen()
            same(clean, seen)
            assert (changed := state.lost(secrets, seen.host.own)) == [], changed
        except AssertionError as error:
            print(f"FAIL  bootstrap, {name}, {many} times ended\n{error}", flush=True)
            return 1
        finally:
            trial.remove()
        print(f"ok    bootstrap, {name}: ended {many} times, then as a clean one", flush=True)
        return 0

    def _writes(self, trial: Trial, writes: Sequence[str]) -> Iterator[object]:
        """Until one is not killed."""
        chosen = self.chance.sample(writes, min(self.count, len(writes))) if self.count else []
        trial.follow(chosen)
        while True:
            with trial.program.under_way() as process:
                said, _ = process.communicate(timeout=1200)
            point = trial.was_killed()
            if not point:
                assert process.returncode == 0, (
                    f"{trial.killed[-1:]}: one re-run did not end it:\n{said[-6000:]}"
                )
                return
            assert process.returncode == -9, (point, said[-6000:])
            yield point

    def _operations(self, trial: Trial, steps: list[Step]) -> Iterator[object]:
        """What was brought to its end is not done again."""
        every, done = points(steps, self.chance), set[str]()
        for point in sample(every, self.chance, self.count) if self.count else every:
            run = killed(trial.program, point)
            again = [name for name in run.changes if name in done - AGAIN]
            assert again == [], f"{point}: done before, and again: {again}\n{run.text}"
            done |= {run.begun[number] for number in run.ended}
            yield point

    def _others(self, trial: Trial, steps: list[Step]) -> Iterator[object]:
        """By Ctrl-C, a closed terminal and a lost line, in turns."""
        every = [point for point in points(steps, self.chance) if point.moment == DURING]
        ways = (self._interrupted, self._hung_up, self._cut_off)
        chosen: list[tuple[str, float]] = [(_QUIET[0], self.chance.uniform(0.5, 3)) for _ in ways]
        chosen += [
            (f"--> Starting operation: {point.step.name}", point.seconds)
            for point in sample(every, self.chance, self.count or 9)
        ]
        chosen += [(_QUIET[1], self.chance.uniform(0.5, 3)) for _ in ways]
        for (line, seconds), way in zip(chosen, cycle(ways), strict=False):
            if self._came(trial.program, line, seconds, way):
                yield f"{way.__doc__} at {line} (+{seconds:.1f} s)"

    def _came(
        self,
        program: Program,
        line: str,
        seconds: float,
        way: Callable[[Program, subprocess.Popen[str]], str],
    ) -> bool:
        """Ended that way, so many seconds after that line; not where it has come to its end before."""
        with program.under_way() as process:
            assert process.stdout
            said = []
            for text in iter(process.stdout.readline, ""):
                said.append(text)
                if line in re.sub(r"\x1b\[[0-9;]*m", "", text):
                    break
            else:
                raise AssertionError(f"it did not come to {line}: {''.join(said)[-6000:]}")
            time.sleep(seconds)
            if process.poll() == 0:  # nobody is told any more once its terminal is closed
                return False
            began = time.monotonic()
            try:
                rest = way(program, process)
            except subprocess.TimeoutExpired:
                process.kill()
                raise AssertionError(f"{way.__doc__} at {line}: still there after {_PATIENCE} s") from None
        print(
            f"{way.__doc__}: exit code {process.returncode} after {time.monotonic() - began:.0f} s",
            flush=True,
        )
        text = "".join(said) + rest
        assert "Traceback" not in text, text[-6000:]
        assert process.returncode != 0 or "from now on: " in text, (
            f"{way.__doc__} at {line}: exit code 0\n{text[-6000:]}"
        )
        _gone(process.pid)
        return process.returncode != 0

    def _interrupted(self, program: Program, process: subprocess.Popen[str]) -> str:
        """Ctrl-C."""
        program.interrupt()
        said, _ = process.communicate(timeout=_PATIENCE)
        # The last check may have ended before it came.
        assert process.returncode == 0 or "the same command goes on where it was" in said, said[-3000:]
        return said

    def _hung_up(self, program: Program, process: subprocess.Popen[str]) -> str:
        """A closed terminal."""
        assert process.stdout
        process.stdout.close()
        program.hang_up()
        process.wait(timeout=_PATIENCE)
        return ""

    def _cut_off(self, program: Program, process: subprocess.Popen[str]) -> str:
        """A lost line."""
        host = program.newcomer.lab.host(_NAME)
        code, said = host.inside("ip -4 route show default >/run/line; ip link set eth0 down")
        assert code == 0, said
        try:
            return process.communicate(timeout=_PATIENCE)[0]
        finally:
            back = "ip link set eth0 up; while read -r route; do ip route add $route; done </run/line; rm /run/line"
            code, said = host.inside(back)
            assert code == 0, said


def same(clean: Seen, found: Seen) -> None:
    """What people and programs find is as after a run that nobody has disturbed."""
    for what, before, after in (
        ("here", clean.here, found.here),
        ("files", clean.files, found.files),
    ):
        differing = state.differences(before, after)
        assert differing == [], f"{what}: " + "\n".join(differing)
    assert (more := sorted(set(found.there) - set(clean.there))) == [], f"left on the host: {more}"
    assert found.bucket == clean.bucket, (
        f"in the bucket: {found.bucket}, and after a clean run {clean.bucket}"
    )
    proof.same(clean.host, found.host)


def _gone(group: int) -> None:
    """Nobody of the group is left, some seconds later."""
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.5)
    raise AssertionError(f"processes of the group {group} are still there")
