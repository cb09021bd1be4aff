"""Time zones: those of the tz database, as a package brings it, so that every machine knows the same ones."""

import re
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from zoneinfo import available_timezones

from tasks.model.words import meant

# In the database, and no zone: what a machine has that nobody has told where it is.
_NONE = {"Factory", "localtime"}


def checked(name: str) -> str:
    """The name of a zone. Raises ValueError, with what may have been meant."""
    if name != "UTC" and name not in names():
        raise ValueError(f"{name!r} {meant('is no time zone (like America/Santiago)', near(name))}")
    return name


@cache
def names() -> frozenset[str]:
    """All there are; without the package, those of this machine."""
    try:
        found = (files("tzdata") / "zones").read_text("utf-8").split()
    except ModuleNotFoundError:
        found = sorted(available_timezones())
    return frozenset(found) - _NONE


def near(text: str) -> str:
    """The zone of this name in other letters, of this city, or with a name that is much like it; else empty."""
    if offset := re.fullmatch(r"(?:utc|gmt)?\s*([+-])0?([0-9]|1[0-4])(?::?00)?", text.strip().lower()):
        sign, hours = offset.groups()
        # There a zone west of Greenwich has a plus.
        return f"Etc/GMT{'-' if sign == '+' else '+'}{hours}" if hours != "0" else "UTC"
    wanted = "_".join(text.lower().replace("\\", "/").split()).strip("/")
    zones = {name.lower(): name for name in sorted(names())}
    cities = {name.rsplit("/", 1)[-1]: zones[name] for name in zones}
    city = wanted.rsplit("/", 1)[-1]
    for table, key in ((zones, wanted), (cities, city)):
        if found := table.get(key) or next(iter(get_close_matches(key, table, n=1, cutoff=0.8)), ""):
            return table.get(found, found)
    return ""
