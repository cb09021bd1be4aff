"""Labs of other checkouts on this machine: they are never touched, and named when nobody is left to remove them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from docker.client import DockerClient

from tests.lab import network
from tests.lab.network import CACHE, CHECKOUT, LABEL
from tests.lab.state import State

UNKNOWN = "unknown"


class NeighbourError(Exception):
    """A lab is not there, or not for us to remove."""


@dataclass(frozen=True)
class Neighbour:
    """A lab that Docker knows of; `checkout` is empty where its network was made before networks told it."""

    key: str
    checkout: str = ""

    @property
    def name(self) -> str:
        """What its checkout calls it."""
        return self.key.partition(".")[0]

    def __str__(self) -> str:
        """As people are told of it."""
        return f"{self.name} of {self.checkout or 'an earlier version of this project'}"


def labs(client: DockerClient) -> list[Neighbour]:
    """All labs of this machine, by their networks: images and volumes are shared."""
    labels = [item.attrs["Labels"] for item in client.networks.list(filters={"label": LABEL})]
    found = {Neighbour(each[LABEL], each.get(CHECKOUT, "")) for each in labels if each[LABEL] != CACHE}
    return sorted(found, key=str)


def forgotten(known: Iterable[Neighbour], state: State) -> Iterator[str]:
    """A line for each lab whose folder is gone, and for one of our name that may be anybody's."""
    for lab in known:
        how = f"python -m tests.lab down --name {lab.name} --checkout {lab.checkout or UNKNOWN}"
        if lab.checkout and not Path(lab.checkout).is_dir():
            yield f"left alone: lab {lab}, which is not there any more; to remove it: {how}"
        if not lab.checkout and lab.name == state.name:
            yield f"left alone: lab {lab}, which may be anybody's; to remove it, if nobody needs it: {how}"


def remove(client: DockerClient, name: str, checkout: str) -> None:
    """Remove a lab whose checkout is gone, or one that was made before labs had one."""
    known = labs(client)
    wanted = "" if checkout == UNKNOWN else checkout
    found = [lab for lab in known if (lab.name, lab.checkout) == (name, wanted)]
    if not found:
        there = ", ".join(map(str, known)) or "none"
        raise NeighbourError(f"no lab {name} of {checkout} is up; these are: {there}")
    if wanted and Path(wanted).is_dir():
        raise NeighbourError(f"{wanted} is there: run `python -m tests.lab down --name {name}` in it")
    network.remove(client, {"label": f"{LABEL}={found[0].key}"})
