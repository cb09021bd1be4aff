"""Given: secrets that nothing of ours makes, since only a person knows them; where they are kept in Vault."""

from collections.abc import Iterable

from tasks.model import notify
from tasks.model.catalogue import Secret, Service
from tasks.model.stack import Stack

# Vault's path of what opens the bucket: `make bucket` makes it, and nobody is asked for it.
BUCKET = "backup"


def place(service: str, secret: Secret) -> tuple[str, str]:
    """Vault path and name of the service's secret, which others may share."""
    path, _, name = secret.of.partition("#")
    return path or service, name or secret.name


def given(services: Iterable[Service]) -> tuple[tuple[str, str], ...]:
    """Path and name of each that these services need, once."""
    found = (place(item.name, each) for item in services for each in item.secrets if each.kind == "given")
    return tuple(dict.fromkeys(found))


def asked(services: Iterable[Service], stack: Stack) -> tuple[tuple[str, str], ...]:
    """Those that a person is asked for, for a service or to be told what happens."""
    found = ((path, name) for path, name in given(services) if path != BUCKET)
    return tuple(dict.fromkeys((*found, *notify.places(stack))))
