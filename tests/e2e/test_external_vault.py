"""An external Vault: its address in the settings, a credential in the environment, nothing else differs."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import hvac
import pytest

from tests.e2e.clients import browser, kept_file
from tests.e2e.deployment import Deployment
from tests.lab import addresses, images, network
from tests.lab.lab import Lab
from tests.lab.network import Spec

DOMAIN = "api.external.cl"
NUMBER = 5  # of its address in the lab's network

# A server as anybody runs one; the entrypoint's flags for its development mode do nothing without -dev.
SERVER = """{
  "disable_mlock": true,
  "api_addr": "http://127.0.0.1:8200",
  "cluster_addr": "http://127.0.0.1:8201",
  "storage": [{"raft": {"path": "/openbao/file", "node_id": "external"}}],
  "listener": [{"tcp": {"address": "0.0.0.0:8200", "tls_disable": true}}]
}"""
# What its owner grants to who deploys: the README says so.
POLICY = """
path "kv/data/*" { capabilities = ["create", "read", "update"] }
path "kv/metadata/*" { capabilities = ["list", "read"] }
"""


@dataclass(frozen=True)
class External:
    """A Vault that is not ours: its address, root's client, and the deployer's AppRole there."""

    client: hvac.Client
    role: dict[str, str]

    @property
    def token(self) -> dict[str, str]:
        """The environment with a token of the deployer's policy."""
        made = self.client.auth.token.create(policies=["deployer"], ttl="1h")
        return {"VAULT_TOKEN": str(made["auth"]["client_token"])}

    def settings(self, **others: Any) -> dict[str, Any]:
        """What an inventory says to use it."""
        return {
            "zone": "external.cl",
            "mirror_zones": [],
            "services": ["postgres", "redis", "vault-auth-validator", "caddy"],
            "vault_address": self.client.url,
            "vault_mount": "kv",
            **others,
        }


@pytest.fixture(scope="module")
def external(lab: Lab) -> Iterator[External]:
    """A server in the lab's network, initialised, unsealed, with KV v2 and an AppRole for the deployer."""
    address = addresses.address(lab.description.subnet, NUMBER)
    process = {"command": ["server"], "environment": {"BAO_LOCAL_CONFIG": SERVER}}
    container = network.make(
        lab.client,
        lab.state.key,
        Spec("external", images.ensure(lab.client, "openbao"), address, process=process),
    )
    container.start()
    try:
        client = hvac.Client(url=f"http://{address}:8200", timeout=30)
        yield External(client, set_up(client))
    finally:
        container.remove(force=True, v=True)


def set_up(client: hvac.Client) -> dict[str, str]:
    """What the owner of a Vault does; the environment with the deployer's AppRole."""
    wait_for(client, 501)
    made = client.sys.initialize(1, 1)
    client.token = made["root_token"]
    client.sys.submit_unseal_key(made["keys"][0])
    wait_for(client, 200)
    client.sys.enable_secrets_engine("kv", "kv", options={"version": "2"})
    client.sys.enable_auth_method("approle")
    client.sys.create_or_update_acl_policy("deployer", POLICY)
    client.auth.approle.create_or_update_approle("deployer", token_policies=["deployer"])
    return {
        "VAULT_ROLE_ID": client.auth.approle.read_role_id("deployer")["data"]["role_id"],
        "VAULT_SECRET_ID": client.auth.approle.generate_secret_id("deployer")["data"]["secret_id"],
    }


def wait_for(client: hvac.Client, health: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            status = client.sys.read_health_status(method="HEAD").status_code
        except OSError:
            status = 0
        if status == health:
            return
        assert time.monotonic() < deadline, f"the external Vault's health is {status}, not {health}"
        time.sleep(0.1)


def test_a_bare_host_is_deployed_with_it(spare: Deployment, external: External) -> None:
    spare.lab.point([DOMAIN], spare.host)
    token, before = external.token, state_of(spare)
    run = spare.converge(**external.settings(), environment=token)
    assert [name for name in run.changes if name.startswith(("Vault", "Secrets", "Data", "Proxy"))] == [
        "Secrets | what is missing is generated into Vault",
        "Secrets | /vault/secrets/<service>.env",
        "Data | PostgreSQL",
        "Data | Redis",
        "Data | roles, databases and extensions",
        "Proxy | Caddy",
    ]
    stored = {
        name: read(external, name) for name in ("smarteros", "postgres", "redis", "vault-auth-validator")
    }
    assert {name: sorted(values) for name, values in stored.items()} == {
        "smarteros": ["DIGEST_KEY"],
        "postgres": ["POSTGRES_PASSWORD"],
        "redis": ["REDIS_PASSWORD"],
        "vault-auth-validator": ["SESSION_KEY"],
    }
    ping = 'docker exec -i redis sh -c "read -r REDISCLI_AUTH; export REDISCLI_AUTH; redis-cli ping"'
    assert spare.host.run(ping, input=stored["redis"]["REDIS_PASSWORD"] + "\n").stdout == "PONG\n"
    spare.unchanged(**external.settings(), environment=external.role)
    assert {name: read(external, name) for name in stored} == stored
    assert state_of(spare) == before  # nothing of a Vault that is not ours is kept here
    answer = browser(spare).get(f"https://{DOMAIN}/validate", headers={"X-Vault-Token": token["VAULT_TOKEN"]})
    assert (answer.status_code, answer.headers["x-vault-policies"]) == (200, "default,deployer")


def state_of(deployment: Deployment) -> dict[str, bytes]:
    """What this machine keeps of the host."""
    folder = kept_file(deployment).parent
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def read(external: External, path: str) -> dict[str, str]:
    """The secrets that the external Vault holds there."""
    found = external.client.secrets.kv.v2.read_secret_version(
        path, mount_point="kv", raise_on_deleted_version=True
    )
    return dict(found["data"]["data"])


def test_a_missing_or_wrong_credential_is_told(spare: Deployment, external: External) -> None:
    address = external.client.url
    missing = (
        f"the Vault at {address} needs a credential: set VAULT_TOKEN, or VAULT_ROLE_ID and VAULT_SECRET_ID, "
        "in the environment"
    )
    assert missing in spare.refused(**external.settings()).lines
    run = spare.refused(**external.settings(), environment={"VAULT_TOKEN": "s.wrong"})
    (said,) = [line for line in run.lines if line.startswith("the Vault at")]
    assert said.startswith(
        f"the Vault at {address} refuses VAULT_TOKEN, which is mistyped, has expired or was revoked ("
    )
    assert said.endswith("): set a live one")
    run = spare.refused(**external.settings(), environment={**external.role, "VAULT_SECRET_ID": "wrong"})
    (said,) = [line for line in run.lines if line.startswith("the Vault at")]
    assert said == (
        f"the Vault at {address} refuses VAULT_ROLE_ID and VAULT_SECRET_ID (invalid role or secret ID): set those of a live "
        "secret id (vault write -f auth/approle/role/<role>/secret-id), or VAULT_TOKEN"
    )


def test_an_address_where_nothing_answers_is_told(spare: Deployment, external: External) -> None:
    nowhere = external.client.url.replace(":8200", ":8299")
    run = spare.refused(**external.settings(vault_address=nowhere), environment=external.role)
    refused = f"logging in to Vault: {nowhere} does not answer ([Errno 111] Connection refused)"
    assert refused in run.lines
