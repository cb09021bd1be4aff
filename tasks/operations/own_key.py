"""Own key: whether the key by which a run is logged in would let it in again. Pure."""

from collections.abc import Iterator
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from ipaddress import ip_address, ip_network

from tasks.model import login_keys
from tasks.operations.login_keys import Wanted


def shut_out(item: Wanted, blob: bytes, source: str, now: float) -> Iterator[str]:
    """Why the key by which this run is logged in as this user would not let it in again. blob: empty for a certificate. source: its address.

    One that is in no file of the user's lets in by another way, which stays.
    """
    if (blob, False) not in item.before or any(
        blob in {key.blob for key in login_keys.keys(file.text or "")}
        for file in item.login.files
        if file.shared
    ):
        return
    mine = next((key for key in item.keys if key.who == (blob, False)), None)
    does = f"login_keys.{item.user}: this run is logged in by {item.before[blob, False]}, and"
    other = "or log in by one that stays (ssh_key in the inventory)"
    if mine is None:
        yield f"{does} it is not listed, so that nobody could see whether a login still works: add it, {other}; a later deploy takes it out"
        return
    for name, value in mine.options:
        if name == "command":
            yield f"{does} its line has a command of its own, and a run needs a shell: take command= out, {other}"
        elif name == "from" and source and not _from(value, source):
            yield f'{does} from="{value}" lets it in from elsewhere alone: this run comes from {source}: add that, {other}'
        elif name == "expiry-time" and not _valid(value, now):
            yield f'{does} expiry-time="{value}" is over: take it out, {other}'


def _from(patterns: str, source: str) -> bool:
    """As sshd reads it: addresses, with wildcards or as networks; a ``!`` before one that is meant not to."""
    found = False
    for pattern in patterns.split(","):
        text = pattern.strip().removeprefix("!")
        if fnmatchcase(source, text) or _within(source, text):
            if pattern.strip().startswith("!"):
                return False
            found = True
    return found


def _within(source: str, network: str) -> bool:
    try:
        return ip_address(source) in ip_network(network, strict=False)
    except ValueError:
        return False


def _valid(text: str, now: float) -> bool:
    """``YYYYMMDD[HHMM[SS]]``, of the host's own time where no Z follows: within a day nobody here knows."""
    try:
        end = datetime.strptime(text.rstrip("Zz")[:8], "%Y%m%d").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return True
    return now < end + 2 * 86400
