"""Secrets: byte for byte in the container, made once, kept whatever is lost, refused where impossible."""

import base64
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from tasks.commands import rotate
from tasks.model import envfile
from tasks.model.rotation import places
from tests.e2e.deployment import Deployment
from tests.e2e.test_first_admins import LOGIN, PASSWORDS, enters
from tests.e2e.vault_access import PRIVATE, SERVICES, Vault, env_file_modes, opened
from tests.e2e.visitors import visiting

RENDERED = "Secrets | /vault/secrets/<service>.env"
FILLED = "Secrets | what is missing is generated into Vault"
ROLES = "Data | roles, databases and extensions"
REDIS, N8N = "Data | Redis", "Services | n8n Workflows"
VALIDATOR = "Services | Vault Auth API"
PANEL = "Services | Dokploy Panel"  # it has the folder of env files mounted: a new one needs a new container
# Found on their way up again when their database was away for a moment, or not, as it happens.
SHAKEN = {f"Services | {item.title}" for item in SERVICES if {"postgres", "redis"} & {*item.needs}} - {N8N}

HOSTILE = "q\"uo'te $HOME ${X:-y} $$ \\ \\n `id` #no \r\n\ttab\x01\x1b[31m\x7f שלום 🔑 \u2028 "
# What readers of env files stumble over, alone and in any mixture.
PIECES = (
    '"', "'", "$", "$$", "${X}", "$HOME", "${X:-y}", "$(id)", "`id`", "\\", "\\\\", "\\n", "\\$", '\\"', "\\0123", "\\x41",
    "\n", "\r", "\r\n", "\t", "\v", "\f", "\b", "\x01", "\x1b", "\x7f", "\x85", "\xa0", " ", "  ", "#", " #", "=", ":", "%",
    "a", "Z", "0", "é", "ß", "中", "🔑", "👩‍💻", "שלום", "\u202e", "\u2028", "\ufeff", "\uffff", "\U0010ffff", "<", "&", "export ",
)  # fmt: skip
LONGEST = 131072 - len("V0000=") - 1
IMAGE = "redis:7.4.11-alpine"


def hostile_values() -> list[str]:
    """2,000 values: each piece alone and at both ends, any mixture, and as long as the kernel takes."""
    chance = random.Random(20251122)
    alone = [form for piece in PIECES for form in (piece, f"{piece}x", f"x{piece}", piece * 3)]
    long = ["x" * LONGEST, "$" * LONGEST, "🔑" * (LONGEST // 4), '\\"\n' * (LONGEST // 3)]
    mixed = ["".join(chance.choices(PIECES, k=chance.randint(2, 12))) for _ in range(2000)]
    return ["", HOSTILE, *alone, *long, *mixed][:2050]


def environment(raw: bytes) -> dict[str, str]:
    """/proc/self/environ in base64 → variables."""
    entries = base64.b64decode(raw).decode().split("\0")[:-1]
    return dict(entry.split("=", 1) for entry in entries)


def container_environment(host: Deployment, name: str) -> dict[str, str]:
    """The environment that a container was made with."""
    listed: list[str] = json.loads(host.sh(f"docker inspect --format '{{{{json .Config.Env}}}}' {name}"))
    return dict(entry.split("=", 1) for entry in listed)


def running(host: Deployment) -> dict[str, str]:
    """Container → its id."""
    lines = host.sh("docker ps --no-trunc --format '{{.Names}} {{.ID}}'").splitlines()
    return dict(line.split() for line in lines)


def logs_in(host: Deployment, role: str, password: str) -> bool:
    """Whether the role gets into its database over TCP, where the password counts."""
    psql = f"docker exec -i postgres sh -c 'IFS= read -r PGPASSWORD; export PGPASSWORD; psql -h postgres -U {role} -qAtc \"select 7\"'"
    return host.host.run(psql, input=f"{password}\n", check=False).stdout == "7\n"


@pytest.fixture
def vault(deployed: Deployment) -> Iterator[Vault]:
    with opened(deployed) as vault:
        yield vault


def test_two_thousand_hostile_values_arrive_byte_for_byte_through_compose(deployed: Deployment) -> None:
    values = {f"V{number:04}": value for number, value in enumerate(hostile_values())}
    assert len(values) >= 2000
    names = sorted(values)
    quarters = [{name: values[name] for name in names[part::4]} for part in range(4)]
    services = {
        f"s{part}": {
            "image": IMAGE,
            "entrypoint": ["base64", "/proc/self/environ"],
            "env_file": [f"{part}.env"],
        }
        for part in range(4)
    }
    folder = deployed.sh("mktemp -d").strip()
    deployed.host.run(f"cat > {folder}/compose.yaml", input=json.dumps({"services": services}))
    try:
        for part, quarter in enumerate(quarters):
            text = base64.b64encode(envfile.encode(quarter).encode()).decode()
            deployed.host.run(f"base64 -d > {folder}/{part}.env", input=text)
        for part, quarter in enumerate(quarters):
            out = deployed.sh(f"cd {folder} && docker compose run --rm --no-deps -T s{part} 2>/dev/null")
            found = environment(out.encode())
            assert {name: found.get(name) for name in quarter} == quarter
    finally:
        deployed.sh(f"cd {folder} && docker compose down 2>&1; rm -r {folder}")


def test_a_value_added_by_hand_reaches_the_container_unchanged_and_nothing_else_is_touched(
    deployed: Deployment, vault: Vault
) -> None:
    before = running(deployed)
    values, _ = vault.read("n8n")
    vault.write("n8n", {**values, "EXTRA": HOSTILE})
    assert deployed.converge().changes == [RENDERED, N8N]
    process = "docker inspect --format '{{.State.Pid}}' n8n"
    raw = deployed.sh(f"base64 /proc/$({process})/environ").encode()
    assert environment(raw)["EXTRA"] == HOSTILE
    after = running(deployed)
    assert [name for name in before if before[name] != after[name]] == ["n8n"]
    deployed.unchanged()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("a\0b", "secret/n8n#EXTRA holds a NUL character, which no environment can carry"),
        (
            "x" * 131072,
            "secret/n8n#EXTRA has 131079 bytes; an environment carries at most 131072 in one variable",
        ),
        ({"a": 1}, "secret/n8n#EXTRA is no text; write it as a string"),
    ],
    ids=["NUL", "too long", "no text"],
)
def test_a_value_that_no_environment_can_hold_is_refused_before_anything_changes(
    deployed: Deployment, vault: Vault, value: Any, message: str
) -> None:
    values, _ = vault.read("n8n")
    before = deployed.sh("sha256sum /vault/secrets/*"), running(deployed)
    vault.write("n8n", {**values, "EXTRA": value})
    try:
        run = deployed.run()
    finally:
        vault.write("n8n", values)
    assert (run.code, run.changes) == (1, [])
    assert message in run.output
    assert (deployed.sh("sha256sum /vault/secrets/*"), running(deployed)) == before


def test_env_files_are_roots_alone(deployed: Deployment) -> None:
    assert env_file_modes(deployed) == PRIVATE


def test_lost_files_containers_and_role_passwords_come_back_with_the_same_secrets(
    deployed: Deployment, vault: Vault
) -> None:
    before = vault.everything(), deployed.sh("sha256sum /vault/secrets/*")
    deployed.sh("rm -rf /vault/secrets && docker rm -f vault-auth-validator")
    deployed.sh("docker exec postgres psql -U postgres -qc \"ALTER ROLE n8n PASSWORD 'x'\"")
    assert not logs_in(deployed, "n8n", before[0]["n8n"][0]["DB_POSTGRESDB_PASSWORD"])
    assert deployed.converge().changes == [RENDERED, ROLES, PANEL, VALIDATOR]
    assert (vault.everything(), deployed.sh("sha256sum /vault/secrets/*")) == before
    assert logs_in(deployed, "n8n", before[0]["n8n"][0]["DB_POSTGRESDB_PASSWORD"])
    assert env_file_modes(deployed) == PRIVATE
    deployed.unchanged()


def test_what_an_open_transaction_holds_ends_a_rotation_in_words_and_the_service_runs_on(
    deployed: Deployment, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = vault.everything()["n8n"][0]["DB_POSTGRESDB_PASSWORD"]
    running = "docker inspect --format '{{.Id}} {{.State.Health.Status}}' n8n"
    before = deployed.sh(running)
    held = "(echo 'BEGIN; ALTER ROLE n8n CONNECTION LIMIT 50;'; sleep 300) | psql -qX -U postgres"
    deployed.sh(f'docker exec --detach postgres sh -c "{held}"; sleep 1')
    monkeypatch.setenv(rotate.CHOICE, "n8n")
    refused = deployed.run(deploy="tasks.commands.rotate.run")
    assert refused.code == 1, refused.output
    assert 'Postgres: ALTER ROLE "n8n" waits for process ' in refused.output
    assert "no secret has a new value, since Postgres cannot be told new passwords now" in refused.output
    assert vault.everything()["n8n"][0]["DB_POSTGRESDB_PASSWORD"] == old
    assert deployed.sh(running) == before
    assert logs_in(deployed, "n8n", old)
    left, ends = (
        "rotate: that of n8n (",
        "`make rotate SERVICE=n8n INVENTORY=inventories/lab.py` once more ends it",
    )
    for deploy in ("deploy.py", "tasks.commands.plan.run", "tasks.commands.status.run"):
        said = deployed.run(deploy=deploy).output
        assert left in said, said
        assert ends in said, said
    deployed.sh(
        "docker exec postgres psql -U postgres -qc "
        "\"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'psql' AND state = 'idle in transaction'\""
    )
    again = deployed.run(deploy="tasks.commands.rotate.run")
    assert again.code == 0, again.output
    assert not logs_in(deployed, "n8n", old)
    assert left not in deployed.run(deploy="tasks.commands.status.run").output
    deployed.unchanged()


def test_one_lost_key_is_made_anew_a_changed_one_is_applied_and_the_others_are_kept(
    deployed: Deployment, vault: Vault
) -> None:
    before = vault.everything()
    lost = {"EXTRA", "DB_POSTGRESDB_PASSWORD"}
    kept = {name: value for name, value in before["n8n"][0].items() if name not in lost}
    vault.write("n8n", kept)
    chosen = f'pa\'ss "word" \\ $1 #{random.SystemRandom().random()}'
    vault.write("postgres", {"POSTGRES_PASSWORD": chosen})
    vault.write("redis", {"REDIS_PASSWORD": HOSTILE + chosen})  # its health check logs in with it
    changes = [change for change in deployed.converge().changes if change not in SHAKEN]
    assert changes == [FILLED, RENDERED, REDIS, ROLES, N8N]

    after = vault.everything()
    new = after["n8n"][0]["DB_POSTGRESDB_PASSWORD"]
    assert after["n8n"] == ({**kept, "DB_POSTGRESDB_PASSWORD": new}, before["n8n"][1] + 2)
    assert new != before["n8n"][0]["DB_POSTGRESDB_PASSWORD"]
    assert after["smarteros"] == before["smarteros"]
    assert logs_in(deployed, "n8n", new)
    assert logs_in(deployed, "postgres", chosen)
    assert "EXTRA" not in container_environment(deployed, "n8n")
    deployed.unchanged()


def test_a_key_that_its_program_does_not_take_has_a_way_back(deployed: Deployment, vault: Vault) -> None:
    good, _ = vault.read("n8n")
    before = deployed.sh("sha256sum /vault/secrets/*.env")
    vault.write("n8n", good | {"N8N_ENCRYPTION_KEY": "another" * 7})
    with visiting(deployed, "https://n8n.smarterbot.cl/healthz") as visits:
        run = deployed.run()
    vault.write("n8n", good)
    assert (run.code, set(run.failed["lab-1"]), run.changed["lab-1"]) == (1, {N8N}, [RENDERED]), run.output
    assert any("Mismatching encryption keys" in line for line in run.lines), run.output
    assert any(line.startswith("n8n on lab-1 runs as before again") for line in run.lines), run.output
    assert deployed.sh("sha256sum /vault/secrets/*.env") == before
    assert (env_file_modes(deployed), deployed.sh("find /vault/secrets -name '.before*'")) == (PRIVATE, "")
    assert container_environment(deployed, "n8n")["N8N_ENCRYPTION_KEY"] == good["N8N_ENCRYPTION_KEY"]
    assert set(visits.answers) == {"200"}, visits
    deployed.unchanged()


def test_all_passwords_get_new_values_and_the_old_ones_open_nothing(
    deployed: Deployment, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, kept = vault.everything(), deployed.sh("sha256sum /vault/secrets/*.env")
    monkeypatch.setenv(rotate.CHOICE, rotate.ALL)
    pages = "https://n8n.smarterbot.cl/healthz", "https://kpi.smarterbot.cl/api/session/properties"
    ran = running(deployed)["postgres"]
    with visiting(deployed, pages[0]) as visits, visiting(deployed, pages[1]) as queries:
        run = deployed.run(deploy="tasks.commands.rotate.run")
    assert run.code == 0, run.output[-6000:]
    assert (set(visits.answers), set(queries.answers)) == ({"200"}, {"200"}), (visits, queries)
    assert running(deployed)["postgres"] == ran
    after = vault.everything()
    roles = {"postgres": ("postgres", "POSTGRES_PASSWORD")} | {
        database.name: (item.name, database.secret) for item in SERVICES for database in item.databases
    }
    assert len(roles) == 7
    for role, (path, name) in roles.items():
        assert after[path][0][name] != before[path][0][name]
        assert not logs_in(deployed, role, before[path][0][name])
    found = [(item, place) for item in SERVICES for place in places([item]).values()]
    for item, place in found:
        same = after[item.name][0].get(place.name) == before[item.name][0].get(place.name)
        assert same == (place.way == "lasting"), place
    for name, field in PASSWORDS.items():
        assert enters(deployed, name, LOGIN, after[name][0][field]), name
        assert not enters(deployed, name, LOGIN, before[name][0][field]), name
    assert deployed.sh("sha256sum /vault/secrets/*.env") != kept
    secret = {value for values, _ in (*before.values(), *after.values()) for value in values.values()}
    assert [value for value in secret if len(value) > 8 and value in run.output] == []
    assert any("earlier passwords tried at Postgres and Redis: " in line for line in run.lines)
    # What a rotation has made is how it is meant to be.
    assert deployed.run(deploy="tasks.commands.drift.run").code == 0
    deployed.unchanged()
    # Compose by hand knows no password that counts at the first start alone: it sees another env file.
    told = running(deployed)
    for item in SERVICES:
        deployed.sh(f"docker compose -f /root/dkcompose/{item.name}-deploy.yaml up -d 2>&1", timeout=300)
    assert [name for name, made in running(deployed).items() if told.get(name) != made] == ["postgres"]
    deployed.unchanged()
