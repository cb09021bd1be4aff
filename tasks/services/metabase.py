"""Metabase: KPI dashboards. It migrates its database at boot, so there is one at a time."""

from tasks.model.catalogue import (
    Admin,
    Container,
    Database,
    Health,
    Metrics,
    Route,
    Secret,
    Service,
    Size,
    domains,
)
from tasks.model.stack import Stack

_HEAP_SHARE = 0.7  # the rest of the limit is the JVM's own


def describe(stack: Stack) -> Service:
    """Its state is in Postgres; the container has no volume."""
    route = Route(
        "kpi",
        "smarteros-metabase",
        3000,
        mirrored=True,
        check="/api/health",
        domain=stack.override("metabase").domain or "",
    )
    size = Size(memory_mb=1024, cpus=1, disk_gb=1)
    return Service(
        name="metabase",
        title="Metabase KPI",
        needs=("postgres",),
        routes=(route,),
        databases=(Database("metabase", secret="MB_DB_PASS", extensions=("citext",)),),
        metrics=(Metrics("smarteros-metabase", 9191),),
        secrets=(
            Secret("MB_DB_PASS"),
            Secret("MB_ENCRYPTION_SECRET_KEY", length=48),
            Secret("ADMIN_PASSWORD", kind="password", length=24),
        ),
        containers=(
            Container(
                name="smarteros-metabase",
                image="metabase/metabase:v0.64.2.2",
                env_file=True,
                environment={
                    "MB_DB_TYPE": "postgres",
                    "MB_DB_HOST": "postgres",
                    "MB_DB_PORT": "5432",
                    "MB_DB_DBNAME": "metabase",
                    "MB_DB_USER": "metabase",
                    "MB_SITE_URL": f"https://{domains(stack, route)[0]}",
                    "MB_ANON_TRACKING_ENABLED": "false",
                    "MB_PROMETHEUS_SERVER_PORT": "9191",
                    "ADMIN_EMAIL": stack.acme_email or f"admin@{stack.zone}",
                    "JAVA_OPTS": f"-Xmx{int(size.memory_mb * _HEAP_SHARE)}m",
                },
                user="2000:2000",
                tmpfs=("/tmp", "/plugins:uid=2000,gid=2000"),
                health=Health(
                    ("curl", "-fsS", "-o", "/dev/null", "http://127.0.0.1:3000/api/health"), seconds=300
                ),
                size=size,
                stop_seconds=30,
            ),
        ),
        # Its internal user, which nobody can log in as, is there from the beginning.
        admin=Admin(
            login=stack.acme_email or f"admin@{stack.zone}",
            secret="ADMIN_PASSWORD",
            owned="SELECT FROM core_user WHERE is_superuser",
        ),
    )
