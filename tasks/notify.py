"""Notify: whom the host tells what has happened. Addresses and tokens come out of Vault; ``files/notify`` tells them.

Without the setting nobody is told, and what an earlier one had put there is gone. A rollback changes nothing of it: people are told of
it as the settings are now.
"""

import json

from pyinfra.api import StringCommand

from tasks.clients import vault_access, vault_values
from tasks.clients.vault_values import values
from tasks.connection.drafts import note
from tasks.facts import MachineFact
from tasks.model import notify
from tasks.model.effects import Ends
from tasks.model.targets import target
from tasks.operations import described, files
from tasks.operations.units import units
from tasks.rendering import notify_files
from tasks.rendering.render import CURRENT, SECRETS
from tasks.run import Commands, Refused, host, known, operation, services, stack

ENDS = "nobody is told any more of what happens on the host; the channels' addresses go from there, and stay in Vault"


def run() -> None:
    """The phase."""
    if stack().notify is None:
        stopped(name="Notify | nobody is told")
        return
    configured(name="Notify | whom to tell")
    texts = notify_files.units(stack(), services(), CURRENT, SECRETS)
    units(texts, name="Notify | what has happened is told within a minute")


@operation
def configured() -> Commands:
    """The channels with their secrets, readable by root alone."""
    if vault_access.out_of_reach():
        yield "true"
        return
    settings = described.now()
    if missing := [f"{path}#{name}" for path, name in notify.places(settings) if not values(path).get(name)]:
        raise Refused(vault_values.to_be_given(missing))
    if wrong := list(notify.wrong(settings, values)):
        where = "; ".join(f"{stack().vault_mount}/{text}" for text in wrong)
        raise Refused(f"{where}: {target('give-secrets')} asks for another one")
    found = {"name": host().name, "zone": settings.zone, "channels": notify.channels(settings, values)}
    yield from files.secret_files({notify_files.CHANNELS: json.dumps(found, indent=1) + "\n"})


@operation
def stopped() -> Commands:
    """Units of ours stop and are gone, with the addresses."""
    if names := sorted(name for name in known(MachineFact).units if notify_files.is_ours(name)):
        note(Ends(ENDS))
        timers = " ".join(name for name in names if name.endswith(".timer"))
        paths = " ".join(f"/etc/systemd/system/{name}" for name in names)
        yield StringCommand(
            f"""
set -e
systemctl disable --quiet --now {timers} 2>/dev/null || true
rm -f {paths} {SECRETS}/{notify_files.CHANNELS}
systemctl daemon-reload
rm -rf {notify_files.STATE}
""".strip()
        )
