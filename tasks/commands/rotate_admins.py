"""Rotate, of the first admins: their passwords inside the applications that were made with one, and know no later one by themselves.

Which one opens an application is tried before the new value is written: Vault's present one, else one that it had before, as after a
rotation that was cut short and after a restore. None does where a person has changed it: then nothing of it is changed.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from tasks.clients.browser import Browser
from tasks.clients.vault_past import older
from tasks.clients.vault_values import values
from tasks.commands.check import place
from tasks.model.catalogue import Service
from tasks.model.targets import target
from tasks.model.visitor import Admin, Changes, Denied, Failed, OutOfReach, TooSoon
from tasks.run import Commands, Refused, executing, host, operation, remember, services, stack, step, together
from tasks.verify import trust

# Seconds between two sign-ins of which the first came too soon, and how long this goes on: Chatwoot takes ten in a quarter of an hour.
_WAIT, _MOST = 30, 16 * 60
# What a service raises that answers otherwise than its file expects.
_STRANGE = (LookupError, TypeError, ValueError, AttributeError)


@dataclass(frozen=True)
class Door:
    """opens: the password that opens an application to its first admin; empty where that is not known, as it does not answer yet.
    stays: why it is left as it is.
    """

    opens: str = ""
    stays: str = ""


def doors(found: Iterable[Service]) -> dict[str, Door]:
    """Name → how each application is found; asked once a run, before anything is written. Raises Refused."""
    asked = [(service, *way) for service in found for way in _ways(service)]
    tried = remember("doors", lambda: together(*(partial(_door, *one) for one in asked)))
    return dict(zip((service.name for service, *_ in asked), tried, strict=True))


def back(service: Service, present: Mapping[str, str], door: Door | None) -> dict[str, str]:
    """What Vault gets first where an earlier password opens the application: the secrets with that one, or it would be forgotten
    after ten that were cut short. Empty where it is the present one, or none is known. Pure.
    """
    if service.admin is None or door is None or door.opens in ("", present.get(service.admin.secret)):
        return {}
    return {**present, service.admin.secret: door.opens}


def _ways(service: Service) -> Iterator[tuple[Admin, Changes]]:
    if service.admin and service.admin.changes:
        yield service.admin, service.admin.changes


def _door(service: Service, admin: Admin, changes: Changes) -> Door:
    try:
        return Door(_opening(service, changes, _known(service, admin)))
    except Denied as error:
        return Door(stays=_unknown(service, admin, str(error)))
    except OutOfReach as error:
        why = f"it is changed in {service.title}, which is out of reach from here ({error})"
        return Door(stays=f"{why}: do it there, then {_tells(service, admin)}")
    except (Failed, *_STRANGE):
        return Door()


def _unknown(service: Service, admin: Admin, why: str) -> str:
    where = f"{stack().vault_mount}/{service.name}#{admin.secret}"
    return (
        f"{admin.login} is let in with no password that Vault has or had ({where}): a person has changed it, or the login, or has "
        f"asked for a second factor: if it was the password, {_tells(service, admin)} ({why})"
    )


def _tells(service: Service, admin: Admin) -> str:
    return f"{target(f'give-secrets NAME={service.name}#{admin.secret}')} tells Vault the new one"


def _known(service: Service, admin: Admin) -> Iterator[str]:
    """Vault's present one, and those of before, which are not asked for in vain."""
    if present := values(service.name).get(admin.secret):
        yield present
    yield from older(service.name).get(admin.secret, ())


def _opening(service: Service, changes: Changes, known: Iterable[str]) -> str:
    """The first that opens it. Raises Denied where none does, and what else goes wrong."""
    refused = Denied("Vault has none")
    for number, password in enumerate(known):
        try:
            _visited(service, changes, password)
        except Denied as error:
            refused = refused if number else error
        else:
            return password
    raise refused


def _visited(service: Service, changes: Changes, now: str, new: str = "") -> None:
    """One visit, in a browser of its own; again a little later where it came too soon."""
    if not any(item.phase == "proxy" for item in services()):
        raise OutOfReach("no Caddy answers for it")
    secrets = {**values(service.name), "now": now, "new": new}
    began, waited = time.monotonic(), False
    while True:
        visitor = Browser(place(service), secrets, trust(), stack().trusted_root)
        try:
            changes(visitor, now, new)
        except TooSoon:
            if time.monotonic() > began + _MOST:
                raise
            if not waited:
                host().log(f"{service.title} takes no more sign-ins for some minutes: this goes on then")
            waited = True
        else:
            return
        finally:
            visitor.close()
        time.sleep(_WAIT)


@operation
def changed(found: Sequence[Service]) -> Commands:
    """Vault has the new ones, and each service runs: the applications get them, side by side."""
    if not executing():
        yield "true"
        return
    known = doors(found)
    todo = [
        (known[service.name].opens, service, admin, changes)
        for service in found
        for admin, changes in _ways(service)
        if not known[service.name].stays
    ]
    if todo:
        yield step(partial(_all_changed, todo))


def _all_changed(todo: Sequence[tuple[str, Service, Admin, Changes]]) -> None:
    reasons = [why for why in together(*(partial(_changed, *one) for one in todo)) if why]
    if reasons:
        lines = "".join(f"\n    {why}" for why in reasons)
        raise Refused(f"{host().name}: not every first admin has the new password of Vault's:{lines}")


def _changed(opens: str, service: Service, admin: Admin, changes: Changes) -> str:
    """Why an application has not the new password, or has the one of before as well; empty where all is well."""
    new = values(service.name)[admin.secret]
    try:
        now = opens or _opening(service, changes, _known(service, admin))
        if now != new:
            _visited(service, changes, now, new)
        _visited(service, changes, new)
        # An application knows one password of an admin: once it takes the new one, this is the only other that it could.
        before = now if now != new else next(iter(older(service.name).get(admin.secret, ())), "")
        if before and _still(service, changes, before):
            return f"{service.title} takes the new password of {admin.login} and the one of before: look at it there"
    except Denied as error:
        return f"{service.title}: {_unknown(service, admin, str(error))}"
    except (Failed, *_STRANGE) as error:
        return f"{service.title}: {error}: the same command again ends it"
    host().log(
        f"{service.title}: {admin.login} signs in with the new password, and not with the one of before"
    )
    return ""


def _still(service: Service, changes: Changes, password: str) -> bool:
    try:
        _visited(service, changes, password)
    except Denied:
        return False
    return True
