"""Fitting: what programs ask of a value that a person gives, and that what is made for them has it."""

import pytest

from tasks.model.fitting import lacks
from tasks.model.made import generated
from tasks.model.rotation import places
from tasks.services import load
from tests.samples import stack

FOUND = places(load(stack()))


@pytest.mark.parametrize(
    ("place", "value", "missing"),
    [
        (
            "vault-auth-validator#SESSION_KEY",
            "xyz",
            ["exactly 64 hexadecimal digits (`openssl rand -hex 32` makes them)"],
        ),
        ("vault-auth-validator#SESSION_KEY", "0F" * 32, []),
        ("chatwoot#ADMIN_PASSWORD", "aB3!", ["at least 6 characters"]),
        ("chatwoot#ADMIN_PASSWORD", "abcdef", ["an upper-case letter", "a digit", "a character that is neither"]),
        ("metabase#ADMIN_PASSWORD", "abcdefgh", ["a digit"]),
        ("dokploy#ADMIN_PASSWORD", "Aa1!", ["at least 8 characters"]),
        ("odoo#ADMIN_PASSWORD", "x", []),
        ("n8n#N8N_OWNER_PASSWORD", "é" * 37, ["no more than 72 bytes"]),
        ("n8n#DB_POSTGRESDB_PASSWORD", "é", ["printable ASCII alone, for PostgreSQL"]),
        ("postgres#POSTGRES_PASSWORD", "a\tb", ["printable ASCII alone, for PostgreSQL"]),
        ("redis#REDIS_PASSWORD", "é", []),
    ],
)  # fmt: skip
def test_what_a_value_lacks_for_its_program(place: str, value: str, missing: list[str]) -> None:
    assert list(lacks(FOUND[place], value)) == missing


def test_what_is_made_lacks_nothing() -> None:
    made = {
        f"{service.name}#{name}": value
        for service in load(stack())
        for name, value in generated(service.secrets, {}).items()
    }
    assert {place for place, one in FOUND.items() if place in made and list(lacks(one, made[place]))} == set()
    assert len(made) > 20
