"""Plan files: which files a plan changes, as data and in words; of env files no more than names. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from tasks.facts.ahead import Ahead
from tasks.model import diffs
from tasks.model.effects import EnvFile, Step
from tasks.operations import consequences as found
from tasks.rendering.render import CURRENT


def data(steps: Sequence[Step], ahead: Ahead) -> Iterator[dict[str, Any]]:
    """Of env files no more than names."""
    for item in found.files(steps):
        have = ahead.texts.get(item.path) if item.before else None
        change = "removed" if item.after is None else "changed" if item.before else "new"
        yield {"path": item.path, "change": change, "diff": list(diffs.unified(item.path, have, item.after))}
    for env in (item for step in steps for item in step.effects if isinstance(item, EnvFile)):
        names = diffs.names(ahead.lines.get(env.path, {}), ahead.wanted(env.after))
        own = [name for name in names.all if name != _DIGEST]
        yield {
            "path": env.path,
            "change": "changed" if env.before else "new",
            "variables": {
                kind: [name for name in listed if name in own]
                for kind, listed in (
                    ("added", names.added),
                    ("removed", names.removed),
                    ("changed", names.changed),
                )
            },
        }


# Follows from the others.
_DIGEST = "SMARTEROS_SECRETS_DIGEST"


# More lines of one diff, and more files of one folder that come or go, nobody reads.
_MOST, _MANY = 60, 10


def lines(files: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Those of ``data``, for people."""
    alike = Counter(map(_alike, files))
    many = {key: count for key, count in alike.items() if key[1] and count > _MANY}
    yield from (f"{key[0]}: {count} {key[1]} files (JSON=1 has all)" for key, count in sorted(many.items()))
    for item in files:
        if _alike(item) in many:
            continue
        yield f"{item['path']} ({item['change']})"
        if "variables" in item:
            yield from (
                f"    {kind}: {', '.join(names)}" for kind, names in item["variables"].items() if names
            )
        elif item["change"] == "changed":
            yield from (f"    {line}" for line in item["diff"][:_MOST] or ["mode or owner"])
            if len(item["diff"]) > _MOST:
                yield f"    … and {len(item['diff']) - _MOST} more lines (JSON=1 has all)"


def _alike(item: Mapping[str, Any]) -> tuple[str, str]:
    """By what those are counted of which one is like the other: new ones by the generation, or their first folder; those that go by their own."""
    path, change = item["path"], item["change"]
    if change == "new":
        return CURRENT if path.startswith(f"{CURRENT}/") else f"/{path.split('/')[1]}", change
    return str(PurePosixPath(path).parent), change if change == "removed" else ""
