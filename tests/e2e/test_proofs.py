"""Proofs: what rows of Odoo and Chatwoot name and no copy has is named by a drill; files, rows and databases are real.

Neither program has to run for that: beside the generation of the host stands one that has them, and their scripts are run from there.
"""

import base64
import hashlib
from collections.abc import Iterator

import pytest

from tasks.operations.files import archive
from tasks.rendering.render import CURRENT, tree
from tests.e2e.backed import SERVICES, Backed
from tests.e2e.deployment import Deployment
from tests.lab import smarteros

BESIDE = "/tmp/beside"
RESTORES = "/var/lib/smarteros/restore"
BOTH = ("odoo", "chatwoot")
# What the service has of a file; None: it has lost it.
FILES = {"good": "good", "lost": None, "damaged": "damagedX"}
MADE = """
docker exec -i postgres psql -qX -v ON_ERROR_STOP=1 -U postgres <<'END'
CREATE ROLE odoo LOGIN; CREATE DATABASE odoo OWNER odoo; CREATE ROLE chatwoot LOGIN; CREATE DATABASE chatwoot OWNER chatwoot;
\\connect odoo
CREATE TABLE ir_attachment (store_fname varchar, checksum varchar); ALTER TABLE ir_attachment OWNER TO odoo;
\\connect chatwoot
CREATE TABLE active_storage_blobs (key varchar, service_name varchar, checksum varchar); ALTER TABLE active_storage_blobs OWNER TO chatwoot;
END
"""
GONE = f"""
rm -rf {BESIDE} {RESTORES}/lost.* /var/lib/smarteros/backup/odoo.since
rm -f /var/lib/smarteros/backup/chatwoot.since {RESTORES}/verified/odoo.* {RESTORES}/verified/chatwoot.*
docker volume rm --force odoo_data odoo_extra chatwoot_storage >/dev/null
docker exec postgres psql -qAtX -U postgres -c "SELECT datname FROM pg_database WHERE datname ~ '^(odoo|chatwoot)'" | while read -r name; do
    docker exec postgres psql -qX -U postgres -c "DROP DATABASE $name WITH (FORCE)" </dev/null
done
docker exec postgres psql -qX -U postgres -c 'DROP ROLE IF EXISTS odoo' -c 'DROP ROLE IF EXISTS chatwoot'
"""


@pytest.fixture
def both(backed: Backed) -> Iterator[Deployment]:
    """The host, with a generation beside its own that has both, and with what they store."""
    host = backed.host
    setting = host.lab.bucket(host.host.name)
    stack = smarteros.settings(services=[*SERVICES, *BOTH], backup=setting)
    texts = {path: text.replace(CURRENT, BESIDE) for path, text in tree(stack).items()}
    host.host.run(f"mkdir -p {BESIDE} && base64 -d | tar -xzf - -C {BESIDE}", input=archive(texts))
    try:
        host.sh(MADE)
        for name, holds in FILES.items():
            _stored(host, name, holds)
        _row(host, "odoo", "INSERT INTO ir_attachment VALUES ('s3://there/far', 'aa')")
        _row(host, "chatwoot", "INSERT INTO active_storage_blobs VALUES ('faraway', 'amazon', 'aa')")
        host.sh(f"sh {BESIDE}/backup/files.sh && sh {BESIDE}/backup/heartbeat.sh")
        yield host
    finally:
        host.sh(GONE)


def _row(host: Deployment, database: str, statement: str) -> None:
    host.host.run(
        f"docker exec -i postgres psql -qX -v ON_ERROR_STOP=1 -U postgres -d {database}",
        input=f"{statement};\\q\n",
    )


def _odoo(name: str) -> str:
    """Where Odoo has it, below its filestore."""
    number = hashlib.sha1(name.encode()).hexdigest()
    return f"{number[:2]}/{number}"


def _chatwoot(name: str) -> str:
    return f"{name[:2]}/{name[2:4]}/{name}"


def _stored(host: Deployment, name: str, holds: str | None) -> None:
    """A row of each, and what there is of its file."""
    number, sum_ = _odoo(name), base64.b64encode(hashlib.md5(name.encode()).digest()).decode()
    _row(host, "odoo", f"INSERT INTO ir_attachment VALUES ('{number}', '{number[3:]}')")
    _row(host, "chatwoot", f"INSERT INTO active_storage_blobs VALUES ('{name}', 'local', '{sum_}')")
    for volume, path in (("odoo_data", f"filestore/odoo/{number}"), ("chatwoot_storage", _chatwoot(name))):
        file = f"$(docker volume inspect --format '{{{{.Mountpoint}}}}' {volume})/{path}"
        host.sh(f"docker volume create {volume} >/dev/null; docker volume create odoo_extra >/dev/null")
        if holds is not None:
            host.sh(f'mkdir -p "$(dirname "{file}")" && printf %s {holds} >"{file}"')


def test_files_that_rows_name_and_no_copy_has_are_named(both: Deployment) -> None:
    drilled = both.sh(f"bash {BESIDE}/restore/drill.sh full odoo chatwoot 2>&1; true", timeout=300)
    for service, where in (("odoo", _odoo), ("chatwoot", _chatwoot)):
        named = f"{service}: 2 files that rows of {service} name are missing or damaged in what runs as well"
        line = next(line for line in drilled.splitlines() if line.startswith(named))
        assert all(where(name) in line for name in ("lost", "damaged")), line
        assert f"{service}: database has come back whole" in drilled
