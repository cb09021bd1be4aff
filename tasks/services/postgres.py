"""PostgreSQL with pgvector: one server, one role and one database per service."""

from tasks.model.catalogue import Container, End, Health, Secret, Service, Size, Upstream, Volume
from tasks.model.given import BUCKET
from tasks.model.stack import Stack

# 16: Chatwoot, n8n and Dokploy all ship with it, and Odoo 16 wants <= 17. The newest patch in public use.
_IMAGE = "pgvector/pgvector:0.8.7-pg16-bookworm"
# With the setting backup it is built on the host, on top of that: archive_command starts pgBackRest in the server's container.
BUILT, BUILD = "smarteros/postgres", "postgres"
OPENS = "all backups so far, which nothing else opens"
BUCKET_SECRETS = (
    Secret("PGBACKREST_REPO1_S3_KEY", kind="given", of=f"{BUCKET}#S3_KEY"),
    Secret("PGBACKREST_REPO1_S3_KEY_SECRET", kind="given", of=f"{BUCKET}#S3_KEY_SECRET"),
    Secret("PGBACKREST_REPO1_CIPHER_PASS", kind="given", of=f"{BUCKET}#PGBACKREST_CIPHER", lasting=OPENS),
)
# pgvector's own notes: those of the server, which the tag names without its patch, are linked to from its end.
_UPSTREAM = (
    Upstream(
        "pgvector/pgvector",
        "https://github.com/pgvector/pgvector/blob/master/CHANGELOG.md",
        ends=(End("pg16", "2028-11-09", "https://www.postgresql.org/support/versioning/", "2026-08-22"),),
    ),
    Upstream("restic/restic", "https://github.com/restic/restic/releases/tag/v{version}"),
)
# Of a new cluster: a segment is written as a whole, however little of it the heartbeat ends it with.
_INITDB = {"POSTGRES_INITDB_ARGS": "--wal-segsize=4"}


def describe(stack: Stack) -> Service:
    """The server; databases are declared by the services that own them."""
    backup = stack.backup is not None
    return Service(
        name="postgres",
        title="PostgreSQL",
        phase="data",
        role="data",
        upstream=_UPSTREAM,
        secrets=(Secret("POSTGRES_PASSWORD", initial=True), *(BUCKET_SECRETS if backup else ())),
        containers=(
            Container(
                name="postgres",
                image=BUILT if backup else _IMAGE,
                build=BUILD if backup else "",
                base=_IMAGE if backup else "",
                user="postgres",
                command=("postgres", "-c", "config_file=/etc/postgresql/postgresql.conf"),
                files={
                    "postgres": "/etc/postgresql",
                    **({"pgbackrest": "/etc/pgbackrest"} if backup else {}),
                },
                env_file=True,
                environment=_INITDB if backup else {},
                volumes=(
                    Volume(
                        "postgres_data",
                        "/var/lib/postgresql/data",
                        backup="postgres",
                        adopted="its databases and roles stay, roles of ours get the passwords of Vault; data of another major version do not start",
                    ),
                ),
                tmpfs=("/tmp", "/var/run/postgresql:uid=999,gid=999,mode=0775"),
                # With -h: over the socket it would answer during initdb already, too early.
                health=Health(("pg_isready", "-q", "-h", "127.0.0.1", "-U", "postgres"), seconds=90),
                # A quarter of the limit is shared_buffers; 180 MB in the lab, 267 at its peak, where data are few and so are connections.
                size=Size(memory_mb=1024, cpus=2, disk_gb=20, used_mb=150, share=0.25, image_gb=0.5),
                stop_signal="SIGINT",  # fast shutdown: SIGTERM would wait for clients to leave
                stop_seconds=120,
                extra={"shm_size": "256m"},
            ),
        ),
    )
