"""The README's generated parts: ``python -m tests.readme`` checks them, ``--write`` makes them anew."""

import math
import re
import sys
from pathlib import Path

from tasks.model import catalogue, sizing
from tasks.model.catalogue import Service, Volume
from tasks.model.rotation import places
from tasks.model.stack import Mail
from tasks.rendering.render import image
from tasks.services import load
from tests.lab.smarteros import ROOT, settings
from tests.rooms import drawing

_HOSTS_GB = (4, 8, 16)
_KERNELS_SHARE = 0.97  # what a provider's gigabytes leave of themselves in /proc/meminfo

README = ROOT / "README.md"


def services_table() -> str:
    """Services, domains, ports and images of the default settings, as Markdown."""
    stack = settings().model_copy(update={"vault_engine": "vault"})
    rows = ["| Service | Domains | Port | Networks | Image |", "|---|---|---|---|---|"]
    for service in load(stack):
        first = service.main
        domains = [name for route in service.routes for name in catalogue.domains(stack, route)]
        ports = [f"127.0.0.1:{route.loopback}" for route in service.routes if route.loopback]
        ports += [port for port in first.ports if not port.startswith("127.") or service.name == "vault"]
        built = "built on the host from `files/" + first.build + "`"
        cells = (
            service.title,
            ", ".join(domains) or "-",
            ", ".join(ports) or "-",
            ", ".join(first.networks),
            built if first.build else f"`{image(first)}`",
        )
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def hosts_table() -> str:
    """What fits on a host of 4, 8 and 16 GB in each profile, and what all of it needs, as Markdown."""
    rows = [f"| Host | {' | '.join(f'`{name}`' for name in sizing.PROFILES)} |", "|---|---|---|---|"]
    chosen = {name: load(settings().model_copy(update={"profile": name})) for name in sizing.PROFILES}
    for gb in _HOSTS_GB:
        cells = (_fitting(services, round(gb * 1000 * _KERNELS_SHARE)) for services in chosen.values())
        rows.append(f"| {gb} GB | {' | '.join(cells)} |")
    needs = (sizing.demand(services) for services in chosen.values())
    rows.append(f"| needed by everything | {' | '.join(map(_need, needs))} |")
    return "\n".join(rows)


def _need(size: catalogue.Size) -> str:
    return f"{size.memory_mb} MB, {math.ceil(size.cpus)} CPUs, {math.ceil(size.disk_gb)} GB of disk"


def _fitting(services: tuple[Service, ...], memory_mb: int) -> str:
    """What fits, in words: what has to be left out where that is shorter."""
    fitting = {item.name for item in sizing.fitting(services, memory_mb)}
    out = [item.name for item in services if item.name not in fitting]
    return "everything" if not out else f"without {', '.join(out)}" if fitting else "-"


def guards_table() -> str:
    """What of each service stays public behind a guard, as Markdown."""
    rows = ["| Service | Everybody reaches |", "|---|---|"]
    for service in load(settings()):
        for route in service.routes:
            public, guarded = (
                ", ".join(f"`{path}`" for path in paths) for paths in (route.public, route.guarded)
            )
            if public:
                less = f", but not {guarded}" if guarded else ""
                rows.append(f"| {service.title} | {public}{less} |")
    return "\n".join(rows)


def settings_table() -> str:
    """Every setting of group_data/all.py with its default, as Markdown."""
    text = (ROOT / "group_data" / "all.py").read_text()
    # A list with a line for each item is one row as well.
    text = re.sub(r"\[\n(.*?),\n\]", lambda found: f"[{' '.join(found[1].split())}]", text, flags=re.DOTALL)
    rows = ["| Setting | Default | What for |", "|---|---|---|"]
    for block in re.findall(r"((?:^# .*\n)+)((?:^\w+ = .*\n)+)", text, re.MULTILINE):
        why = " ".join(
            line.removeprefix("# ") for line in block[0].splitlines() if not line.startswith("#  ")
        )
        for line in block[1].splitlines():
            name, _, default = line.partition(" = ")
            rows.append(f"| `{name}` | `{default}` | {why} |")
            why = ""
    return "\n".join(rows)


def mails_table() -> str:
    """What each service's users miss without the setting mail, as Markdown."""
    rows = ["| Service | Without `mail` |", "|---|---|"]
    rows += [f"| {service.title} | {service.mails} |" for service in load(settings()) if service.mails]
    return "\n".join(rows)


_WAYS = {
    "deploy": "`make give-secrets NAME=…`, deploy: the containers that read it are made anew",
    "signs": "the same, and everybody signs in again",
    "first": "`make rotate SERVICE=…`, which changes it in the application as well; or there by hand, and then `make give-secrets NAME=…` tells Vault",
    "owner": "`make give-secrets NAME=…`, deploy: the application takes it at each start, and forgets what was changed in it",
    "lasting": "never: it would cost",
}


def rotations_table() -> str:
    """How each secret is changed, as Markdown."""
    mail = {"host": "smtp.example.com", "user": "ops", "from": "ops@example.com"}
    stack = settings().model_copy(update={"mail": Mail.model_validate(mail)})
    found = places(load(stack)).values()
    rows = ["| Secrets | How they are changed |", "|---|---|"]
    for way, words in _WAYS.items():
        for lost in dict.fromkeys(one.lost for one in found if one.way == way):
            names = ", ".join(f"`{one}`" for one in found if (one.way, one.lost) == (way, lost))
            rows.append(f"| {names} | {words} {lost}".rstrip() + " |")
    return "\n".join(rows)


def rollouts_table() -> str:
    """How each service that visitors reach is replaced, and why so, as Markdown."""
    rows = ["| Service | While it is replaced | Why |", "|---|---|---|"]
    kinds = {"rolling": "a second one answers", "held": "visitors wait"}
    for service in load(settings()):
        routed = {route.container for route in service.routes}
        reasons = [item.twice or item.once for item in service.containers if item.name in routed]
        rows += [f"| {service.title} | {kinds[service.rollout]} | {reason} |" for reason in reasons]
    return "\n".join(rows)


_KINDS = {
    "files": "restic, within a minute of a change",
    "postgres": "pgBackRest every 30 s, `pg_dump` nightly",
    "raft": "a snapshot by its API, hourly and after a deploy that wrote to it",
    "redis": "a file that it writes itself, every 15 minutes",
}


def volumes_table() -> str:
    """What is backed up and how, and what is not and why, as Markdown."""
    rows = ["| Service | What | How it is backed up |", "|---|---|---|"]
    for service in load(settings()):
        kept: dict[str, list[str]] = {}
        for item in (each for one in service.containers for each in one.state):
            how = _KINDS[item.backup] if item.backup else f"not: {item.lost}"
            kept.setdefault(how, []).append(f"`{item.name if isinstance(item, Volume) else item.path}`")
        if service.databases:
            kept[_KINDS["postgres"]] = [f"database `{one.name}`" for one in service.databases]
        rows += [
            f"| {service.title} | {', '.join(dict.fromkeys(what))} | {how} |" for how, what in kept.items()
        ]
    return "\n".join(rows)


def expected(text: str) -> str:
    """The README with its generated parts as they have to be."""
    parts = {
        "services": services_table,
        "hosts": hosts_table,
        "guards": guards_table,
        "settings": settings_table,
        "mails": mails_table,
        "rotations": rotations_table,
        "volumes": volumes_table,
        "rollouts": rollouts_table,
        "rooms": drawing,
    }
    for name, made in parts.items():
        part = made()
        start, end = f"<!-- {name}: generated -->", f"<!-- /{name} -->"
        before, _, rest = text.partition(start)
        text = f"{before}{start}\n{part}\n{end}{rest.partition(end)[2]}"
    return text


def main(write: bool, path: Path = README) -> int:
    """Exit code 1 when the README differs from the catalogue or the settings."""
    text = path.read_text()
    if expected(text) == text:
        return 0
    if write:
        path.write_text(expected(text))
        return 0
    print("README.md differs from the catalogue: run `make format`", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main("--write" in sys.argv[1:]))
