"""Backup: one-off containers that copy everything away into the bucket; there where the setting ``backup`` is.

None of them runs by itself: timers of the host start them (templates/backup), each under its own limit.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from tasks.model.catalogue import Container, Health, Secret, Service, Size, Volume
from tasks.model.folder import Folder
from tasks.model.given import BUCKET
from tasks.model.load import BACKUP
from tasks.model.overrides import overridden
from tasks.model.stack import BACKUP_NET, DRILL_NET, Stack
from tasks.services import every, postgres

# Where what is copied away stands in the container: volumes by name, folders of the host by their own path.
STATE = "/state"
RESTIC = ("restic", "-o", "s3.bucket-lookup=path")
_BUCKET_SECRETS = (
    Secret("AWS_ACCESS_KEY_ID", kind="given", of=f"{BUCKET}#S3_KEY"),
    Secret("AWS_SECRET_ACCESS_KEY", kind="given", of=f"{BUCKET}#S3_KEY_SECRET"),
    Secret("RESTIC_PASSWORD", kind="given", of=f"{BUCKET}#RESTIC_PASSWORD", lasting=postgres.OPENS),
    # For a server that is restored beside the one that runs.
    *postgres.BUCKET_SECRETS,
)
# For snapshots of Vault: its AppRole's own.
_ROLE_SECRETS = (
    Secret("VAULT_ROLE_ID", kind="given", of=f"{BUCKET}#VAULT_ROLE_ID"),
    Secret("VAULT_SECRET_ID", kind="given", of=f"{BUCKET}#VAULT_SECRET_ID"),
)
_READS = {"DAC_READ_SEARCH": "it reads files of every service, whoever owns them, and writes none"}
# Behind all that runs, and the first to end where memory is short.
_NICE = {"cpu_shares": 128, "oom_score_adj": 500}
_ROOT = "restic keeps owners and modes, which it may not see as anybody else"


def describe(stack: Stack) -> Service:
    """Files, dumps, snapshots and the care of the repository; Postgres' own log leaves from its own container."""
    own_vault = stack.vault_address is None
    containers = (
        _container(stack, "backup-files", state=_files(stack), binds=_binds(stack), cap_add=_READS),
        _container(stack, "backup-redis", state=_written(stack, "redis"), cap_add=_READS),
        _container(stack, "backup-dumps", networks=(), joins="postgres"),
        _container(stack, "backup-vault", networks=(), joins="vault"),
        _container(stack, "backup-check"),
        _container(stack, "backup-list"),
        *_restored(stack),
    )
    there = {"backup-redis": "redis", "backup-dumps": "postgres", "backup-vault": "vault"}
    return Service(
        name=BACKUP,
        title="Backup",
        phase="backup",
        role="data",
        secrets=(*_BUCKET_SECRETS, *(_ROLE_SECRETS if own_vault else ())),
        policy='path "sys/storage/raft/snapshot" { capabilities = ["read"] }\n',
        containers=tuple(item for item in containers if there.get(item.name, "") in ("", *stack.services)),
    )


def _container(stack: Stack, name: str, state: tuple[Volume, ...] = (), **more: Any) -> Container:
    """Restic on the image of the database's server, whose clients and pgBackRest are of the server's version."""
    server = overridden(stack, postgres.describe(stack)).main
    return Container(
        name=name,
        image=postgres.BUILT,
        build=postgres.BUILD,
        base=server.base or server.image,
        entrypoint=RESTIC,
        env_file=True,
        environment=_environment(stack),
        files={"pgbackrest": "/etc/pgbackrest"},
        volumes=(Volume("restic_cache", "/cache", lost="made anew from the bucket"), *state),
        root=_ROOT,
        health=Health(("true",)),
        # 221 MB with 50,000 files, the first time; less from then on.
        size=Size(memory_mb=256, cpus=1, used_mb=220),
        stop_seconds=10,
        job=True,
        extra=_NICE,
        **{"networks": (BACKUP_NET,), **more},
    )


# Who writes what others own, below a folder that is nobody's yet.
_WRITES = dict.fromkeys(("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID"), "it gives files back to their owners")
_WRITES |= dict.fromkeys(
    ("MKNOD", "SETFCAP"), "it makes each as it was: one that it may not make would end the restore"
)


# Folders of the host, not volumes: Compose makes all volumes of a project, whichever container it runs.
INSTANCE, APP = "restored-postgres", "restored-app"
RESTORED = "/var/lib/smarteros/restore"
_PASSING = "only there for as long as a restore or a drill is at work"


def _restored(stack: Stack) -> tuple[Container, ...]:
    """Where a restore or a drill puts what it has out of the bucket (templates/restore)."""
    files = _container(
        stack,
        "restored-files",
        networks=(DRILL_NET,),
        binds={f"{RESTORED}/files:/restored": _PASSING},
        cap_add=_WRITES,
    )
    return (
        files,
        replace(
            files,
            name=INSTANCE,
            entrypoint=("bash", "-ceu"),
            # What it reads ahead of the log is in its memory.
            environment={"PGBACKREST_ARCHIVE_GET_QUEUE_MAX": "32MiB"},
            volumes=(),
            binds={f"{RESTORED}/postgres:/var/lib/postgresql/data": _PASSING},
            cap_add={},
            user="postgres",
            root="",
            stop_signal="SIGINT",
            # For an application that is started in its network, and finds the copy where it looks for the server.
            extra={**_NICE, "extra_hosts": ["postgres:127.0.0.1"]},
            size=Size(memory_mb=512, cpus=1, used_mb=300),
        ),
    )


def _environment(stack: Stack) -> Mapping[str, str]:
    if stack.backup is None:
        return {}
    found = {
        "RESTIC_REPOSITORY": f"s3:{stack.backup.endpoint}/{stack.backup.bucket}/files",
        "AWS_DEFAULT_REGION": stack.backup.region,
        "RESTIC_CACHE_DIR": "/cache",
        # What waits to be sent: on the disk, not in the container's memory.
        "TMPDIR": "/cache",
        "RESTIC_PROGRESS_FPS": "0",
        "GOMAXPROCS": "1",
    }
    return found | ({"RESTIC_CACERT": "/etc/pgbackrest/ca.pem"} if stack.backup.root else {})


def sources(stack: Stack) -> dict[str, tuple[Volume | Folder, ...]]:
    """Service → what of it is copied away as files."""
    found = {service.name: tuple(_of_kind(service, "files")) for service in _others(stack)}
    return {name: items for name, items in found.items() if items}


def _others(stack: Stack) -> Iterator[Service]:
    describe = every()
    yield from (describe[name](stack) for name in stack.services)


def _of_kind(service: Service, kind: str) -> Iterator[Volume | Folder]:
    yield from dict.fromkeys(
        item for each in service.containers for item in each.state if item.backup == kind
    )


def place(item: Volume | Folder) -> str:
    """Where it stands in the container, and so in every snapshot."""
    return f"{STATE}/{item.name}" if isinstance(item, Volume) else f"{STATE}{item.path}"


def _files(stack: Stack) -> tuple[Volume, ...]:
    found = (item for items in sources(stack).values() for item in items)
    return tuple(Volume(item.name, place(item), reads=True) for item in found if isinstance(item, Volume))


def _written(stack: Stack, kind: str) -> tuple[Volume, ...]:
    """Volumes of one kind, for the file that their server has written there."""
    found = (item for service in _others(stack) for item in _of_kind(service, kind))
    return tuple(Volume(item.name, place(item), reads=True) for item in found if isinstance(item, Volume))


def _binds(stack: Stack) -> dict[str, str]:
    found = (item for items in sources(stack).values() for item in items)
    return {
        f"{item.path}:{place(item)}:ro": "it is copied away, and never written to"
        for item in found
        if isinstance(item, Folder)
    }
