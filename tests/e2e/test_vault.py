"""Vault: initialised once, audited, one AppRole per service that reaches its own secrets and no others."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import httpx
import hvac
import pytest
from hvac.exceptions import Forbidden

from tests.e2e.clients import browser, kept_file, loopback, restart_vault, service_token
from tests.e2e.deployment import Deployment
from tests.e2e.vault_access import OWN_PATHS, PATHS, SERVICES, WITH_SECRETS, kept, opened

NAMES = tuple(service.name for service in SERVICES)
API = "https://api.smarterbot.cl"
ONLY_VAULT = {"services": ["vault"]}
# What a run has to do on a host that has not unsealed its Vault by itself.
UNSEALED = [
    "Vault | initialised and unsealed",
    "Boot | Vault is unsealed after a boot and a restart of its container",
]


@pytest.mark.parametrize("service", NAMES)
def test_an_approle_reads_its_own_secrets_and_no_others(deployed: Deployment, service: str) -> None:
    paths = (*NAMES, *OWN_PATHS)
    with opened(deployed) as ours:
        client = ours.client
        client.token = service_token(client, service)
        reached = {path: status(client, f"secret/data/{path}") for path in paths}
        listed = status(client, "secret/metadata?list=true")
        client.auth.token.revoke_self()
    # 404: allowed to read, and nothing is stored there.
    own = 200 if service in WITH_SECRETS else 404
    assert reached == {**dict.fromkeys(paths, 403), service: own}
    assert listed == 403


def status(client: hvac.Client, path: str) -> int:
    """The HTTP status of reading a path."""
    answer = client.session.get(f"{client.url}/v1/{path}", headers={"X-Vault-Token": client.token})
    return int(answer.status_code)


def test_an_approle_can_write_nothing(deployed: Deployment) -> None:
    with opened(deployed) as ours:
        client = ours.client
        client.token = service_token(client, "n8n")
        with pytest.raises(Forbidden):
            client.secrets.kv.v2.create_or_update_secret("n8n", {"A": "1"}, mount_point="secret")
        with pytest.raises(Forbidden):
            client.auth.approle.generate_secret_id("postgres")


def test_the_deployer_can_delete_nothing_and_make_no_tokens(deployed: Deployment) -> None:
    with opened(deployed) as ours:
        client = ours.client
        forbidden: list[Callable[[], object]] = [
            lambda: client.secrets.kv.v2.delete_metadata_and_all_versions("n8n", mount_point="secret"),
            lambda: client.sys.disable_secrets_engine("secret"),
            lambda: client.sys.create_or_update_acl_policy("root-like", 'path "*" {}'),
            lambda: client.auth.token.create(policies=["root"]),
        ]
        for call in forbidden:
            with pytest.raises(Forbidden):
                call()


def test_reads_are_audited_without_their_values(deployed: Deployment) -> None:
    with opened(deployed) as ours:
        values = {name: ours.read(name)[0] for name in PATHS}
        token = ours.client.token
    log = deployed.sh("docker logs vault 2>&1")
    lines = [json.loads(line) for line in log.splitlines() if line.startswith('{"time"')]
    audited = {line["request"]["path"] for line in lines if line["type"] == "response"}
    assert {f"secret/data/{name}" for name in values} <= audited
    stored = kept(deployed)
    plain = [value for found in values.values() for value in found.values()]
    assert [value for value in (*plain, token, stored["secret_id"], *stored["keys"]) if value in log] == []


def test_a_sealed_one_is_unsealed_and_never_initialised_again(deployed: Deployment) -> None:
    before = seal_status(deployed)
    assert before["initialized"]
    assert not before["sealed"]
    with opened(deployed) as ours:
        token = {"X-Vault-Token": service_token(ours.client, "n8n")}
    restart_vault(deployed)
    visitor = browser(deployed)
    assert answer(visitor.get(f"{API}/validate", headers=token)) == (
        503,
        {"error": "Vault is sealed: unseal it"},
    )
    assert answer(visitor.get(f"{API}/health")) == (200, {"status": "ok"})
    assert deployed.converge().changes == UNSEALED
    assert seal_status(deployed) == before
    assert answer(visitor.get(f"{API}/validate", headers=token)) == (200, {"status": "ok"})
    deployed.unchanged()


def answer(found: httpx.Response) -> tuple[int, object]:
    return found.status_code, found.json()


def seal_status(deployment: Deployment) -> dict[str, object]:
    """Whether it is initialised and sealed, and which cluster it is."""
    with loopback(deployment.host, 8200) as port:
        found = hvac.Client(url=f"http://127.0.0.1:{port}").sys.read_seal_status()
    return {name: found.get(name) for name in ("initialized", "sealed", "cluster_id", "t", "n")}


def test_a_first_deploy_keeps_what_it_must_and_forgets_root(spare: Deployment) -> None:
    with watching(spare, "root_token") as seen:
        spare.converge(**ONLY_VAULT)
    stored = kept(spare)
    assert stored["root_token"] == ""
    assert (len(stored["keys"]), bool(stored["role_id"]), bool(stored["secret_id"])) == (5, True, True)
    assert [oct(path.stat().st_mode & 0o777) for path in (kept_file(spare), kept_file(spare).parent)] == [
        "0o600",
        "0o700",
    ]
    assert [path.name for path in kept_file(spare).parent.iterdir()] == ["vault.json"]
    (root,) = seen
    with opened(spare) as ours:
        ours.client.token = root
        assert status(ours.client, "auth/token/lookup-self") == 403
    spare.unchanged(**ONLY_VAULT)


@contextmanager
def watching(deployment: Deployment, name: str) -> Iterator[set[str]]:
    """The values that a field of the state file has while the block runs."""
    seen: set[str] = set()
    done = Event()

    def watch() -> None:
        while not done.wait(0.01):
            if kept_file(deployment).exists() and (value := kept(deployment)[name]):
                seen.add(value)

    thread = Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


def test_without_its_keys_it_is_left_as_it_is(spare: Deployment, tmp_path: Path) -> None:
    spare.converge(**ONLY_VAULT)
    before = seal_status(spare)
    file = kept_file(spare)
    shutil.move(file, tmp_path / "vault.json")
    lost = (
        f"Vault is initialised, but its keys are not on this machine: restore {file} from "
        "where it was first deployed (settings: state_dir). It is never initialised a second time, since that "
        "would lose every secret"
    )
    assert lost in spare.refused(**ONLY_VAULT).lines
    restart_vault(spare)
    assert lost in spare.refused(**ONLY_VAULT).lines  # it cannot be unsealed without them either
    assert not file.exists()
    shutil.move(tmp_path / "vault.json", file)
    assert spare.converge(**ONLY_VAULT).changes == UNSEALED
    assert seal_status(spare) == before


def test_an_empty_volume_is_not_taken_for_a_new_vault(spare: Deployment) -> None:
    spare.converge(**ONLY_VAULT)
    before = kept_file(spare).read_bytes()
    spare.sh("docker rm -f vault && docker volume rm vault_data")
    assert (
        f"Vault on {spare.host.name} is empty, but {kept_file(spare)} holds keys of it: its volume vault_data "
        "is lost. Restore the volume, or move that file away to begin with new secrets"
    ) in spare.refused(**ONLY_VAULT).lines
    assert not seal_status(spare)["initialized"]
    assert kept_file(spare).read_bytes() == before
    # The second way that it names; the host is whole again for the next test.
    kept_file(spare).unlink()
    spare.converge(**ONLY_VAULT)
    assert seal_status(spare)["initialized"]
