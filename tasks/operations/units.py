"""Units: systemd units of ours, written, loaded and their timers started, all in one command."""

import hashlib
from collections.abc import Iterable, Mapping
from shlex import quote

from pyinfra.api import StringCommand

from tasks.connection.drafts import note
from tasks.facts import MachineFact
from tasks.model.effects import File
from tasks.operations.files import archive
from tasks.operations.kept import keep
from tasks.run import Commands, known, operation

_FOLDER = "/etc/systemd/system"


@operation
def units(texts: Mapping[str, str]) -> Commands:
    """Units of these names (``smarteros-…``) hold these texts; every timer among them is enabled and active."""
    machine = known(MachineFact)
    timers = sorted(name for name in texts if name.endswith(".timer"))
    wanted = {
        name: f"{hashlib.sha256(text.encode()).hexdigest()} 644 root:root" for name, text in texts.items()
    }
    written = all(machine.units.get(name) == state for name, state in wanted.items())
    for name, state in wanted.items():
        if machine.units.get(name) != state:
            note(File(f"{_FOLDER}/{name}", texts[name], machine.units.get(name, "").partition(" ")[0]))
    if not written or not set(timers) <= set(machine.timers):
        yield StringCommand(_install(texts, timers), _stdin=archive(texts, mode="644"))


def _install(texts: Iterable[str], timers: list[str]) -> str:
    """Disabled first and enabled last, so that a run killed in between shows: its timers are not enabled."""
    names = " ".join(map(quote, timers))
    return f"""
set -e
umask 022
{keep(f"{_FOLDER}/{name}" for name in texts)}
systemctl disable --quiet {names} 2>/dev/null || true
mkdir -p {_FOLDER}/.smarteros
base64 -d | tar -xzf - -C {_FOLDER}/.smarteros --no-same-owner
find {_FOLDER}/.smarteros -type f -exec mv -f -t {_FOLDER} {{}} +
rmdir {_FOLDER}/.smarteros
systemctl daemon-reload
systemctl enable --quiet --now {names}
""".strip()
