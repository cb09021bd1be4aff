"""Pending: whether the run's own login would come in again once sshd restarts, with what others have written by then. What a
revert comes back to is that, too, so nothing is changed before it is known.
"""

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from ipaddress import ip_address, ip_network

from tasks.connection import second
from tasks.facts.access import Access
from tasks.facts.listeners import Listener
from tasks.facts.pending import Pending, PendingFact
from tasks.run import host, known, remember


def problems(access: Access, listening: Iterable[Listener], user: str) -> Iterator[str]:
    """Each reason, with what to do. A daemon that is started for each connection has loaded what there is."""
    if not access.sshd or access.ssh_socket == "each" or not access.came:
        return
    found = known(PendingFact, access.ssh_unit, user, access.came)
    why = remember("second login", lambda: second.why_not(host()))
    source, _, to, port = access.came
    own = any(item.process == "sshd" and str(item.port) == port for item in listening)
    if found.apart or _by_address(found):
        # The second login comes from no address.
        why = refused(found, user, source)
    if not why and own and not access.ssh_socket and found.bound and not bound(found.bound, to, port):
        why = f"it would listen on {', '.join(found.bound)} alone, and this run comes in by {to}, port {port}"
    if why:
        newer = f" ({'; '.join(found.newer)})" if found.newer else ""
        yield (
            f"sshd: with what its files say now it would not let this run in once it restarts, which the change needs, and taking "
            f"the change back would not help: {why}{newer}: mend that first, `systemctl reload {access.ssh_unit}`, and see that "
            "a new login comes in before the old one ends"
        )


def refused(found: Pending, user: str, source: str) -> str:
    """Why sshd turns the user away who comes from there, empty where it does not. Pure."""
    says = found.says
    for key in ("pubkeyauthentication", *(("permitrootlogin",) if user == "root" else ())):
        if says.get(key) == ("no",):
            return f"{key} no"
    for key, names in (("denyusers", (user,)), ("denygroups", found.groups)):
        if any(_matches(pattern, name, source) for pattern in says.get(key, ()) for name in names):
            return f"{key} {' '.join(says[key])}"
    for key, names in (("allowusers", (user,)), ("allowgroups", found.groups)):
        patterns = says.get(key, ())
        if patterns and not any(_matches(pattern, name, source) for pattern in patterns for name in names):
            return f"{key} {' '.join(patterns)}, and {user} from {source} is not among them"
    return ""


def bound(addresses: Iterable[str], to: str, port: str) -> bool:
    """Whether what comes to that address and port is listened for. Pure."""
    every = "[::]" if ":" in to else "0.0.0.0"  # noqa: S104  as sshd has it
    return not {f"{every}:{port}", f"[{to}]:{port}", f"{to}:{port}"}.isdisjoint(addresses)


def _by_address(found: Pending) -> bool:
    return any("@" in pattern for key in ("allowusers", "denyusers") for pattern in found.says.get(key, ()))


def _matches(pattern: str, name: str, source: str) -> bool:
    """``ann``, ``ann@192.0.2.*``, ``ann@192.0.2.0/24``."""
    who, _, where = pattern.partition("@")
    return fnmatchcase(name, who) and (not where or fnmatchcase(source, where) or _within(source, where))


def _within(source: str, where: str) -> bool:
    try:
        return ip_address(source) in ip_network(where, strict=False)
    except ValueError:
        return False
