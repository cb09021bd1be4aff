"""Script: one of the host's own, killed again and again with all that it has started, each time at a command where it was not yet.

What a point is stands in points.sh beside this.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from random import Random

from tests.e2e.deployment import Deployment

_TOP = "/run/faults"
_READ = f"BASH_ENV={_TOP}/points.sh"
_POINTS = Path(__file__).with_name("points.sh")
# Seconds from which on a command is killed once more, while it is at work.
_LONG = 0.1
# More than any script has: it does not come to its end.
_MOST = 600


@dataclass
class Script:
    """What a host runs, one at a time, in this unit; where it is empty, in a session of SSH.

    one_in: of how many points one is chosen, by ``chance``. takes: seconds of each point that was passed.
    """

    host: Deployment
    unit: str
    chance: Random
    one_in: int = 1
    takes: dict[str, float] = field(default_factory=dict)
    # Points where a run was killed, in order.
    killed: list[str] = field(default_factory=list)

    def follow(self) -> None:
        """From now on each run is killed, also one that somebody else starts."""
        self.leave()
        self.host.host.run(f"mkdir {_TOP} && cat >{_TOP}/points.sh", input=_POINTS.read_text())
        kill = f"systemctl kill --signal=KILL {self.unit}.service" if self.unit else "pkill -KILL -s 0"
        chosen = f"{self.one_in} {self.chance.randrange(10**6)}"
        self.host.sh(
            f"cd {_TOP} && touch ended wanted long && echo '{kill}' >kill && echo {chosen} >chosen && touch armed"
        )
        if self.unit:
            self.host.sh(f"mkdir -p {self._folder} && systemctl daemon-reload")
            text = f"[Service]\nEnvironment={_READ}\n"
            self.host.host.run(f"cat >{self._folder}/faults.conf && systemctl daemon-reload", input=text)
        else:
            self.host.sh(f"echo {_READ} >>/etc/environment")
        self.killed, self.takes = [], {}

    def leave(self) -> None:
        """As if it had never been followed."""
        self.host.sh(f"rm -rf {_TOP}; sed -i '/^BASH_ENV=/d' /etc/environment")
        if self.unit:
            self.host.sh(f"rm -rf {self._folder}; systemctl daemon-reload")

    @property
    def _folder(self) -> str:
        return f"/run/systemd/system/{self.unit}.service.d"

    def only(self, points: Collection[str]) -> None:
        """Where it is killed from now on."""
        self.host.host.run(f"cat >{_TOP}/wanted", input="".join(f"{point}\n" for point in points))

    def was_killed(self) -> str:
        """Where the last run was killed; empty where it came to its end."""
        said = self.host.sh(f"cat {_TOP}/ended; echo; echo; cat {_TOP}/course")
        ended, _, course = (text.splitlines() for text in said.partition("\n\n"))
        self._note(course)
        # Two where both ends of a pipe came to a point.
        fresh = ended[len(self.killed) :]
        self.killed += fresh
        return fresh[-1] if fresh else ""

    def _note(self, course: list[str]) -> None:
        """How long its commands took, and when the long ones are to be killed at work."""
        steps = [line.split(" ") for line in course if line]
        for (point, at), (_, then) in pairwise(steps):
            self.takes.setdefault(point, float(then) - float(at))
        later = {
            point: self.chance.uniform(0.05, 0.95) * takes
            for point, takes in self.takes.items()
            if takes > _LONG
        }
        text = "".join(f"{point} {seconds:.3f}\n" for point, seconds in later.items())
        self.host.host.run(f"cat >{_TOP}/long", input=text)

    def called(self) -> tuple[list[str], dict[str, str]]:
        """Arguments of the last run after its script, and its environment."""
        words = self.host.sh(f"cat {_TOP}/words").split("\0")[2:-1]
        lines = self.host.sh(f"cat {_TOP}/environment").split("\0")
        return words, dict(line.split("=", 1) for line in lines if "=" in line)

    def course(self) -> list[str]:
        """The points that the last run has passed."""
        lines = self.host.sh(f"cat {_TOP}/course").splitlines()
        return list(dict.fromkeys(line.split(" ")[0] for line in lines))

    def chain(self, run: Callable[[], tuple[int, str]], holds: Callable[[str], None] = lambda _: None) -> int:
        """Runs, each the re-run of the one before it, that are killed until one is not; how many were.

        run: exit code and output. holds: after each kill.
        """
        for many in range(_MOST):
            code, said = run()
            point = self.was_killed()
            if not point:
                assert code == 0, f"{self.killed[-1:]}: one re-run did not end it:\n{said[-6000:]}"
                return many
            print(f"killed {point}", flush=True)
            holds(point)
        raise AssertionError(f"killed {_MOST} times, and not at its end: {self.killed[-5:]}")
