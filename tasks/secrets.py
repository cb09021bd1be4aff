"""Secrets: what is missing is generated into Vault once; /vault/secrets/<service>.env is rendered from it.

Existing values are never touched: writes are check-and-set on the version that was read. What only a person knows is
asked for (tasks/commands/give_secrets.py).
"""

import hashlib
import hmac
import json
import re
from collections.abc import Iterator, Mapping
from functools import partial
from urllib.parse import quote

from pyinfra import logger

from tasks.clients import vault_access, vault_past, vault_values
from tasks.clients.vault_values import values, versioned
from tasks.connection import grouped
from tasks.facts import DockerFact, TreeFact
from tasks.model import envfile
from tasks.model.catalogue import Secret, Service
from tasks.model.given import BUCKET, place
from tasks.model.made import generated
from tasks.model.shapes import shown
from tasks.operations import files, lasting
from tasks.rendering.render import SECRETS, SECRETS_VARIABLE
from tasks.run import (
    Commands,
    Refused,
    executing,
    host,
    known,
    operation,
    remember,
    services,
    stack,
    step,
    together,
)

# Our own path: the key of the digests that containers and roles are compared by.
OWN_PATH = "smarteros"
DIGEST_KEY = Secret("DIGEST_KEY", kind="hex", length=64)

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def run() -> None:
    """The phase: fill what is missing in Vault, then render the env files. A node that runs nothing with secrets asks no Vault."""
    if grouped.cluster() and not any(item.secrets for item in services()):
        return
    filled(name="Secrets | what is missing is generated into Vault")
    rendered(name=f"Secrets | {SECRETS}/<service>.env")


def wanted() -> dict[str, tuple[Secret, ...]]:
    """Vault path → the secrets that have to be there, and are made where they are not."""
    made = {item.name: tuple(each for each in item.secrets if each.kind != "given") for item in services()}
    return {OWN_PATH: (DIGEST_KEY,), **{name: secrets for name, secrets in made.items() if secrets}}


@operation
def filled() -> Commands:
    """Writes the missing ones of each path in one check-and-set write."""
    if vault_access.out_of_reach():
        vault_values.writing()
        yield "true"
        return
    if lost := vault_values.lost():
        raise Refused(vault_values.to_be_given(lost))
    found = together(*(partial(versioned, path) for path in wanted()))
    begun = versioned(OWN_PATH)[1] > 0
    for (path, declared), (present, version) in zip(wanted().items(), found, strict=True):
        if begun and not version:
            lasting.refuse_what_is_gone(path, declared)
        kept = lasting.of_before(path, declared, present)
        try:
            missing = {**kept, **generated(declared, {**present, **kept})}
        except envfile.Impossible as error:
            raise Refused(f"{stack().vault_mount}/{path}#{error}") from None
        if missing:
            vault_values.writing()
            yield step(partial(vault_values.write, path, {**present, **missing}, version))


def to_come(*needed: tuple[str, str]) -> bool:
    """Whether this is only a plan, of a run that will make some of these (path and name) first: nothing can be compared with
    them yet.
    """
    if vault_access.out_of_reach():
        return True
    lost = [
        f"{path}#{name}" for path, name in ((OWN_PATH, DIGEST_KEY.name), *needed) if name not in values(path)
    ]
    if lost and executing():
        raise Refused(f"Vault has not kept {stack().vault_mount}/{lost[0]}, which was written to it")
    return bool(lost)


def _made_of(service: Service) -> Iterator[tuple[str, str]]:
    """Path and name of each secret that its env file is made of, but of what people give."""
    yield from ((service.name, each.name) for each in service.secrets if each.kind != "given")
    shared = (place(service.name, each) for each in service.secrets if each.kind == "given")
    yield from (found for found in shared if found[0] == BUCKET)
    if service.name == "redis":
        yield from ((item.name, item.redis.secret) for item in services() if item.redis)


@operation
def rendered() -> Commands:
    """All env files that differ, in one command; a swarm's tasks have none."""
    if vault_access.out_of_reach():
        yield "true"
        return
    filed = [item for item in services() if item.secrets and not item.nodes]
    texts = {f"{item.name}.env": env_text(item) for item in filed if not to_come(*_made_of(item))}
    remember("not told", lambda: _warn_of_untold(texts))
    yield from files.secret_files(texts)
    if len(texts) < len(filed):
        yield "true"  # planning, with secrets that are still to be made


def _warn_of_untold(texts: Mapping[str, str]) -> None:
    """A file that has all as it is now but an earlier password of the first admin's; one that somebody has edited is none."""
    found, digests = known(TreeFact, SECRETS, (), "077"), known(DockerFact).env_digests
    for name, state in files.expected(texts, mode="600").items():
        item = next(each for each in services() if f"{each.name}.env" == name)
        if not item.admin or name not in found or found[name].sha256 == state.sha256:
            continue
        if digests.get(item.name) == digest(item) and found[name].sha256 in _earlier(item, item.admin.secret):
            place = f"{item.name}#{item.admin.secret}"
            line = f"{place} has changed in Vault, and {item.title} is not told: where you have not changed it there yet, do"
            host().log_styled(line, fg="yellow", log_func=logger.warning)


def _earlier(service: Service, secret: str) -> Iterator[str]:
    """SHA-256 of its env file with each value of that secret that Vault still has of before."""
    for value in vault_past.older(service.name).get(secret, ()):
        yield hashlib.sha256(env_text(service, {secret: value}).encode()).hexdigest()


def coming(service: Service) -> str:
    """The digest of its secrets that containers will have to show; empty where this is no plan or Vault tells nothing yet."""
    if not service.secrets or executing() or vault_access.out_of_reach():
        return ""
    uncounted = {(service.name, name) for name in _uncounted(service)}
    counted = (each for each in _made_of(service) if each not in uncounted)
    return "to come" if to_come(*counted) else digest(service)


def digest(service: Service) -> str:
    """Tells whether a container was made from these secrets. It need not be made anew for what it reads at its very first start alone."""
    uncounted = _uncounted(service)
    return keyed_digest({name: value for name, value in variables(service).items() if name not in uncounted})


def _uncounted(service: Service) -> set[str]:
    """Names of what only its data or its first admin are made with."""
    first = {service.admin.secret} if service.admin and not service.admin.restored else set()
    return first | {each.name for each in service.secrets if each.initial}


def variables(service: Service) -> dict[str, str]:
    """All that its containers are given of secrets."""
    own = {} if service.name == BUCKET else values(service.name)
    return {**own, **_given(service), **_composed(service), **_redis_users(service)}


def env_text(service: Service, other: Mapping[str, str] | None = None) -> str:
    """The service's env file: all its secrets and their keyed digest. other: of these names another value. Raises Refused for impossible
    values.
    """
    present = {**variables(service), **(other or {})}
    where = f"{stack().vault_mount}/{service.name}"
    for name in present:
        if not _NAME.fullmatch(name):
            raise Refused(f"{where}#{shown(name)} is no name of a variable: use letters, digits and _")
    try:
        return envfile.encode({**present, SECRETS_VARIABLE: digest(service)})
    except envfile.Impossible as error:
        raise Refused(f"{where}#{error}") from None


def _given(service: Service) -> dict[str, str]:
    """What a person gave, under the name that the service knows it by."""
    places = {each.name: place(service.name, each) for each in service.secrets if each.kind == "given"}
    return {variable: values(path)[name] for variable, (path, name) in places.items()}


def _composed(service: Service) -> dict[str, str]:
    """Addresses that hold a password, made anew each time, so that they follow it."""
    # What is no text is refused later, with all values of the path.
    quoted = {name: quote(value, safe="", errors="replace") for name, value in values(service.name).items()}
    return {name: text.format_map(quoted) for name, text in service.composed.items()}


def _redis_users(service: Service) -> dict[str, str]:
    """For Redis: each user's password as the SHA-256 that an ACL takes, so that it knows none of them."""
    if service.name != "redis":
        return {}
    users = [(item, item.redis) for item in services() if item.redis]
    return {
        f"REDIS_USER_{user.name}": hashlib.sha256(values(item.name)[user.secret].encode()).hexdigest()
        for item, user in users
    }


def keyed_digest(present: Mapping[str, str]) -> str:
    """Tells whether a container was made from these values, and says nothing about them to who reads it."""
    return hmac.new(_key(), json.dumps(sorted(present.items())).encode(), hashlib.sha256).hexdigest()[:32]


def keyed_bytes(*parts: str) -> bytes:
    """16 bytes that are the same in every run for the same parts, and unknown to anyone without the key."""
    return hmac.new(_key(), json.dumps(parts).encode(), hashlib.sha256).digest()[:16]


def _key() -> bytes:
    return values(OWN_PATH)[DIGEST_KEY.name].encode()
