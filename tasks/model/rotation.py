"""Rotation: which secrets there are, and how each is changed."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from tasks.model.catalogue import Secret, Service
from tasks.model.given import place

# deploy: the next one brings it. signs: that, and everybody signs in again. first: only the first admin is made with it, and a
# rotation tells the application a new one. owner: the service takes its admin from there at each start. lasting: never. ours: a run's own, no service's.
Way = Literal["deploy", "signs", "first", "owner", "lasting", "ours"]


@dataclass(frozen=True)
class Place:
    """One secret in Vault. lost: what would be lost with it. made: the names beside it that are made from it. secret: as the
    catalogue has it. role: whether it is the password of a role of PostgreSQL's.
    """

    path: str
    name: str
    way: Way = "deploy"
    lost: str = ""
    made: tuple[str, ...] = ()
    service: str = ""  # the title of its service
    secret: Secret | None = None
    role: bool = False

    def __str__(self) -> str:
        """As it is written everywhere: path#name."""
        return f"{self.path}#{self.name}"


def places(services: Iterable[Service]) -> dict[str, Place]:
    """path#name → the secret; what is made of another is no one of its own."""
    found = [_place(item, each) for item in services for each in item.secrets if each.kind != "bcrypt"]
    return {str(one): one for one in found}


def _place(service: Service, secret: Secret) -> Place:
    made = tuple(each.name for each in service.secrets if each.kind == "bcrypt" and each.of == secret.name)
    path, name = place(service.name, secret) if secret.kind == "given" else (service.name, secret.name)
    role = service.name == "postgres" or secret.name in {database.secret for database in service.databases}
    return Place(path, name, _way(service, secret), secret.lasting, made, service.title, secret, role)


def _way(service: Service, secret: Secret) -> Way:
    if service.admin and service.admin.secret == secret.name:
        return "owner" if service.admin.restored else "first"
    return "lasting" if secret.lasting else "signs" if secret.signs else "deploy"
