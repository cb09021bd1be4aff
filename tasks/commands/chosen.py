"""Chosen: the service that SERVICE names."""

from collections.abc import Iterable
from difflib import get_close_matches

from tasks.model.catalogue import Service
from tasks.run import Refused


def chosen(choice: str, there: Iterable[Service], what: str) -> Service:
    """The one of them that has this name. what: says of one that it is among them. Raises Refused."""
    found = {item.name: item for item in there}
    if choice in found:
        return found[choice]
    near = get_close_matches(choice, found, n=1)
    hint = f", did you mean {near[0]}?" if near else f": there are {', '.join(found)}"
    raise Refused(f"SERVICE={choice}: nothing of that name {what}{hint}")
