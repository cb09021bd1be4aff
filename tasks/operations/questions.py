"""Questions: the facts that a run with nothing to do needs, under way before anything waits for them."""

from typing import Any

import gevent

from tasks.facts import (
    DockerFact,
    LinksFact,
    LoadedCaddyfileFact,
    MachineFact,
    RedisFact,
    TakeoverFact,
    TreeFact,
)
from tasks.facts.last_run import CourseFact
from tasks.facts.login_keys import LoginKeysFact
from tasks.operations import postgres
from tasks.operations.described import links
from tasks.rendering.render import CURRENT, SECRETS
from tasks.run import host, read_ahead, read_as_one, services, stack


def leave() -> None:
    """They leave; files are rendered, and the rest of the deploy is loaded, while the host looks."""
    read_ahead(*wide())
    read_as_one(*brief())
    gevent.sleep(0.03)
    read_ahead(*of_files())
    gevent.sleep(0.03)


def wide() -> list[tuple[Any, ...]]:
    """Each by a command of its own, the longest first."""
    proxies = [service.main.name for service in services() if service.phase == "proxy"]
    return [
        (MachineFact,),
        (DockerFact,),
        postgres.question(),
        *((LoadedCaddyfileFact, name) for name in proxies),
        *([(TakeoverFact,)] if stack().takeover else []),
    ]


def brief() -> list[tuple[Any, ...]]:
    """What is found at once, by one command."""
    redis = [(RedisFact,)] if any(service.name == "redis" for service in services()) else []
    return [(LinksFact,), (CourseFact,), *keys(), *redis]


def keys() -> list[tuple[Any, ...]]:
    """About whom login_keys names: nothing where it names nobody, or nobody could prove a login."""
    users = tuple(sorted(stack().login_keys))
    return [(LoginKeysFact, users)] if users and getattr(host().connector, "client", None) is not None else []


def of_files() -> list[tuple[Any, ...]]:
    """Those that are about what is rendered."""
    return [(TreeFact, f"{CURRENT}/", tuple(links())), (TreeFact, SECRETS, (), "077")]
