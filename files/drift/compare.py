"""How what is there differs from what was made. Pure, but for when a file went away."""

from __future__ import annotations

from containers import LIMITS
from ground import ROOT, stamp
from kinds import KINDS

CURRENT = "/opt/smarteros/current"


def differences(made: dict, there: dict) -> list:
    """What is otherwise, with what of it, and since when where the host knows."""
    found = []
    for kind in KINDS:
        # A release that looks at less has noted none of this kind.
        was, is_ = made.get(kind, there[kind]), there[kind]
        if kind == "tasks" and not (
            "" in was and "" in is_
        ):  # who manages the swarm has not answered, then or now
            continue
        if kind == "redis" and not ("role" in was and "role" in is_):  # the same, or not all
            was, is_ = ({name: each[name] for name in was.keys() & is_.keys()} for each in (was, is_))
        for name in sorted(was.keys() | is_.keys()):
            if passing(kind, was.get(name), is_.get(name)):
                continue
            if what := words(was.get(name), is_.get(name)):
                since = known(was.get(name), is_.get(name)) or gone(kind, name, is_.get(name))
                found.append(
                    {"kind": kind, "name": name, "what": what, "since": stamp(since) if since else None}
                )
    return found


def known(was: dict | None, is_: dict | None) -> float:
    """When it came to be as it is: other limits leave no trace of that."""
    if is_ is None or (
        was
        and all(was.get(key) == value for key, value in is_.items() if key[0] != "_" and key not in LIMITS)
    ):
        return 0
    return is_.get("_since", 0)


def passing(kind: str, was: dict | None, is_: dict | None) -> bool:
    """Jobs that have ended come and go, and so do containers' interfaces, with settings of their own; a volume may come."""
    ended = all(item is None or item.get("_done") for item in (was, is_))
    return (
        (kind == "container" and ended)
        or (kind == "volume" and was is None)
        or (kind == "kernel" and None in (was, is_))
    )


def words(was: dict | None, is_: dict | None) -> str:
    """How the one differs from the other; empty where it does not."""
    if was is None:
        return "is new"
    if is_ is None:
        return "is gone"
    if ("link" in was) != ("link" in is_):
        return f"{thing(is_)} instead of {thing(was)}"
    # Whose keys are a deploy's from now on, or are no more, has no others by that; a release of before looked at less.
    keys = [key for key in sorted(was.keys() & is_.keys()) if key[0] != "_" and was[key] != is_[key]]
    secret = ("content", "rules", "keys", "definition", "image")
    return ", ".join(
        f"other {key}" if key in secret else f"{key} {is_.get(key)} instead of {was.get(key)}" for key in keys
    )


def thing(values: dict) -> str:
    """What stands at a path."""
    return f"a link to {values['link']}" if "link" in values else "a file"


def gone(kind: str, name: str, is_: dict | None) -> float:
    """When a file went away, its folder changed at the latest."""
    folder = (ROOT / name.lstrip("/")).parent
    return folder.stat().st_mtime if kind == "file" and is_ is None and folder.is_dir() else 0


def stays(item: dict) -> bool:
    """Whether no deploy makes it good: it knows of no drop-in of somebody's, nor of another image below the same tag."""
    drop_in = (
        item["kind"] == "file" and ".d/" in item["name"] and item["name"].startswith("/etc/systemd/system/")
    )
    other = (item["kind"], item["what"]) == ("container", "other image")
    return item["kind"] in ("user", "package") or drop_in or other


def unmade(was: dict, is_: dict) -> dict:
    """The files of the generation that was active then, too, as they were then: a run writes each generation once, as another one, so
    that what differs in it was done by hand.
    """
    if was.get(CURRENT, {}).get("link") != is_.get(CURRENT, {}).get("link"):
        return is_
    inner = f"{CURRENT}/"
    others = {name: values for name, values in is_.items() if not name.startswith(inner)}
    return others | {name: values for name, values in was.items() if name.startswith(inner)}
