"""Secret: prints one of Vault's values: ``SMARTEROS_SECRET=chatwoot#ADMIN_PASSWORD pyinfra -y inventories/prod.py tasks.commands.secret.run``.

It goes to standard output and into no log of ours. ``give_secrets`` is the way back.
"""

from tasks.clients.vault_values import values
from tasks.commands.named import asked, known_places, listed, unknown
from tasks.commands.token import show
from tasks.connection import grouped
from tasks.model.targets import target
from tasks.run import Commands, Refused, executing, host, operation, stack


def run() -> None:
    """The command ``make secret``."""
    if grouped.elsewhere():
        return
    shown(name="Secret | one value of Vault's, shown")


@operation
def shown() -> Commands:
    """The value alone, so that it can go where the operator wants it."""
    if not executing():
        return
    yield from ()
    if place := asked():
        show(value(place))
    else:
        host().log(f"say which: NAME=path#name; {listed()}")


def value(place: str) -> str:
    """What Vault holds there, of the catalogue's or a person's own. Raises Refused."""
    path, _, name = place.partition("#")
    known = place in known_places()
    found = values(path).get(name) if known or (path and name) else None
    if found is None and known:
        raise Refused(
            f"{stack().vault_mount}/{place} is not in Vault yet: {target('deploy')} makes what is missing"
        )
    if found is None:
        raise unknown(place)
    return found
