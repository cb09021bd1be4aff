"""Restore files: the host's scripts that bring a service out of the bucket, with what the catalogue says of each."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tasks.model.catalogue import Container, Files, Service
from tasks.model.folder import Folder
from tasks.model.stack import DRILL_NET, Stack
from tasks.model.volume import Volume
from tasks.rendering.backup_files import STATE, Part
from tasks.rendering.templates import FOLDER, jinja
from tasks.services import backup

SCRIPTS = "restore"
_HOUR, _DAY = 3600, 86400
# Each with what it is called with. A day without its drill is one in which the next night's is waited for.
PARTS = {
    Part(
        "drill",
        "Postgres is restored from the bucket and read as a whole",
        "nightly",
        ("OnCalendar=Mon..Sat 04:00", "Persistent=yes", "RandomizedDelaySec=10min"),
        limit=6 * _HOUR,
        stale=3 * _DAY,
        container="restored-postgres",
    ): "drill.sh light",
    Part(
        "drill-full",
        "everything is restored from the bucket and read as a whole",
        "weekly",
        ("OnCalendar=Sun 04:00", "Persistent=yes", "RandomizedDelaySec=10min"),
        limit=12 * _HOUR,
        stale=8 * _DAY,
        container="restored-postgres",
    ): "drill.sh full",
    Part(
        "kept",
        "what restores have replaced goes after 7 days",
        "daily, and after a boot",
        ("OnCalendar=05:40", "OnBootSec=1min", "Persistent=yes", "RandomizedDelaySec=10min"),
        limit=_HOUR,
        stale=3 * _DAY,
    ): "kept.sh",
}
_SUFFIX = ".j2"
_APP, _SLOWLY = "app.yaml.j2", "slowly.yaml.j2"
# These come back with the host alone: what they hold is everybody's, or opens everything.
_WHOLE = ("postgres", "redis", "vault")


@dataclass(frozen=True)
class Restorable:
    """What the scripts know of a service. several: roles that may own more databases than the catalogue names.

    extensions: ``database:extension …``. places: kind, name and place in a snapshot of what is copied as files, each on a
    line. app: the container that a drill starts on copies.
    """

    name: str
    roles: tuple[str, ...]
    several: tuple[str, ...]
    extensions: str
    containers: tuple[str, ...]
    jobs: tuple[str, ...]
    hidden: tuple[str, ...]
    places: str
    proof: Files | None
    owned: str
    app: Container | None

    @property
    def parts(self) -> tuple[str, ...]:
        """What a drill notes of it, each by itself."""
        return (*(("database", "dump") if self.roles else ()), *(("files",) if self.places else ()))


def files(stack: Stack, services: tuple[Service, ...], current: str, label: str) -> dict[str, str]:
    """Path in a generation → text; none without the setting ``backup``. current: the path of the active one. label: of
    Docker's objects.
    """
    if stack.backup is None:
        return {}
    names = sorted(path.name for path in (FOLDER / SCRIPTS).iterdir() if path.name.endswith(f".sh{_SUFFIX}"))
    found = tuple(restorable(stack, services))
    told = {
        "services": found,
        "current": current,
        "label": label,
        "restored": backup.RESTORED,
        "instance": backup.INSTANCE,
        "app": backup.APP,
        "restic": " ".join(backup.RESTIC),
        "network": DRILL_NET,
        "vault": _vault(stack, services),
        "redis": "redis" in stack.services,
        "proxy": next((item.main.name for item in services if item.phase == "proxy"), ""),
    }
    scripts = {
        f"{SCRIPTS}/{name.removesuffix(_SUFFIX)}": jinja().get_template(f"{SCRIPTS}/{name}").render(**told)
        for name in names
    }
    over = jinja().get_template(f"{SCRIPTS}/{_APP}")
    scripts[f"{SCRIPTS}/slowly.yaml"] = jinja().get_template(f"{SCRIPTS}/{_SLOWLY}").render(**told)
    return scripts | {
        f"{SCRIPTS}/{item.name}.yaml": over.render(**told, container=item.app, place=backup.place)
        for item in found
        if item.app
    }


def _vault(stack: Stack, services: tuple[Service, ...]) -> dict[str, Any] | None:
    """How a second one of this host's own starts, and what opens it."""
    if stack.vault_address is not None:
        return None
    main = next(item.main for item in services if item.phase == "vault")
    return {
        "program": main.entrypoint[0],
        "folder": main.volumes[0].path,
        "cap_add": tuple(main.cap_add),
        "mount": stack.vault_mount,
        "credential": "smarteros-unseal",
        "path": "/etc/credstore.encrypted/smarteros-unseal",
        "secrets": "/vault/secrets/backup.env",
    }


def whole(stack: Stack) -> tuple[str, ...]:
    """``service part`` of what a full drill brings back beside the services: what it has something to open with."""
    if not parts(stack):
        return ()
    vault = ("vault snapshot",) if stack.vault_address is None and stack.unseal_at_boot else ()
    return (*vault, *(("redis file",) if "redis" in stack.services else ()))


def parts(stack: Stack) -> tuple[Part, ...]:
    """What timers start; none where nothing is backed up, or there is no Postgres to restore."""
    return tuple(PARTS) if stack.backup and "postgres" in stack.services else ()


def units(stack: Stack, current: str) -> dict[str, str]:
    """Name → text of each systemd unit."""
    words = {kind: jinja().get_template(f"units/{kind}{_SUFFIX}") for kind in _KINDS}
    return {
        f"{part.unit}.{kind.partition('.')[2]}": template.render(
            part=part, current=current, script=PARTS[part], state=STATE
        )
        for part in parts(stack)
        for kind, template in words.items()
    }


_KINDS = ("restore.service", "backup.timer")


def is_ours(unit: str) -> bool:
    """Whether a unit of that name is one of these."""
    return unit.rpartition(".")[0] in {part.unit for part in PARTS}


def restorable(stack: Stack, services: tuple[Service, ...]) -> Iterator[Restorable]:
    """Each service with databases or files that a restore of it alone brings back."""
    copied = backup.sources(stack)
    for service in services:
        items = copied.get(service.name, ())
        if service.name not in _WHOLE and (service.databases or items):
            yield _restorable(service, items)


def _restorable(service: Service, items: tuple[Volume | Folder, ...]) -> Restorable:
    lasting = [item.name for item in service.containers if not item.job]
    return Restorable(
        name=service.name,
        roles=tuple(item.name for item in service.databases),
        several=tuple(item.name for item in service.databases if item.create_databases),
        extensions=" ".join(f"{item.name}:{each}" for item in service.databases for each in item.extensions),
        containers=tuple(lasting),
        jobs=tuple(item.name for item in service.containers if item.job),
        hidden=tuple(dict.fromkeys(route.container for route in service.routes)),
        places="\n".join(map(_place, items)),
        proof=service.proof,
        owned=service.admin.owned if service.admin else "",
        app=next((item for item in service.containers if item.alone), None),
    )


def _place(item: Volume | Folder) -> str:
    kind, name = ("volume", item.name) if isinstance(item, Volume) else ("folder", item.path)
    return f"{kind} {name} {backup.place(item)}"
