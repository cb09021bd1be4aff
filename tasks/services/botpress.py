"""Botpress v12: bots. Community edition cannot cluster, so there is one, stopped before it is started anew."""

from tasks.model.catalogue import (
    Admin,
    Container,
    Database,
    Health,
    Route,
    Secret,
    Service,
    Size,
    Volume,
    domains,
)
from tasks.model.stack import Stack


def describe(stack: Stack) -> Service:
    """DATABASE_URL holds the role's password, so it is a secret made from it."""
    route = Route(
        "bot",
        "botpress",
        3000,
        loopback=3200,
        check="/status",
        domain=stack.override("botpress").domain or "",
    )
    # Kept as it is given, while a login is looked for in lower case.
    admin = Admin(
        login=(stack.acme_email or f"admin@{stack.zone}").lower(),
        secret="BP_ADMIN_PASSWORD",
        owned="SELECT FROM strategy_default",
    )
    return Service(
        name="botpress",
        title="Botpress Bot",
        needs=("postgres",),
        routes=(route,),
        databases=(Database("botpress", secret="DATABASE_PASSWORD", extensions=("pgcrypto",)),),
        secrets=(
            Secret("DATABASE_PASSWORD"),
            Secret("APP_SECRET", length=48),
            Secret(admin.secret, kind="password", length=24),
        ),
        composed={"DATABASE_URL": "postgres://botpress:{DATABASE_PASSWORD}@postgres:5432/botpress"},
        containers=(
            Container(
                name="botpress",
                image="botpress/server:12.31.10",
                architectures=("amd64",),  # https://github.com/botpress/v12/issues/1842
                command=("/botpress/bp",),  # not the image's shell, which forwards no signals
                env_file=True,
                environment={
                    "EXTERNAL_URL": f"https://{domains(stack, route)[0]}",
                    "PORT": "3000",
                    "BP_HOST": "0.0.0.0",  # noqa: S104  inside its container
                    "BP_PRODUCTION": "true",
                    "BPFS_STORAGE": "database",
                    "AUTO_MIGRATE": "true",
                    "REVERSE_PROXY": "true",
                    "CLUSTER_ENABLED": "false",
                    "BP_ADMIN_EMAIL": admin.login,  # with BP_ADMIN_PASSWORD: made at its start, while there is nobody
                },
                volumes=(
                    Volume(
                        "botpress_data",
                        "/botpress/data",
                        backup=True,
                        adopted="its bots and files are shown as they are",
                    ),
                ),
                user="999",
                tmpfs=("/tmp", "/home/botpress:uid=999,gid=999"),
                health=Health(("wget", "-q", "-O", "/dev/null", "http://127.0.0.1:3000/status"), seconds=240),
                size=Size(memory_mb=1024, cpus=1, disk_gb=5),
                stop_seconds=30,
            ),
        ),
        admin=admin,
    )
