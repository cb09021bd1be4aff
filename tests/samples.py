"""Samples: the settings as they are delivered, and a service with everything that a service can have."""

import runpy
from pathlib import Path
from typing import Any

from tasks.model import settings as outside
from tasks.model.catalogue import (
    CORE,
    TENANTS,
    Container,
    Database,
    Health,
    Metrics,
    Route,
    Secret,
    Service,
    Size,
    Volume,
)
from tasks.model.stack import BadSettings, Stack
from tasks.services import every

ROOT = Path(__file__).parents[1]


def settings(**changes: Any) -> dict[str, Any]:
    """``group_data/all.py`` with the one setting that an inventory has to make, and changes."""
    data = runpy.run_path(str(ROOT / "group_data" / "all.py"))
    delivered = {key: value for key, value in data.items() if not key.startswith("_")}
    return {**delivered, "acme_email": "ops@smarterbot.cl", **changes}


def stack(**changes: Any) -> Stack:
    """The delivered settings, parsed and checked."""
    return outside.read(settings(**changes), every())


def refusals(**changes: Any) -> list[str]:
    """The lines that the delivered settings with these changes are refused with, in order; empty when fine."""
    try:
        stack(**changes)
    except BadSettings as error:
        return sorted(error.lines)
    return []


def container(name: str, **changes: Any) -> Container:
    """A small container."""
    small: dict[str, Any] = {
        "image": f"example/{name}:1.0",
        "health": Health(("true",)),
        "size": Size(memory_mb=128, cpus=0.5),
    }
    return Container(name, **{**small, **changes})


# Two containers on one image, a job before them, two routes, one of them guarded and mirrored.
HELPDESK = Service(
    name="helpdesk",
    title="Helpdesk",
    needs=("postgres", "redis"),
    routes=(
        Route("crm", "helpdesk-web", 3000, loopback=3100, expect=(200, 302)),
        Route("crm-admin", "helpdesk-web", 3001, mirrored=True, guard=True),
    ),
    secrets=(Secret("SECRET_KEY_BASE", kind="hex", length=128), Secret("POSTGRES_PASSWORD")),
    databases=(
        Database("helpdesk", secret="POSTGRES_PASSWORD", extensions=("pg_stat_statements", "vector")),
    ),
    metrics=(Metrics("helpdesk-web", 9394), Metrics("helpdesk-worker", 9394, "/worker")),
    containers=(
        container(
            "helpdesk-prepare",
            image="example/helpdesk:4.2",
            command=("bundle", "exec", "rails", "db:prepare"),
            env_file=True,
            job=True,
        ),
        container(
            "helpdesk-web",
            image="example/helpdesk:4.2",
            environment={"RAILS_ENV": "production", "PRICE": "5$ $HOME ${X} #1: 'a' \"b\""},
            env_file=True,
            networks=(CORE, TENANTS),
            volumes=(Volume("helpdesk_data", "/app/storage", backup="files"),),
            health=Health(("curl", "-f", "http://127.0.0.1:3000/"), seconds=120),
            size=Size(memory_mb=1024, cpus=1, disk_gb=2),
            twice="it keeps all in the database",
            extra={"extra_hosts": ["mail:10.0.0.9"], "sysctls": {"net.core.somaxconn": "1024"}},
        ),
        container(
            "helpdesk-worker",
            image="example/helpdesk:4.2",
            command=("bundle", "exec", "sidekiq"),
            env_file=True,
            volumes=(Volume("helpdesk_data", "/app/storage", backup="files"),),
            replicas=2,
        ),
    ),
)
