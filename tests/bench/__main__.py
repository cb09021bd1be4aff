"""`make bench`: a no-op run and a first deploy, each in pairs with its floor, and what only looks beside a no-op; medians and their ratio."""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from shlex import quote

from tasks.facts import redis
from tasks.model import catalogue, envfile
from tasks.model.made import generated
from tasks.operations import daemon, needed
from tasks.operations.files import archive
from tasks.rendering import host_files, render
from tasks.services import load
from tests.lab import smarteros
from tests.lab.hosts import LabHost
from tests.lab.lab import Lab

HERE = Path(__file__).parent
PYINFRA = Path(sys.executable).with_name("pyinfra")
# Ratios are to the floor: the same work by a plain script.
MOST_COMMANDS, MOST_NOOP, MOST_FIRST = 9, 1.35, 1.3
# Of what only looks; its ratio is to a no-op.
LOOKS, MOST_ASKED, MOST_LOOK = ("plan", "status"), 6, 1.5
DEPLOY = "deploy.py"


def main() -> int:
    """Prints the figures; with ``--check``, exit code 1 when a limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=7, help="pairs of no-op runs")
    parser.add_argument("--first", type=int, default=2, help="pairs of first deploys, each on a bare host")
    parser.add_argument("--lab", default="bench", help="a lab of this name, made unless it is there")
    parser.add_argument("--host", default="bench-1", help="its host, made unless it is there")
    parser.add_argument("--check", action="store_true", help="exit code 1 when a limit is passed")
    given = parser.parse_args()
    lab = Lab(given.lab)
    smarteros.prepare(lab, [given.host])
    bench = Bench(lab, given.host)
    first = paired(given.first, bench.first_deploy, bench.first_floor)
    bench.deploy()
    commands = bench.remote_commands()
    noop = paired(given.pairs, bench.deploy, bench.noop_floor)
    control = statistics.median(timed(control_side) for _ in range(5))
    print(f"no-op: {commands} remote commands (at most {MOST_COMMANDS})")
    print(f"control side (import, parse, render): {control:.2f} s")
    good = [commands <= MOST_COMMANDS, report("no-op", noop, MOST_NOOP)]
    if first:
        good.append(report("first deploy", first, MOST_FIRST))
    for name in LOOKS:
        look = f"tasks.commands.{name}.run"
        asked = bench.remote_commands(look)
        print(f"{name}: {asked} remote commands (at most {MOST_ASKED})")
        seconds = paired(given.pairs, partial(bench.deploy, what=look), bench.deploy)
        good += [asked <= MOST_ASKED, report(name, seconds, MOST_LOOK, beside="no-op")]
    return 1 if given.check and not all(good) else 0


def paired(pairs: int, ours: Callable[[], object], floor: Callable[[], object]) -> list[tuple[float, float]]:
    """Seconds of each, in turn, so that a machine that slows down slows both."""
    found = []
    for _ in range(pairs):
        least = timed(floor)  # first, so that the host is left to our own deploy
        found.append((timed(ours), least))
    return found


def timed(work: Callable[[], object]) -> float:
    """Seconds of wall time; work that rebuilds a host returns the seconds that count instead."""
    started = time.monotonic()
    took = work()
    return took if isinstance(took, float) else time.monotonic() - started


def report(name: str, pairs: list[tuple[float, float]], limit: float, beside: str = "floor") -> bool:
    """One line; whether the median ratio is within its limit."""
    ours, least = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(mine / other for mine, other in pairs)
    print(
        f"{name}: {ours:.2f} s, {beside} {least:.2f} s, ratio {ratio:.2f} (at most {limit}), {len(pairs)} pairs"
    )
    return ratio <= limit


@dataclass(frozen=True)
class Bench:
    """One host of a lab, deployed to by the real interface and by the plain scripts."""

    lab: Lab
    name: str

    def deploy(self, *flags: str, what: str = DEPLOY) -> str:
        """One run of the real interface; what it printed. what: the deploy, or what one of the Makefile's targets runs."""
        done = subprocess.run(
            [str(PYINFRA), "-y", "--limit", self.name, *flags, "inventories/lab.py", what],
            cwd=smarteros.ROOT,
            env={**os.environ, "SMARTEROS_LAB": self.lab.name},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(done.stdout)
        return done.stdout

    def remote_commands(self, what: str = DEPLOY) -> int:
        """How many commands a run with nothing to do sends: pyinfra shows each after ``>>>``."""
        shown = re.sub(r"\x1b\[[0-9;]*m", "", self.deploy("-vvv", what=what))
        return len(re.findall(r"^\S* *>>> ", shown, re.MULTILINE))

    def first_deploy(self) -> float:
        """Seconds of a deploy to a bare host."""
        self._bare()
        return timed(self.deploy)

    def first_floor(self) -> float:
        """Seconds of the plain script on a bare host."""
        host = self._bare()
        return timed(lambda: script(host, (HERE / "first.sh").read_text(), first_variables()))

    def noop_floor(self) -> None:
        """The script that only looks."""
        kept = json.loads(self._state.read_text())
        variables = {
            "ROLE_ID": kept["role_id"],
            "SECRET_ID": kept["secret_id"],
            "DOMAINS": checks(),
            "ROOT": self.lab.state.acme_root.read_text(),
            **noop_variables(),
        }
        text = 'printf "%s" "$ROOT" >/tmp/bench-root.pem\n' + (HERE / "noop.sh").read_text()
        script(self.lab.host(self.name), text, variables)

    @property
    def _state(self) -> Path:
        return self.lab.state.folder / "state" / self.name / "vault.json"

    def _bare(self) -> LabHost:
        self._state.unlink(missing_ok=True)
        host = self.lab.rebuild_host(self.name, keep_volumes=False)
        self.lab.point(smarteros.domains(), host)
        return host


def control_side() -> None:
    """Import, parse and render on this machine alone."""
    code = "from tests.lab import smarteros; from tasks.rendering import render; render.tree(smarteros.settings())"
    subprocess.run([sys.executable, "-c", code], cwd=smarteros.ROOT, check=True)


def script(host: LabHost, text: str, variables: dict[str, str]) -> None:
    """Sends one script through one SSH session."""
    head = "".join(f"{name}={quote(value)}\n" for name, value in variables.items())
    done = subprocess.run(
        [*host.ssh(), "sh", "-s"], input=head + text, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"the floor's script failed:\n{done.stdout}\n{done.stderr}")


def noop_variables() -> dict[str, str]:
    """What the plain script looks at."""
    services = load(smarteros.settings())
    return {
        "NETWORKS": " ".join(smarteros.settings().networks),
        "SERVICES": " ".join(service.name for service in services),
        "PATHS": " ".join(["smarteros", *(service.name for service in services if service.secrets)]),
        "EXTENDED": " ".join(db.name for service in services for db in service.databases if db.extensions),
        "OWNED": "\n".join(_questions(services)),
        "REDIS": redis.QUESTION,
    }


def _questions(services: tuple[catalogue.Service, ...]) -> list[str]:
    """``database|SQL``: has a service its first admin, and what has Dokploy registered."""
    owned = [f"{item.databases[0].name}|{item.admin.owned}" for item in services if item.admin]
    return [*owned, "dokploy|SELECT name, sha256(convert_to(\"composeFile\", 'UTF8')) FROM compose"]


def checks() -> str:
    """``domain=path`` of every route."""
    stack = smarteros.settings()
    return " ".join(
        f"{name}={route.check}"
        for service in load(stack)
        for route in service.routes
        for name in catalogue.domains(stack, route)
    )


def first_variables() -> dict[str, str]:
    """What the plain script is given: files rendered, and secrets and roles made beforehand."""
    stack = smarteros.settings()
    services = load(stack)
    image = {service.name: render.image(service.main) for service in services}
    files = render.tree(stack)
    made = {service.name: generated(service.secrets, {}) for service in services}
    return {
        "DAEMON": json.dumps(daemon.OURS),
        "PACKAGES": " ".join((*needed.PACKAGES, "nftables")),
        "FILES": archive(files),
        "LINKS": " ".join(
            f"{link}={render.CURRENT}/{path}" for link, path in _links(services, files).items()
        ),
        "NETWORKS": " ".join(stack.networks),
        "SECRETS": archive(_env_files(services, made), mode="600"),
        "IMAGES": " ".join(item for item in smarteros.images() if item not in smarteros.BASES),
        "BUILT": image["vault-auth-validator"],
        "VAULT": image["vault"],
        "POSTGRES": image["postgres"],
        "REDIS": image["redis"],
        "SQL": "\n".join(_sql(service, made[service.name]) for service in services),
        "APPLICATIONS": "\n".join(_starts(item) for item in services if item.phase in {"services", "proxy"}),
        "DOMAINS": checks(),
    }


def _links(services: tuple[catalogue.Service, ...], files: render.Files) -> dict[str, str]:
    return {
        f"/root/{render.compose_path(item)}": render.compose_path(item) for item in services
    } | host_files.links(files)


def _starts(service: catalogue.Service) -> str:
    image = render.image(service.main)
    jobs = [f"job {service.name} {image} {item.name}" for item in service.containers if item.job]
    names = [item.name for item in service.containers if not item.job]
    owner = [f"sh /root/{service.name}-smarter-config.sh apply >/dev/null 2>&1"] if service.admin else []
    return "\n".join([*jobs, f"up {service.name} {image} {' '.join(names)}", *owner])


def _sql(service: catalogue.Service, made: dict[str, str]) -> str:
    lines = []
    for item in service.databases:
        flags = " CREATEDB" if item.create_databases else ""
        lines.append(f"CREATE ROLE {item.name} LOGIN{flags} PASSWORD '{made[item.secret]}';")
        lines.append(f"CREATE DATABASE {item.name} OWNER {item.name};")
        lines += [f"\\connect {item.name}", *(f"CREATE EXTENSION {name};" for name in item.extensions)]
    return "\n".join(lines)


def _env_files(services: tuple[catalogue.Service, ...], made: dict[str, dict[str, str]]) -> dict[str, str]:
    texts = {}
    for service in services:
        present = made[service.name]
        composed = {name: text.format_map(present) for name, text in service.composed.items()}
        users = {
            f"REDIS_USER_{item.redis.name}": sha256(made[item.name][item.redis.secret].encode()).hexdigest()
            for item in services
            if item.redis and service.name == "redis"
        }
        texts[f"{service.name}.env"] = envfile.encode({**present, **composed, **users})
    return texts


if __name__ == "__main__":
    sys.exit(main())
