"""Closed: files and folders that nobody but root has to read, unless an access list says who else. Pure."""

from collections.abc import Iterator

from tasks.facts import HostState

CLOSED = {
    "/etc/crontab": "600",
    "/etc/ssh/sshd_config": "600",
    **{f"/etc/cron.{name}": "700" for name in ("d", "hourly", "daily", "weekly", "monthly")},
}


def modes(found: HostState) -> dict[str, str]:
    """Path → mode. One would take away what an access list gives."""
    return {path: mode for path, mode in CLOSED.items() if path not in found.shared}


def still_open(found: HostState) -> Iterator[str]:
    """What others than root can read, or is another's."""
    for path, mode in modes(found).items():
        if path in found.files and _mode(found, path) != f"{mode} root:root":
            yield path


def said(found: HostState) -> Iterator[str]:
    """What is closed, and what is not, for the operator."""
    if closing := [f"{path} ({_mode(found, path)})" for path in still_open(found)]:
        yield f"for root alone from now on: {', '.join(closing)}"
    if shared := [path for path in CLOSED if path in found.shared]:
        yield f"{', '.join(shared)}: open to whom an access list names, as before (getfacl)"


def _mode(found: HostState, path: str) -> str:
    return " ".join(found.files[path].split()[-2:])
