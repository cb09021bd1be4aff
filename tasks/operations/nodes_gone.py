"""Nodes gone: rows of the swarm for hosts that are no nodes any more, because they died, or came back as new ones."""

import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import gevent
from pyinfra.api.host import Host

from tasks.clients.engine_api import Api
from tasks.model.cluster import LABEL
from tasks.run import Refused

# Seconds until a manager that is gone is out of those who decide.
_DEMOTED = 20

Row = Mapping[str, Any]


def rows(there: Iterable[Row], ids: Iterable[str]) -> list[Row]:
    """Those of ours that are gone. there: as Docker lists them. ids: of the inventory's nodes. Raises Refused for one that is there, and that
    the inventory does not name. Pure.
    """
    ours = [
        item
        for item in there
        if item["ID"] not in ids
        and any(label.startswith(LABEL) for label in item["Spec"].get("Labels") or {})
    ]
    if names := [item["Description"]["Hostname"] for item in ours if item["Status"]["State"] == "ready"]:
        them, are = ("it", "is") if len(names) == 1 else ("them", "are")
        raise Refused(
            f"swarm: {', '.join(names)} {are} there, and this inventory does not name {them}: do, or take {them} out first: "
            "`docker node demote` on a node that stays, where it manages, then `docker swarm leave` on it"
        )
    return [item for item in ours if item["Status"]["State"] == "down"]


def removed(target: Host, number: str) -> None:
    """One that decided with others has to be out of these before. number: of the row."""
    over = time.monotonic() + _DEMOTED
    with Api(target) as engine:
        item = engine.get(f"/nodes/{number}")
        if item and item["Spec"]["Role"] == "manager":
            spec = {**item["Spec"], "Role": "worker"}
            # Of a swarm that was made anew it is no part any more ("can't find manager in raft memberlist"): its row goes as it is.
            with suppress(Refused):
                engine.post(f"/nodes/{number}/update", spec, version=item["Version"]["Index"])
        while problem := _refused(engine, number):
            if time.monotonic() > over:
                raise problem
            gevent.sleep(1)


def _refused(engine: Api, number: str) -> Refused | None:
    try:
        engine.delete(f"/nodes/{number}?force=true")
    except Refused as error:
        return error
    return None
