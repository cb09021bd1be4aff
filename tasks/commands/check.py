"""Check: what users do, done once for each service through its public domain, with its own first admin; leaves nothing behind,
also when it is ended. What a kill or a power cut has left, the next one removes.

``pyinfra -y inventories/prod.py tasks.commands.check.run`` exits with 0 only when every step worked. SMARTEROS_CHECK names
the services, when it is not about all. ``verify`` says whether they answer, ``status`` how they are.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

from pyinfra import logger

from tasks.clients import ending
from tasks.clients.alone import alone
from tasks.clients.browser import Browser, Place
from tasks.clients.vault_values import values
from tasks.commands import logs, test_mail
from tasks.commands.chosen import chosen
from tasks.commands.steps import ENDED, Step, answered, reasons, table
from tasks.connection import grouped
from tasks.facts.answering import AnsweringFact, Image
from tasks.model import catalogue
from tasks.model.catalogue import Service
from tasks.model.targets import target
from tasks.model.visitor import Denied, Ended, Failed, Missing, OutOfReach, Visitor
from tasks.operations import dns
from tasks.run import Commands, Refused, executing, host, known, operation, services, stack, together
from tasks.services import load
from tasks.verify import trust

CHOICE = "SMARTEROS_CHECK"


def run() -> None:
    """The command ``make check``."""
    used(name="Check | what users do, service by service")


@operation
def used() -> Commands:
    """Does it for all services side by side, prints the table, and fails the host when a step did."""
    if not executing():
        return
    yield from ()
    every = load(stack()) if grouped.cluster() else services()
    asked = [item for item in named(os.environ.get(CHOICE, ""), every) if item in services()]
    if not asked and grouped.cluster():  # another node's
        return
    try:
        with ending.listening(), ExitStack() as leaving:
            with ending.visit():
                leaving.enter_context(alone())
                images = known(AnsweringFact)
                if not images:
                    raise Refused(
                        f"nothing of ours is on {host().name}: deploy first ({target('deploy')}); "
                        f"where that was done, {target('status')} says why"
                    )
                trust()  # its refusal is not a service's
            _checked(asked, images)
    except Ended as error:
        raise Refused(f"{host().name}: the check was ended {error}") from None


def _checked(asked: Sequence[Service], images: Mapping[str, Image]) -> None:
    mailing = [] if os.environ.get(CHOICE) or stack().mail is None else [_mailed]
    began = time.monotonic()
    visits = [partial(_visit, one, images) for one in asked]
    steps = [step for found in together(*visits, *mailing) for step in found]
    for line in table(steps, {service.name: answered(service, images) for service in asked}):
        logger.info(line)
    failed = [step for step in steps if step.why]
    lines = [f"    {line}" for line in reasons(failed)]
    if how := ending.ended():
        kept = (
            "; what failed, or is left for the next check to remove:" if failed else ", and has left nothing"
        )
        raise Refused("\n".join([f"{host().name}: the check was ended {how}{kept}", *lines]))
    if failed:
        said = {step.service for step in failed}
        seconds = int(time.monotonic() - began) + 5
        ends = logs.said([service for service in asked if service.name in said], seconds, values)
        raise Refused("\n".join([f"{host().name} does not do what its users want:", *lines, *ends]))


def named(choice: str, every: Sequence[Service]) -> list[Service]:
    """The services that are checked: those with something to check, or those that were asked for. Raises Refused. Pure."""
    checked = [service for service in every if service.users]
    wanted = [chosen(name, checked, "is checked") for name in choice.replace(",", " ").split()]
    return [service for service in checked if not wanted or service in wanted]


def _visit(service: Service, images: Mapping[str, Image]) -> list[Step]:
    """One service's steps; nothing that goes wrong there stops the others."""
    lab = images.get(service.main.name, Image()).lab
    first = Step(service.name, "start")
    found: list[Step] = []
    try:
        with ending.visit(), ending.Leaving() as leaving:
            secrets = values(service.name) if service.secrets else {}
            visitor = Browser(place(service), secrets, trust(), stack().trusted_root)
            leaving.callback(visitor.close)
            found += taken(service, visitor, lab=lab, mount=stack().vault_mount)
    except Refused as error:
        found.append(replace(first, why=str(error)))
    except Ended:
        found = found or [replace(first, skipped=ENDED)]
    return found


def _mailed() -> list[Step]:
    """The mail server takes a message from the services' network; it is for whom the first admins' mails are for."""
    step = Step("mail", "one message is delivered")
    began = time.monotonic()
    try:
        with ending.visit():
            test_mail.delivered(stack().acme_email or "")
    except Refused as error:
        step = replace(step, why=str(error))
    except Ended:
        step = replace(step, skipped=ENDED)
    return [replace(step, seconds=time.monotonic() - began)]


def place(service: Service) -> Place:
    """What the service is asked as."""
    names = tuple(name for route in service.routes for name in catalogue.domains(stack(), route))
    return Place(
        domains=tuple(dns.domains()) if service.phase == "proxy" else names,
        port=next((int(port.split(":")[1]) for port in service.main.ports if port.count(":") == 2), 0),
        guarded=any(route.guard for route in service.routes),
        direct=any(route.allow_from for route in service.routes),
        login=service.admin.login if service.admin else "",
        services=tuple(item.name for item in services()),
        vault=f"{stack().vault_mount}/{service.name}",
    )


def taken(service: Service, visitor: Visitor, *, lab: bool = False, mount: str = "secret") -> Iterator[Step]:
    """The steps as they were taken, up to the first that failed."""
    users = service.users
    steps = users(visitor) if users else iter(())
    current = Step(service.name, "start")
    while True:
        began = time.monotonic()
        try:
            following = next(steps)
        except StopIteration:
            following = ""
        except (Ended, Failed, Refused, LookupError, TypeError, ValueError, AttributeError) as error:
            yield replace(_failed(service, current, error, lab, mount), seconds=time.monotonic() - began)
            return
        if current.name != "start":
            yield replace(current, seconds=time.monotonic() - began)
        if not following:
            return
        current = Step(service.name, following)


def _failed(service: Service, step: Step, error: BaseException, lab: bool, mount: str) -> Step:
    """The first that went wrong; and what then went wrong with the clean-up."""
    found: list[BaseException] = [one for one in _chain(error) if isinstance(one, (Ended, Failed, Refused))]
    first, *later = reversed(found or [error])
    if isinstance(first, Ended):
        why = "; then ".join(dict.fromkeys(map(str, later)))
        return replace(step, why=why and f"{ENDED}; then {why}", skipped=ENDED)
    if isinstance(first, OutOfReach):
        return replace(step, skipped=f"not from this machine: {first}")
    if isinstance(first, Missing) and lab:
        return replace(step, skipped=f"not against this image: {first}")
    why = str(first) if isinstance(first, (Failed, Refused)) else _strange(first)
    if isinstance(first, Denied):
        why = denied(service, mount, why)
    return replace(step, why="; then ".join([why, *map(str, later)]))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__context__


def _strange(error: BaseException) -> str:
    return f"is answered otherwise than this version of it answers ({type(error).__name__}: {error})"[:200]


def denied(service: Service, mount: str, why: str) -> str:
    """What to do about a first admin who is not let in. Pure."""
    admin = service.admin
    if admin is None:
        return why
    where = f"{mount}/{service.name}#{admin.secret}"
    todo = admin.restored or (
        f"if it was the password, {target(f'give-secrets NAME={service.name}#{admin.secret}')} tells Vault the new one; where a "
        f"rotation was cut short, or a restore has brought an earlier one back, {target(f'rotate SERVICE={service.name}')} gives both another"
    )
    return (
        f"{admin.login} is not let in with the password in Vault ({where}): a person has changed it, or the login, or has "
        f"asked for a second factor: {todo} ({why})"
    )
