"""Shut out: who could log in before our settings of sshd and cannot afterwards, to be said before they are made."""

from collections.abc import Iterable, Iterator

from tasks.facts.listeners import Listener
from tasks.facts.logins import Logins

# X11's displays, as sshd leads them to whoever is logged in.
_DISPLAYS = range(6010, 6100)
_ENDS = "sshd: a password logs nobody in from now on"


def named(found: Logins, users: tuple[str, ...]) -> Iterator[str]:
    """The lines. users: those who may log in, empty: whoever has a key. Pure."""
    may = [name for name in sorted(found.passwords) if not users or name in users]
    if sure := [name for name in may if name not in found.unsure]:
        yield f"{_ENDS}, and {', '.join(sure)} had nothing else: put a key into {_files(found, sure)} there"
    if unsure := [name for name in may if name in found.unsure]:
        sources = ", ".join(sorted({found.unsure[name] for name in unsure}))
        yield (
            f"{_ENDS}, and {', '.join(unsure)} had no key in a file: see that {sources} has one for them (ssh -o "
            f"PreferredAuthentications=publickey), or put one into {_files(found, unsure)} there"
        )
    if found.directories:
        yield (
            f"{_ENDS}, nor anybody whom {', '.join(found.directories)} knows (/etc/nsswitch.conf) and sshd has no key of: "
            "they are not listed here"
        )
    for other in found.others:
        yield f"sshd: {other} logs nobody in from now on, only a key does: who came by it needs one"
    if users:
        yield from _not_among(found, users)
    if strange := [name for name in users if found.names and name not in found.names]:
        yield f"login_users: no user {', '.join(strange)} there, so nobody logs in by that name: see how it is written, or add it"


def tunnels(listeners: Iterable[Listener], ports: Iterable[int]) -> Iterator[str]:
    """Ports that somebody's connection leads elsewhere (ssh -R). ports: where sshd itself listens. Pure."""
    own = {*ports, *_DISPLAYS}
    led = sorted({item.port for item in listeners if _led(item) and item.port not in own})
    if led:
        yield (
            f"sshd: nobody gets a port here for what is elsewhere (ssh -R) from now on, as {', '.join(map(str, led))} now: that "
            "ends with the connection it is for, so reach what is behind it another way (a VPN)"
        )


def _led(item: Listener) -> bool:
    daemon = item.address not in ("127.0.0.1", "::1") and not item.unit.startswith("session-")
    return item.protocol == "tcp" and item.process in ("sshd", "sshd-session") and not daemon


def _not_among(found: Logins, users: tuple[str, ...]) -> Iterator[str]:
    others = [*sorted({*found.keys, *found.commands, *found.passwords} - {*users})]
    others += [f"whoever else {source} lets in" for source in found.sources]
    if others:
        yield f"sshd: not in login_users, and shut out from now on: {', '.join(others)}"


def _files(found: Logins, names: list[str]) -> str:
    return ", ".join(sorted({found.passwords[name] for name in names}))
