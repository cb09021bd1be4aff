"""Chosen: the services that SERVICE names."""

from collections.abc import Sequence
from difflib import get_close_matches

from tasks.model.catalogue import Service
from tasks.run import Refused


def chosen(choice: str, there: Sequence[Service], what: str) -> Sequence[Service]:
    """The one of them, or all where the choice is empty. what: says of one that it is among them. Raises Refused."""
    if not choice:
        return there
    if found := [item for item in there if item.name == choice]:
        return found
    names = [item.name for item in there]
    near = get_close_matches(choice, names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
    raise Refused(f"SERVICE={choice}: no service of that name {what}; {hint}")
