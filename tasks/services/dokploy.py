"""Dokploy: the panel, without its Traefik and without its installer (which would take ports and the swarm)."""

from collections.abc import Iterator
from typing import Any

from tasks.model.catalogue import (
    CORE,
    Admin,
    Container,
    Database,
    Health,
    Route,
    Secret,
    Service,
    Size,
    Upstream,
    domains,
)
from tasks.model.folder import Folder
from tasks.model.stack import Stack
from tasks.model.visitor import Denied, Failed, Visitor


def describe(stack: Stack) -> Service:
    """The only container with the Docker socket: it deploys what it is told to, which is its purpose."""
    login = (stack.acme_email or f"admin@{stack.zone}").lower()
    route = Route(
        "dokploy",
        "dokploy",
        3000,
        mirrored=True,
        check="/api/health",
        # A git server says there that something was pushed, with a token or a signature in it (pages/api/deploy).
        public=("/api/deploy/*",),
        domain=stack.override("dokploy").domain or "",
    )
    return Service(
        name="dokploy",
        title="Dokploy Panel",
        needs=("postgres",),
        routes=(route,),
        databases=(Database("dokploy", secret="DATABASE_PASSWORD"),),
        secrets=(
            Secret("DATABASE_PASSWORD"),
            Secret("BETTER_AUTH_SECRET", length=48, lasting="second factors"),
            Secret("ADMIN_PASSWORD", kind="password", length=24, least=8),
        ),
        composed={"DATABASE_URL": "postgres://dokploy:{DATABASE_PASSWORD}@postgres:5432/dokploy"},
        containers=(
            Container(
                name="dokploy",
                # The one that was built from its source, deployed and measured; v0.30.8 is in public use (November 2026).
                image="dokploy/dokploy:v0.30.2",
                env_file=True,
                environment={
                    "PORT": "3000",
                    "NODE_ENV": "production",
                    # Left alone V8 takes half of the container, and v0.30.2 ends 15 s after each start with a heap of 512 MB or less.
                    "NODE_OPTIONS": "--max-old-space-size=1024",
                    "ADMIN_EMAIL": login,
                    # Else the first request says what it is called, and that is ours, from inside: no browser could
                    # sign in (better-auth refuses a request whose Origin is another). The mirrors: operations/origins.py.
                    "BETTER_AUTH_URL": f"https://{domains(stack, route)[0]}",
                },
                folders=(
                    Folder(
                        "/etc/dokploy",
                        "Docker looks on the host for what its projects mount from their own folders there",
                        backup="files",
                        adopted="its projects are found there where the database knows them",
                        was="dokploy_data",
                        made=("compose", "volume-backups"),
                    ),
                ),
                binds={
                    "/var/run/docker.sock:/var/run/docker.sock": "it deploys what it is told to, which is its purpose",
                    "/vault/secrets:/vault/secrets:ro": "the stack files that it lists name these env files",
                    "/opt/smarteros:/opt/smarteros:ro": "the stack files that it lists name what images are built from there",
                },
                networks=(CORE, "dokploy-network"),
                root="the Docker socket is root's",
                writable="docker login, git and its builders write to root's home and to folders of the image",
                health=Health(
                    ("curl", "-fsS", "-o", "/dev/null", "http://127.0.0.1:3000/api/health"), seconds=180
                ),
                # v0.30.2, built from its source, in this very container (2 busy cores, cgroup v1): healthy 26 s after its start,
                # at most 1076 MB while it starts and no more later; 824 MB ten minutes after sign-ins, all its pages and a
                # deployment. 762 to 861 MB with other limits, 30 s after a start. With 1024 MB and the same heap it starts,
                # too, and the kernel has to take caches back. Above that there is room for docker, git and builders. That
                # image had 1.7 GB.
                size=Size(memory_mb=1536, cpus=1, disk_gb=5, used_mb=861, least_mb=1024, image_gb=1.7),
                stop_seconds=30,
                once="it migrates its database at its start, and both would take the same deployments and schedules",
            ),
        ),
        admin=Admin(
            login=login,
            secret="ADMIN_PASSWORD",
            owned="SELECT FROM member WHERE role = 'owner'",
            changes=changes,
        ),
        users=users,
        upstream=(Upstream("dokploy/dokploy", "https://github.com/Dokploy/dokploy/releases/tag/v{version}"),),
    )


def users(visitor: Visitor) -> Iterator[str]:
    """As a page of each of its domains signs in; a request's Origin is what Dokploy looks at."""
    for domain in visitor.domains:
        page = {"Origin": f"https://{domain}"}
        yield f"sign in at {domain}"
        _signed_in(visitor, visitor.secret("ADMIN_PASSWORD"), domain)
        with visitor.leaving() as leaving:
            leaving.callback(visitor.post, "/api/auth/sign-out", {}, domain=domain, headers=page)
            if domain == visitor.domains[0]:
                yield "find the stack files"
                projects = visitor.get("/api/project.all", domain=domain).json()
                if missing := sorted(set(visitor.services) - set(_listed(projects))):
                    raise Failed(f"the project smarteros does not list: {', '.join(missing)}")


def changes(visitor: Visitor, now: str, new: str) -> None:
    """All sessions of before end with the old password, and the API keys stay."""
    page = {"Origin": f"https://{visitor.domains[0]}"}
    _signed_in(visitor, now, visitor.domains[0])
    with visitor.leaving() as leaving:
        leaving.callback(visitor.post, "/api/auth/sign-out", {}, headers=page)
        if new:
            wanted = {"currentPassword": now, "newPassword": new, "revokeOtherSessions": True}
            visitor.post("/api/auth/change-password", wanted, headers=page)


def _signed_in(visitor: Visitor, password: str, domain: str) -> None:
    login, page = {"email": visitor.login, "password": password}, {"Origin": f"https://{domain}"}
    answer = visitor.post("/api/auth/sign-in/email", login, domain=domain, headers=page, denied=(401,))
    if answer.json().get("twoFactorRedirect"):
        raise Denied("a second factor is asked for")


def _listed(projects: list[dict[str, Any]]) -> Iterator[str]:
    """The names of the compose entries in the project of ours (tasks/dokploy.py)."""
    for project in projects:
        if project["name"] == "smarteros":
            for environment in project["environments"]:
                yield from (entry["name"] for entry in environment["compose"])
