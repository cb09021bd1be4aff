"""Volumes that the last deploy has left, and that are gone, are named before anything begins with empty ones."""

from typing import Any

from tasks.operations import lost
from tests.fake import fake

ODOO = ("odoo_data", "odoo_extra")


def said(*lines: str, **changes: Any) -> list[str]:
    """What is said where Docker and the note have these."""
    with fake({"docker ps -aq": list(lines)}, **changes) as host:
        return [line.replace(str(host.name), "HOST") for line in lost.refusals()]


def there(*names: str) -> list[str]:
    return [f'v|{{"name":"{name}","driver":"local","mountpoint":"","labels":{{}}}}' for name in names]


def noted(*names: str) -> list[str]:
    return [f"g|{name}" for name in names]


def test_what_was_noted_and_is_gone_is_named_with_what_to_do() -> None:
    assert said() == []
    assert (
        said(*noted("caddy_logs", "vault_data", "theirs")) == []
    )  # nothing is lost with it; Vault says so itself; nobody's
    (line,) = said(
        *noted("n8n_data", *ODOO), *there("n8n_data"), services=["vault", "postgres", "odoo", "n8n"]
    )
    label = "docker volume create --label smarteros.service=odoo"
    assert line == (
        "odoo: odoo_data, odoo_extra: there after the last deploy of HOST, and gone with what it held: bring it back from a copy of yours, "
        f"or begin with an empty one ({label} odoo_data; {label} odoo_extra)"
    )


def test_with_backups_it_says_what_brings_it_back() -> None:
    some = {
        "backup": {"endpoint": "https://s3.example.com", "bucket": "one"},
        "services": ["vault", "postgres", "redis", "n8n", "odoo"],
    }
    n8n, odoo = ("`make restore SERVICE=n8n`", "`make restore SERVICE=odoo`")
    (line,) = said(*noted("odoo_data"), **some)
    assert line.endswith(f"odoo_data), deploy, and then {odoo} brings what the backup has")
    (line,) = said(*noted("postgres_data"), **some)
    assert line.endswith(f"postgres_data), deploy, and then {n8n} and {odoo} brings what the backup has")
    (line,) = said(*noted("redis_data"), **some)
    assert line.endswith("redis_data)")
