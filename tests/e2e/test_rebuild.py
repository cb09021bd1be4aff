"""A rebuilt host whose volumes were kept: one run brings all back, with the same secrets and the same data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.e2e.clients import browser, secrets
from tests.e2e.deployment import Deployment
from tests.e2e.test_secrets import FILLED, RENDERED
from tests.e2e.vault_access import PRIVATE, env_file_modes, opened

DATABASES = "botpress chatwoot dokploy metabase n8n odoo"
PSQL = "docker exec postgres psql -U postgres -qAt -v ON_ERROR_STOP=1"
ROW = "CREATE TABLE kept (word text); INSERT INTO kept VALUES ('kept')"
VOLUMES = "/var/lib/docker/volumes"
NAMED = (
    "botpress_data caddy_config caddy_data caddy_logs chatwoot_storage n8n_data odoo_data odoo_extra"
    " postgres_data redis_data vault_data"
)
CERTIFICATES = f"cd {VOLUMES}/caddy_data/_data && find . -name '*.crt' -o -name '*.key' | sort"


@dataclass(frozen=True)
class Kept:
    """What a rebuild must not change: secrets with their versions, files, certificates, rows, orders at the ACME server."""

    secrets: Mapping[str, Any]
    env_files: str
    certificates: str
    rows: str
    volumes: str
    orders: int


def kept(host: Deployment) -> Kept:
    with opened(host) as vault:
        found = vault.everything()
    return Kept(
        found,
        host.sh("sha256sum /vault/secrets/*"),
        host.sh(f"{CERTIFICATES} | xargs sha256sum"),
        host.sh(f"for name in {DATABASES}; do {PSQL} -d $name -c 'SELECT word FROM kept'; done"),
        host.sh(f"cd {VOLUMES} && ls -d */_data/kept"),
        host.lab.acme_orders(),
    )


def owner_logs_in(host: Deployment) -> bool:
    """Whether n8n lets its owner in, with the password from Vault."""
    password = secrets(host, "n8n")["N8N_OWNER_PASSWORD"]
    login = {"emailOrLdapLoginId": "ops@smarterbot.cl", "password": password}
    with browser(host) as session:
        return session.post("https://n8n.smarterbot.cl/rest/login", json=login).is_success


def test_a_rebuilt_host_with_kept_volumes_converges_in_one_run_and_loses_nothing(
    deployed: Deployment,
) -> None:
    deployed.sh(f'for name in {DATABASES}; do {PSQL} -d $name -c "{ROW}"; done')
    deployed.sh(f"set -e; cd {VOLUMES}; for name in {NAMED}; do touch $name/_data/kept; done")
    before = kept(deployed)
    assert (before.rows, before.volumes) == (
        "kept\n" * 6,
        "".join(f"{x}/_data/kept\n" for x in NAMED.split()),
    )
    assert (before.orders > 0, owner_logs_in(deployed)) == (True, True)

    deployed.lab.rebuild_host(deployed.host.name)
    assert (
        deployed.sh("ls -A /opt /etc/docker /vault 2>/dev/null; command -v docker", check=False) == "/opt:\n"
    )
    run = deployed.converge()
    assert (FILLED in run.changes, RENDERED in run.changes) == (False, True)
    assert [name for name in run.changes if "first admin" in name or "registered" in name] == []
    assert (kept(deployed), owner_logs_in(deployed)) == (before, True)
    assert env_file_modes(deployed) == PRIVATE
    deployed.unchanged()
    deployed.sh(f"for name in {DATABASES}; do {PSQL} -d $name -c 'DROP TABLE kept'; done")
    deployed.sh(f"rm {VOLUMES}/*/_data/kept")
