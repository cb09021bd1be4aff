"""Contradictions among settings, seen without the catalogue; these hold on data of any type."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from tasks.model.authorities import uncertified
from tasks.model.login_key_types import unlisted
from tasks.model.mail_types import unsendable
from tasks.model.notify_types import untellable
from tasks.model.words import suggestion

Table = Mapping[Any, Any]


def contradictions(settings: Mapping[str, Any], names: tuple[str, ...]) -> Iterable[str]:
    """Mistakes that pydantic's field types cannot see; must hold on data of any type."""
    services = strings(settings.get("services"))
    networks = strings(settings.get("networks"))
    for index, name in enumerate(services):
        if name not in names:
            yield f"services.{index}: unknown service {name!r}{suggestion(name, names)}"
        elif name in services[:index]:
            yield f"services.{index}: {name!r} is listed twice"
    for index, name in enumerate(networks):
        if name in networks[:index]:
            yield f"networks.{index}: {name!r} is listed twice"
    yield from _vault_contradictions(settings, meant(services, names))
    yield from _zones(settings)
    yield from unsendable(settings.get("mail"))
    yield from untellable(settings.get("notify"), settings.get("mail"))
    yield from unlisted(settings.get("login_keys"), strings(settings.get("login_users")))
    if "caddy" in services:
        if settings.get("acme_email") is None:
            yield f"acme_email: is required: {_ADDRESS}"
        yield from uncertified(settings)
    yield from _of_services(_table(settings.get("overrides")), _table(settings.get("forks")), names)


_ADDRESS = (
    "the contact of the account at the certificate authority, and the login of the services' first admin"
)


def _zones(settings: Mapping[str, Any]) -> Iterable[str]:
    mirrors = strings(settings.get("mirror_zones"))
    for index, name in enumerate(mirrors):
        if name == settings.get("zone"):
            yield f"mirror_zones.{index}: {name!r} is the zone itself, where everything answers anyway"
        elif name in mirrors[:index]:
            yield f"mirror_zones.{index}: {name!r} is listed twice"


def mirrors(settings: Mapping[str, Any]) -> list[str]:
    """The mirror zones without what stands there twice: nothing else is said to collide because of it."""
    return [
        name for name in dict.fromkeys(strings(settings.get("mirror_zones"))) if name != settings.get("zone")
    ]


def _of_services(overrides: Table, forks: Table, names: tuple[str, ...]) -> Iterable[str]:
    for setting, table in (("overrides", overrides), ("forks", forks)):
        for name in table:
            if name not in names:
                yield f"{setting}.{name}: unknown service{suggestion(str(name), names)}"
    for name, change in overrides.items():
        if _table(change).get("build") and name not in forks:
            yield f"overrides.{name}.build: needs {name!r} in forks, which says where its source is"
        if _table(change).get("build") and change.get("image"):
            yield f"overrides.{name}.build: contradicts overrides.{name}.image: choose one"


def _vault_contradictions(settings: Mapping[str, Any], services: list[str]) -> Iterable[str]:
    shares, threshold = settings.get("vault_shares", 5), settings.get("vault_threshold", 3)
    if isinstance(shares, int) and isinstance(threshold, int) and threshold > shares:
        yield f"vault_threshold: {threshold} is more than vault_shares ({shares}): it could never be unsealed"
    if threshold == 1 and isinstance(shares, int) and shares > 1:
        yield "vault_threshold: 1 needs vault_shares = 1 (Vault refuses several shares of which one is enough)"
    if settings.get("vault_address") and "vault" in services:
        yield "vault_address: an external Vault is set, so 'vault' must not be in services"
    if not settings.get("vault_address") and services and "vault" not in services:
        yield "services: 'vault' is missing, and no vault_address names an external one"


def meant(services: Any, names: tuple[str, ...]) -> list[str]:
    """The services, a misspelt one as what was meant: nothing else is said to be missing because of it."""
    near = [match for name in strings(services) for match in get_close_matches(name, names, n=1)]
    return list(dict.fromkeys(near))


def _table(value: Any) -> Table:
    return value if isinstance(value, dict) else {}


def strings(value: Any) -> list[str]:
    """What of a list is text."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list | tuple) else []
