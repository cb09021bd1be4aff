"""Keys and credentials of Vault's that are missing, or not taken, are said before the first change."""

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks import vault
from tasks.clients import vault_access, vault_session
from tasks.clients.vault_kept import Kept, keep, kept, state_file
from tasks.facts.leftovers import VaultGoneFact
from tasks.operations import vault_policies
from tasks.run import Refused
from tests.facts.test_facts import MACHINE
from tests.fake import fake
from tests.openbao import OpenBao, free_port, new_openbao, running_openbao
from tests.test_vault import RUNS, service

ENVIRONMENT = ("VAULT_TOKEN", "VAULT_ROLE_ID", "VAULT_SECRET_ID")


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def bao(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenBao]:
    """A server that nobody has initialised; the run reaches it as it would the host's."""
    with new_openbao(tmp_path) as server:
        monkeypatch.setattr(vault_session, "PORT", server.port)
        yield server


def ours(state: Path) -> dict[str, Any]:
    return {"state_dir": str(state), "vault_engine": "openbao", "services": ["vault", "postgres"]}


def said(state: Path) -> list[str]:
    """What a plan is refused for."""
    with fake(RUNS, executing=False, **ours(state)):
        return list(vault_access.refusals(running=True))


def deploy(state: Path) -> None:
    with fake(RUNS, **ours(state)) as host:
        for operation in (vault.ready._inner(service()), vault_policies.configured._inner()):  # type: ignore[attr-defined]
            assert all(step.function(host.state, host) for step in operation)


def restart(bao: OpenBao) -> None:
    bao.stop()
    bao.start()


def login(state: Path) -> str:
    """What a command that needs Vault is refused with."""
    with fake(RUNS, **ours(state)), pytest.raises(Refused) as refused:
        vault_session.deployer()
    return str(refused.value)


def test_a_host_that_was_not_deployed_to_yet_lacks_no_keys(bao: OpenBao, tmp_path: Path) -> None:
    on = "the first deploy to @fake/one has not come to its end: `make deploy` goes on with it"
    assert login(tmp_path / "state") == on  # it runs, and nobody has initialised it
    bao.stop()
    assert login(tmp_path / "state") == (
        "nothing is deployed on @fake/one yet, or its Vault does not run: no Vault answers there: `make deploy`"
    )
    bao.start()
    deploy(tmp_path / "state")
    assert login(tmp_path / "elsewhere").startswith(
        "Vault is initialised, but its keys are not on this machine: "
    )


def test_an_empty_vault_and_one_whose_keys_are_here_are_fine(bao: OpenBao, tmp_path: Path) -> None:
    assert said(tmp_path / "state") == []
    deploy(tmp_path / "state")
    assert said(tmp_path / "state") == []
    restart(bao)  # sealed
    assert said(tmp_path / "state") == []
    bao.stop()
    assert said(tmp_path / "elsewhere") == []  # it tells nothing; the phase of Vault mends or says that


@pytest.mark.parametrize("sealed", [True, False])
def test_a_folder_without_its_keys_is_refused(bao: OpenBao, tmp_path: Path, *, sealed: bool) -> None:
    deploy(tmp_path / "state")
    if sealed:
        restart(bao)
    (line,) = said(tmp_path / "elsewhere")
    assert line.startswith("Vault is initialised, but its keys are not on this machine: restore ")
    with fake(RUNS, **ours(tmp_path / "elsewhere")):
        assert list(vault_access.refusals(running=False)) == []


@pytest.mark.parametrize("backup", [None, {"endpoint": "https://s3.acme.io", "bucket": "backups"}])
def test_a_host_that_was_set_up_anew_is_refused_before_the_first_change(
    tmp_path: Path, backup: dict[str, str] | None
) -> None:
    machine = [line for line in MACHINE[:9] if not line.startswith("deployed")]
    bare = {"/etc/os-release": machine, "command -v docker": ["gone"]}

    def said(responses: Any = bare, *, recovering: bool = False) -> list[str]:
        with fake(responses, **ours(tmp_path), backup=backup):
            return list(vault_access.refusals(running=False, recovering=recovering))

    assert said() == []
    for stored in (Kept(asked=True), Kept(keys=("a2V5",), role_id="role", secret_id="secret")):
        with fake({}, **ours(tmp_path)):
            keep(stored)
            file = state_file()
        back = "`make recover` brings all back from the bucket" if backup else "restore its volume vault_data"
        why = f"@fake/one has no Vault, but {file} holds the keys of one: if it was set up anew, {back}, or move that file away to begin with new secrets"
        assert said() == ([why] if stored.keys else [])
        # Volumes that were kept; one that brings its own; one of which the phase of Vault says it.
        assert said({**bare, "command -v docker": []}) == []
        assert said(recovering=True) == []
        assert said({**bare, "/etc/os-release": [*machine, "deployed yes"]}) == []


def test_the_volume_is_looked_for_with_and_without_docker(tmp_path: Path) -> None:
    docker, there = tmp_path / "docker", tmp_path / "volumes/vault_data"

    def gone(says: str = "") -> bool:
        if says:
            docker.write_text(f"#!/bin/sh\n{says}\n")
            docker.chmod(0o755)
        command = VaultGoneFact().command().replace("/var/lib/docker/volumes", str(tmp_path / "volumes"))
        done = subprocess.run(
            ["/bin/sh", "-c", command.replace("grep", "/bin/grep")],
            env={"PATH": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        return VaultGoneFact().process(done.stdout.splitlines())

    assert gone()
    assert gone("echo n8n_data; echo my_vault_data")
    assert not gone("echo n8n_data; echo vault_data")
    assert not gone("exit 1")
    docker.unlink()
    there.mkdir(parents=True)
    assert not gone()


def test_a_credential_that_vault_does_not_know_is_refused(
    bao: OpenBao, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(tmp_path / "state")
    with fake(RUNS, **ours(tmp_path / "state")):
        keep(replace(kept() or Kept(), secret_id="stale"))
        file = state_file()
    assert said(tmp_path / "state") == [
        f"Vault refuses the credential in {file} (invalid role or secret ID): restore that file from your backup of it"
    ]
    monkeypatch.setenv("VAULT_ROLE_ID", "other")
    monkeypatch.setenv("VAULT_SECRET_ID", "other")
    assert said(tmp_path / "state") == [
        (
            "Vault refuses VAULT_ROLE_ID and VAULT_SECRET_ID (invalid role or secret ID): "
            f"unset them, so that {file} counts"
        )
    ]


def test_a_first_run_that_ended_in_the_middle_goes_on(bao: OpenBao, tmp_path: Path) -> None:
    for stored in (Kept(asked=True), Kept(keys=("a2V5",), root_token="root")):
        with fake(RUNS, **ours(tmp_path / "state")):
            keep(stored)
        assert said(tmp_path / "state") == []


def test_an_external_vault_without_a_credential_that_counts_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_openbao(tmp_path) as server, fake({}, vault_address=server.address, services=["postgres"]):
        address = server.address

        def refused() -> list[str]:
            return list(vault_access.refusals(running=False))

        assert refused() == [
            (
                f"the Vault at {address} needs a credential: set VAULT_TOKEN, "
                "or VAULT_ROLE_ID and VAULT_SECRET_ID, in the environment"
            )
        ]
        monkeypatch.setenv("VAULT_TOKEN", "s.wrong")
        (line,) = refused()
        assert line.startswith(
            f"the Vault at {address} refuses VAULT_TOKEN, which is mistyped, has expired or was revoked ("
        )
        assert line.endswith("): set a live one")
        monkeypatch.setenv("VAULT_TOKEN", server.root_token)
        assert refused() == []


def test_an_external_vault_that_does_not_answer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("VAULT_TOKEN", "s.any")
    with fake({}, vault_address=address, services=["postgres"]):
        assert list(vault_access.refusals(running=False)) == [
            f"logging in to Vault: {address} does not answer ([Errno 111] Connection refused)"
        ]


@pytest.mark.parametrize(
    ("address", "warned"),
    [
        ("http://vault.example.com:8200", True),
        ("http://10.1.2.3:8200", True),
        ("https://vault.example.com:8200", False),
        ("http://127.0.0.1:8200", False),
        ("http://[::1]:8200", False),
        ("http://localhost:8200", False),
    ],
)
def test_an_external_vault_in_the_clear_is_warned_of(address: str, *, warned: bool) -> None:
    with fake({}, vault_address=address, services=["postgres"]):
        lines = [
            (
                f"vault_address: {address} is not encrypted: whoever is on the way reads every secret and the credential; "
                "use https://"
            )
        ]
        assert list(vault_access.warnings()) == (lines if warned else [])


def test_a_login_is_made_anew_before_vault_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("tasks.clients.vault_session.time.monotonic", lambda: now[0])
    monkeypatch.setattr(vault_session, "_login", object)
    with fake({}):
        first = vault_session.deployer()
        now[0] = 599
        assert vault_session.deployer() is first
        now[0] = 601
        assert vault_session.deployer() is not first


@pytest.mark.parametrize(
    ("image", "other"),
    [
        ("openbao/openbao:2.6.4", "openbao"),
        ("registry.example.com:5000/mirror/openbao@sha256:0", "openbao"),
        ("hashicorp/vault:2.0.4", ""),
        ("registry.example.com/secrets:1", ""),
        ("", ""),
    ],
)
def test_another_engine_is_not_started_on_what_one_has_written(
    image: str, other: str, tmp_path: Path
) -> None:
    with fake({}, state_dir=str(tmp_path), services=["vault", "postgres"]):
        found = list(vault_access.refusals(running=False, image=image))
    why = f"vault_engine: vault, and this host's Vault is {other} ({image}): neither is known to start with the other's data"
    assert [line.rpartition(": set")[0] for line in found] == ([why] if other else [])


def test_what_an_external_vault_is_made_of_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault_session, "deployer", object)
    with fake({}, vault_address="https://vault.example.com:8200", services=["postgres"]):
        assert list(vault_access.refusals(running=True, image="openbao/openbao:2.6.4")) == []
