"""Check: what users do works on a deployed host and leaves nothing behind; each service, broken, fails its step with why."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import takewhile
from typing import Any

import pytest

from tests.e2e.deployment import Deployment, Run
from tests.e2e.vault_access import opened
from tests.lab.smarteros import ROOT
from tests.signals import heard

# What the steps make, and what they open.
KEPT = {
    "n8n": ("workflow_entity", "webhook_entity", "execution_entity"),
    "odoo": ("res_partner",),
    "chatwoot": ("inboxes", "contacts", "conversations", "messages", "sessions_of_the_double"),
    "botpress": ("srv_ghost_files",),
    "metabase": ("metabase_database", "core_session"),
    "dokploy": ("project", "compose", "session"),
}
DOUBLES = {"chatwoot", "botpress", "metabase", "dokploy"}


def check(deployment: Deployment, *services: str) -> Run:
    return deployment.run(
        deploy="tasks.commands.check.run", environment={"SMARTEROS_CHECK": " ".join(services)}
    )


def rows(run: Run) -> list[list[str]]:
    """Service, who has answered, step, seconds, result."""
    start = next((number for number, line in enumerate(run.lines) if line.startswith("SERVICE ")), None)
    assert start is not None, run.output
    split = (re.split(r"\s{2,}", line) for line in run.lines[start + 1 :])
    return list(takewhile(lambda row: len(row) == 5, split))


def failures(run: Run) -> dict[str, tuple[str, str]]:
    """Service → the step that failed, and why."""
    assert run.code == 1, run.output
    failed = {(row[0], row[2]) for row in rows(run) if row[4] == "FAILED"}
    said = [re.match(r"([a-z0-9-]+): (.+?): (.*)", line) for line in run.lines]
    return {one[1]: (one[2], one[3]) for one in said if one and (one[1], one[2]) in failed}


def sql(deployment: Deployment, database: str, query: str) -> str:
    command = f"docker exec -i postgres psql -qAtX -v ON_ERROR_STOP=1 -U postgres -d {database}"
    return str(deployment.host.run(command, input=query).stdout).strip()


def counts(deployment: Deployment) -> dict[str, str]:
    return {
        table: sql(deployment, name, f"SELECT count(*) FROM {table}")
        for name, tables in KEPT.items()
        for table in tables
    }


def test_a_host_that_works_does_what_users_want_and_keeps_nothing_of_it(deployed: Deployment) -> None:
    before = counts(deployed)
    started = time.monotonic()
    run = check(deployed)
    assert time.monotonic() - started < 120
    run.unchanged()
    found = rows(run)
    assert {row[0] for row in found} == {
        "vault", "chatwoot", "botpress", "n8n", "odoo", "metabase", "mcp-registry", "dokploy",
        "vault-auth-validator", "caddy",
    }  # fmt: skip
    assert {row[0] for row in found if row[1] == "a double"} == DOUBLES
    assert [row for row in found if row[4] != "ok"] == []
    assert counts(deployed) == before
    with opened(deployed) as vault:
        secrets = [value for values, _ in vault.everything().values() for value in values.values()]
    assert [value for value in secrets if value in run.output] == []


# Service → how it is broken, how it is mended, the step that fails, and why.
Broken = dict[str, tuple[str, str, str, str]]


def revoked(table: str) -> tuple[str, str]:
    """Of what the role owns, and gives itself back."""
    return f"REVOKE INSERT ON {table} FROM %s", f"GRANT INSERT ON {table} TO %s"


ROUNDS: dict[str, Broken] = {
    "first": {
        "n8n": (*revoked("workflow_entity"), "make a workflow", "POST /rest/workflows: HTTP 500"),
        "odoo": (*revoked("res_partner"), "make a partner", ".*permission denied for table res_partner"),
        "chatwoot": (*revoked("inboxes"), "make an inbox", r"POST /api/v1/accounts/\d+/inboxes: HTTP 500"),
        "botpress": (*revoked("srv_ghost_files"), "make a bot", "POST /api/v2/admin/workspace/bots: HTTP 500"),
        "metabase": (*revoked("core_session"), "sign in", "POST /api/session: HTTP 500"),
        "dokploy": (
            'UPDATE "user" SET "trustedOrigins" = ARRAY(SELECT reverse(unnest("trustedOrigins")))',
            'UPDATE "user" SET "trustedOrigins" = ARRAY(SELECT reverse(unnest("trustedOrigins")))',
            "sign in at dokploy.smarterbot.store",
            "POST /api/auth/sign-in/email: HTTP 403, expected 200: .*INVALID_ORIGIN",
        ),
    },
    "second": {
        "n8n": (*revoked("execution_entity"), "call its webhook by its public URL", "GET /webhook/.*: HTTP 500"),
        "chatwoot": (*revoked("conversations"), "make a conversation", "POST .*/conversations: HTTP 500"),
        "metabase": (*revoked("metabase_database"), "connect a database", "POST /api/database: HTTP 500"),
        "dokploy": (
            "UPDATE compose SET name = 'theirs' WHERE name = 'redis'",
            "UPDATE compose SET name = 'redis' WHERE name = 'theirs'",
            "find the stack files",
            "the project smarteros does not list: redis$",
        ),
    },
}  # fmt: skip

# Container or a command → the service, the step that fails, why, and what its log says.
ENDED: dict[str, tuple[str, str, str]] = {
    "odoo": ("odoo", "sign in", "POST /web/session/authenticate: HTTP 502"),
    "chatwoot-sidekiq": (
        "chatwoot",
        "see a message through the WebSocket",
        "WebSocket /cable: the message did not arrive within 20 s",
    ),
    "mcp-registry-web": (
        "mcp-registry",
        "compare page and API at mcp.smarterbot.cl",
        "GET /v0/servers: HTTP 502",
    ),
    "vault-auth-validator": ("vault-auth-validator", "be refused without a token", "GET /validate: HTTP 502"),
}


@pytest.mark.parametrize("name", ROUNDS)
def test_a_service_that_is_broken_fails_its_step_with_why(deployed: Deployment, name: str) -> None:
    broken = ROUNDS[name]

    def change(mend: bool) -> None:
        for service, found in broken.items():
            statement = found[mend]
            sql(deployed, service, statement.replace("%s", service))

    change(mend=False)
    try:
        run = check(deployed, *broken)
    finally:
        change(mend=True)
    found = failures(run)
    assert {service: step for service, (step, _) in found.items()} == {
        service: step for service, (_, _, step, _) in broken.items()
    }, run.output
    for service, (_, _, _, why) in broken.items():
        assert re.match(why, found[service][1]), found[service]
        if service != "dokploy":  # which says nothing of what it refuses
            assert f"{'smarteros-metabase' if service == 'metabase' else service} says: " in run.output


def test_containers_that_have_ended_are_said(deployed: Deployment) -> None:
    deployed.sh(f"docker stop {' '.join(ENDED)}", timeout=200)
    try:
        run = check(deployed, *(service for service, _, _ in ENDED.values()))
    finally:
        deployed.sh(f"docker start {' '.join(ENDED)}")
    found = failures(run)
    for container, (service, step, why) in ENDED.items():
        assert (found[service][0], found[service][1].startswith(why)) == (step, True), run.output
        assert any(line.startswith(f"{container} says: exited (exit code ") for line in run.lines), run.output
    deployed.converge()


NATIVE = "nsenter -t $(docker inspect -f '{{.State.Pid}}' botpress) -m mount -o remount,%s,nosuid,nodev /tmp"
UDP = (
    "nft add table inet broken && nft add chain inet broken quic '{ type filter hook prerouting priority -400; }' "
    "&& nft add rule inet broken quic udp dport 443 drop"
)


def test_a_training_without_native_code_and_a_firewall_without_udp_are_said(deployed: Deployment) -> None:
    try:
        deployed.sh(f"{NATIVE % 'noexec'} && {UDP}")
        run = check(deployed, "botpress", "caddy")
    finally:
        deployed.sh(f"{NATIVE % 'exec'}; nft delete table inet broken")
    found = failures(run)
    assert found["botpress"] == ("train it", "the training has ended otherwise: errored")
    assert "botpress says: Error: " in run.output
    assert found["caddy"][0] == "use HTTP/3"
    assert re.match(
        r"HTTP/3: .* from 443/udp of \S+, while 443/tcp is open: let 443/udp through", found["caddy"][1]
    )


# What one path of a service's domain is answered with instead, by status and body → the step that fails, and why.
Answered = dict[str, tuple[str, str, int, str, str, str]]
ANSWERS: dict[str, Answered] = {
    "nothing behind the path": {
        "botpress": ("bot", "/studio/*", 504, "", "open it in Studio", "GET /studio/.*: HTTP 504"),
        "odoo": ("erp", "/report/pdf/*", 500, "", "print a PDF", "GET /report/pdf/.*: HTTP 500"),
        "metabase": ("kpi", "/api/dataset", 500, "", "run a query", "POST /api/dataset: HTTP 500"),
        "mcp-registry": ("mcp", "/", 200, "<h2>another</h2>", "compare page and API at mcp.smarterbot.cl",
                         r"the page lists 1 servers, the API \d+, or others"),
        "n8n": ("n8n", "/webhook/*", 404, "", "call its webhook by its public URL",
                "the webhook is not there: not within 15 s"),
    },
    "another answer": {
        "botpress": ("bot", "/api/v1/bots/*/mod/nlu/health", 200, '{"validLanguages": []}', "find a language server",
                     "no language server answers"),
        "odoo": ("erp", "/report/pdf/*", 200, "<p>no</p>", "print a PDF", "the report is no PDF: <p>no</p>"),
        "metabase": ("kpi", "/api/dataset", 202, '{"status": "failed", "error": "no such table"}', "run a query",
                     "the query failed: no such table"),
        "mcp-registry": ("mcp", "/v0/servers", 200, '{"servers": [], "metadata": {"count": 1}}',
                         "compare page and API at mcp.smarterbot.cl", "the page lists 0 servers, the API 0, or others"),
    },
    "a wrong answer": {
        "botpress": ("bot", "/api/v1/bots/*/converse/*", 200, '{"responses": []}', "get an answer to a message",
                     "the bot says nothing"),
        "metabase": ("kpi", "/api/dataset", 202, '{"status": "completed", "data": {"rows": [[41]]}}', "run a query",
                     r"6 \* 7 is answered with \[\[41\]\]"),
    },
}  # fmt: skip


@contextmanager
def caddy_with(deployment: Deployment, change: Callable[[dict[str, Any]], None]) -> Iterator[None]:
    """The running Caddy does otherwise, with its configuration as JSON; afterwards its file's again."""
    load = "docker exec -i caddy-proxy sh -c 'cat >/tmp/other.json && caddy reload --config /tmp/other.json 2>&1; rm /tmp/other.json'"
    config = json.loads(deployment.sh("docker exec caddy-proxy wget -qO- http://127.0.0.1:2019/config/"))
    change(config)
    deployment.host.run(load, input=json.dumps(config))
    try:
        yield
    finally:
        # Over standard input: what the container has of an earlier generation may be gone.
        deployment.sh(
            "docker exec -i caddy-proxy caddy reload --config - --adapter caddyfile 2>&1 </opt/smarteros/current/caddy/Caddyfile"
        )


def servers(config: dict[str, Any]) -> list[dict[str, Any]]:
    return list(config["apps"]["http"]["servers"].values())


@pytest.mark.parametrize("name", ANSWERS)
def test_a_step_whose_answer_is_another_says_so(deployed: Deployment, name: str) -> None:
    answers = ANSWERS[name]

    def change(config: dict[str, Any]) -> None:
        [server] = [one for one in servers(config) if ":443" in one["listen"]]
        for prefix, path, status, body, _, _ in answers.values():
            said = {"handler": "static_response", "status_code": status, "body": body}
            match = {"host": [f"{prefix}.smarterbot.cl"], "path": [path]}
            server["routes"].insert(0, {"match": [match], "handle": [said], "terminal": True})

    with caddy_with(deployed, change):
        run = check(deployed, *answers)
    found = failures(run)
    assert {service: step for service, (step, _) in found.items()} == {
        service: step for service, (_, _, _, _, step, _) in answers.items()
    }, run.output
    for service, (*_, why) in answers.items():
        assert re.match(why, found[service][1]), found[service]


ACTIVE = "SELECT 1 FROM workflow_entity WHERE active"


def started(argv: list[str], names: dict[str, str]) -> subprocess.Popen[str]:
    environment = {**os.environ, **names}
    with heard():
        return subprocess.Popen(
            argv,
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


@contextmanager
def waiting(deployment: Deployment, *services: str) -> Iterator[subprocess.Popen[str]]:
    """A check whose workflow of n8n's is active, and whose webhook is not there for the 15 seconds that it waits for it."""

    def change(config: dict[str, Any]) -> None:
        [server] = [one for one in servers(config) if ":443" in one["listen"]]
        match = {"host": ["n8n.smarterbot.cl"], "path": ["/webhook/*"]}
        none = {"handler": "static_response", "status_code": 404}
        server["routes"].insert(0, {"match": [match], "handle": [none], "terminal": True})

    assert sql(deployment, "n8n", ACTIVE) == ""
    argv = deployment.argv("-y", deploy="tasks.commands.check.run")
    names = {"SMARTEROS_LAB": deployment.lab.name, "SMARTEROS_CHECK": " ".join(services)}
    with caddy_with(deployment, change), started(argv, names) as begun:
        deadline = time.monotonic() + 60
        while sql(deployment, "n8n", ACTIVE) != "1":
            assert time.monotonic() < deadline
            assert begun.poll() is None
        yield begun
        begun.kill()


@pytest.mark.parametrize(
    ("number", "services"), [(signal.SIGTERM, ()), (signal.SIGHUP, ("n8n",)), (signal.SIGINT, ("n8n",))]
)
def test_a_check_that_is_ended_leaves_nothing(
    deployed: Deployment, number: signal.Signals, services: tuple[str, ...]
) -> None:
    before = counts(deployed)
    with waiting(deployed, *services) as begun:
        began = time.monotonic()
        begun.send_signal(number)
        output, _ = begun.communicate(timeout=60)
    assert time.monotonic() - began < 40
    run = Run(begun.returncode, output)
    assert run.code == (130 if number == signal.SIGINT else 1), output
    assert f"the check was ended by {number.name}, and has left nothing" in run.lines, output
    assert ["n8n", "call its webhook by its public URL", "ended"] in [
        [row[0], row[2], row[4]] for row in rows(run)
    ]
    assert counts(deployed) == before


# What a check makes, put there by hand with this name, and what has a similar one. Chatwoot's in the account of its user: a host whose
# first admin was made anew has another account, too.
LEFT = {
    "odoo": ["INSERT INTO res_partner (name, active) VALUES ('%s', true)"],
    "chatwoot": [
        "INSERT INTO inboxes (account_id, name) SELECT min(account_id), '%s' FROM account_users",
        "INSERT INTO contacts (account_id, name) SELECT min(account_id), '%s' FROM account_users",
    ],
    "metabase": ["INSERT INTO metabase_database (name, engine, details) VALUES ('%s', 'postgres', '{}')"],
    "botpress": ["""INSERT INTO srv_ghost_files VALUES ('data/bots/%s/bot.config.json', '{"id": "%s", "name": "%s"}')"""],
    "n8n": [
        """INSERT INTO workflow_entity (id, name, active, nodes, connections, "versionId")
        VALUES ('byhand', '%s', false, '[]', '{}', '6f1f3e5a-8a57-4c0e-9b4e-2a6f0f6b7c1d')"""
    ],
}  # fmt: skip
SIMILAR = dict.fromkeys(LEFT, "SmarterOS check of ours") | {"botpress": "smarteros-check-in"}
OURS = {name: "SmarterOS check" for name in LEFT if name != "n8n"} | {"botpress": "smarteros-check-0a1b2c3d"}


def put(deployment: Deployment, names: dict[str, str]) -> None:
    for service, name in names.items():
        for statement in LEFT[service]:
            sql(deployment, service, statement.replace("%s", name))


def test_what_a_killed_check_has_left_is_removed_by_the_next_and_nothing_else(deployed: Deployment) -> None:
    put(deployed, SIMILAR)
    before = counts(deployed)
    with waiting(deployed, "n8n") as begun:
        begun.kill()
        begun.wait()
    put(deployed, OURS)
    left = counts(deployed)
    assert {table for table in left if left[table] != before[table]} == {
        "workflow_entity", "webhook_entity", "res_partner", "inboxes", "contacts", "srv_ghost_files", "metabase_database",
    }  # fmt: skip
    run = check(deployed)
    assert (run.code, [row for row in rows(run) if row[4] != "ok"]) == (0, []), run.output
    assert counts(deployed) == before, run.output
    for service, name in SIMILAR.items():
        for statement in LEFT[service]:
            table = statement.split()[2]
            column = "file_path" if service == "botpress" else "name"
            gone = f"DELETE FROM {table} WHERE {column} LIKE '%{name}%' RETURNING 1"
            assert sql(deployed, service, gone) == "1", table


def test_two_checks_of_a_host_take_turns(deployed: Deployment) -> None:
    with waiting(deployed, "n8n") as first:
        second = check(deployed, "n8n")
        output, _ = first.communicate(timeout=60)
    assert "waits for another check of this host to end" in second.lines
    for run in (Run(first.returncode, output), second):
        assert failures(run)["n8n"][1] == "the webhook is not there: not within 15 s", run.output
    assert sql(deployed, "n8n", "SELECT count(*) FROM workflow_entity") == "0"


def no_redirect(config: dict[str, Any]) -> None:
    for server in servers(config):
        server.setdefault("automatic_https", {})["disable_redirects"] = True


def no_http2(config: dict[str, Any]) -> None:
    for server in servers(config):
        server["protocols"] = ["h1", "h3"]


def no_encode(config: dict[str, Any]) -> None:
    def without(value: Any) -> Any:
        if isinstance(value, list):
            return [
                without(one)
                for one in value
                if not (isinstance(one, dict) and one.get("handler") == "encode")
            ]
        return {key: without(one) for key, one in value.items()} if isinstance(value, dict) else value

    config["apps"]["http"] = without(config["apps"]["http"])
    # Some services would compress by themselves.
    unasked = {"handler": "headers", "request": {"delete": ["Accept-Encoding"]}}
    for server in servers(config):
        server["routes"].insert(0, {"handle": [unasked]})


CADDYS = {
    "be led from http to https": (no_redirect, r"GET /a: no answer \("),
    "use HTTP/2": (no_http2, r"https://\S+/ is served over HTTP/1.1"),
    "get a page compressed": (no_encode, "no page comes with gzip"),
}


@pytest.mark.parametrize("step", CADDYS)
def test_a_caddy_that_serves_less_is_said(deployed: Deployment, step: str) -> None:
    change, why = CADDYS[step]
    with caddy_with(deployed, change):
        run = check(deployed, "caddy")
    found = failures(run)
    assert found["caddy"][0] == step, run.output
    assert re.match(why, found["caddy"][1]), found


def test_a_vault_that_has_ended_is_said(deployed: Deployment) -> None:
    deployed.sh("systemctl stop smarteros-unseal; docker stop vault")
    try:
        run = check(deployed, "vault", "caddy")
    finally:
        deployed.sh("docker start vault; systemctl start smarteros-unseal")
    found = failures(run)
    assert found["vault"][0] == "make a token that lives a minute"
    assert "does not answer" in found["vault"][1]
    assert "caddy" not in found
    deployed.converge()


# A changed password, and how it comes back.
PASSWORDS = {
    "chatwoot": "UPDATE users SET encrypted_password = reverse(encrypted_password)",
    "botpress": "UPDATE strategy_default SET password = reverse(password)",
    "odoo": "UPDATE res_users SET password = reverse(password) WHERE id = 2",
    "metabase": "UPDATE core_user SET password = reverse(password) WHERE is_superuser",
    "dokploy": "UPDATE account SET password = reverse(password)",
}


def test_a_password_that_a_person_has_changed_is_said_with_what_to_do(deployed: Deployment) -> None:
    for name, statement in PASSWORDS.items():
        sql(deployed, name, statement)
    sql(deployed, "n8n", """UPDATE "user" SET password = overlay(password PLACING 'A' FROM 40)""")
    try:
        run = check(deployed, "n8n", *PASSWORDS)
    finally:
        for name, statement in PASSWORDS.items():
            sql(deployed, name, statement)
    found = failures(run)
    for name in PASSWORDS:
        step, why = found[name]
        assert step.startswith("sign in"), run.output
        assert why.startswith(
            f"ops@smarterbot.cl is not let in with the password in Vault (secret/{name}#"
        ), why
        assert f"`make give-secrets NAME={name}#" in why or name == "n8n"
    assert "`docker restart n8n` on the host" in found["n8n"][1], run.output
    deployed.sh(
        "docker restart n8n && timeout 300 sh -c 'until docker inspect -f {{.State.Health.Status}} n8n | grep -qx healthy; do sleep 1; done'",
        timeout=320,
    )
    again = check(deployed, "n8n", *PASSWORDS)
    assert again.code == 0, again.output


def test_a_service_that_is_not_checked_is_refused(deployed: Deployment) -> None:
    run = check(deployed, "n8")
    assert run.code == 1
    assert "SERVICE=n8: nothing of that name is checked, did you mean n8n?" in run.lines
