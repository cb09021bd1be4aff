"""Dokploy import: every stack file stands in Dokploy, byte for byte, and what a person has there stays."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.e2e.canary import LOUD, watched
from tests.e2e.clients import browser, containers, secrets, until_healthy
from tests.e2e.deployment import Deployment

API = "https://dokploy.smarterbot.cl/api"
OPERATION = "Dokploy | stack files are registered, the nightly clean-up is off"
OURS = "Kept by SmarterOS: /root/dkcompose/{}-deploy.yaml. Changes made here are undone by the next run."


@contextmanager
def signed_in(deployment: Deployment) -> Iterator[httpx.Client]:
    """A program that has the API key from Vault, and comes through the domain."""
    with browser(deployment) as session:
        session.headers["x-api-key"] = secrets(deployment, "dokploy-import")["API_KEY"]
        yield session


def projects(session: httpx.Client) -> dict[str, list[str]]:
    """Project → ids of its compose entries."""
    found = session.get(f"{API}/project.all").raise_for_status().json()
    return {
        project["name"]: [item["composeId"] for place in project["environments"] for item in place["compose"]]
        for project in found
    }


def entries(session: httpx.Client) -> dict[str, dict[str, Any]]:
    """Everything that Dokploy knows of the compose entries of our project, by id."""
    return {
        identifier: session.get(f"{API}/compose.one", params={"composeId": identifier})
        .raise_for_status()
        .json()
        for identifier in projects(session)["smarteros"]
    }


def stack_files(deployment: Deployment) -> dict[str, str]:
    """Service → its stack file, as it stands on the host."""
    names = deployment.sh("ls /root/dkcompose").split()
    return {name.removesuffix("-deploy.yaml"): deployment.sh(f"cat /root/dkcompose/{name}") for name in names}


def sql(deployment: Deployment, statement: str) -> str:
    """A statement in Dokploy's database, and what it says."""
    psql = "docker exec -i postgres psql -qAtX -v ON_ERROR_STOP=1 -U postgres -d dokploy"
    return str(deployment.host.run(psql, input=statement).stdout).strip()


def test_every_stack_file_is_registered_and_none_is_deployed(deployed: Deployment) -> None:
    files = stack_files(deployed)
    assert {"dokploy", "n8n", "postgres"} <= set(files)
    with signed_in(deployed) as session:
        assert [*projects(session)] == ["smarteros"]
        found = list(entries(session).values())
    assert {item["name"]: item["composeFile"] for item in found} == files
    assert len(found) == len(files)
    assert {item["name"]: item["description"] for item in found} == {
        name: OURS.format(name) for name in files
    }
    kinds = {(item["sourceType"], item["composeType"], item["composeStatus"]) for item in found}
    assert kinds == {("raw", "docker-compose", "idle")}


def test_a_run_repairs_what_is_ours_and_leaves_what_is_not(deployed: Deployment) -> None:
    with signed_in(deployed) as session:

        def post(procedure: str, **fields: Any) -> dict[str, Any]:
            return dict(session.post(f"{API}/{procedure}", json=fields).raise_for_status().json())

        before = entries(session)
        spoilt, place = next(
            (key, item["environmentId"]) for key, item in before.items() if item["name"] == "n8n"
        )
        post("compose.update", composeId=spoilt, composeFile="name: n8n\n")
        raw = {"environmentId": place, "sourceType": "raw", "composeType": "docker-compose"}
        theirs = post("compose.create", name="n8n", description="a copy", composeFile="name: x\n", **raw)
        gone = post("compose.create", name="old", description=OURS.format("old"), composeFile="a: 1\n", **raw)
        run = deployed.converge()
        assert run.changes == [OPERATION]
        reasons = ("n8n: its file differs", "old: is no service any more")
        assert sorted(line for line in run.lines if line.endswith(reasons)) == sorted(reasons)
        after = entries(session)
        assert gone["composeId"] not in after
        assert after.pop(theirs["composeId"])["composeFile"] == "name: x\n"
        assert after == before
        deployed.unchanged()
        post("compose.delete", composeId=theirs["composeId"], deleteVolumes=False)


def test_a_key_that_is_gone_is_made_anew_and_shown_nowhere(deployed: Deployment) -> None:
    old, container = secrets(deployed, "dokploy-import"), containers(deployed)["dokploy"]["Id"]
    with signed_in(deployed) as session:
        before = entries(session)
        sql(deployed, "DELETE FROM apikey")
        assert session.get(f"{API}/project.all").status_code == 401
    with watched(deployed) as seen:
        run = deployed.run(*LOUD)
    assert (run.code, run.changes) == (0, [OPERATION]), run.output
    new = secrets(deployed, "dokploy-import")
    assert (new["API_KEY"] != old["API_KEY"], new["API_KEY_ID"] != old["API_KEY_ID"]) == (True, True)
    assert "docker exec -i postgres psql" in run.output  # it was as loud as can be
    password = secrets(deployed, "dokploy")["ADMIN_PASSWORD"]
    texts = {"output": run.output, "processes": seen[0]}
    assert [place for place, text in texts.items() if new["API_KEY"] in text or password in text] == []
    with signed_in(deployed) as session:
        assert entries(session) == before
    # Its secrets are not the container's: it is the same one.
    assert containers(deployed)["dokploy"]["Id"] == container
    deployed.unchanged()


def test_the_host_is_not_cleared_at_night_whoever_has_turned_that_on(deployed: Deployment) -> None:
    stopped = "docker create --name stopped --quiet redis:7.4.11-alpine"
    night = "docker kill --signal USR1 dokploy; sleep 5; docker ps -a --format '{{.Names}}' | grep -x stopped"
    try:
        deployed.sh(f"docker rm -f stopped 2>/dev/null; {stopped}")
        assert deployed.sh(night, check=False).split() == ["dokploy", "stopped"]
        with signed_in(deployed) as session:
            enabled = {"enableDockerCleanup": True}
            session.post(f"{API}/settings.updateDockerCleanup", json=enabled).raise_for_status()
        run = deployed.converge()
        assert run.changes == [OPERATION]
        assert "its nightly clean-up of the host's Docker is on" in run.output
        deployed.sh("docker restart dokploy")  # what is armed is armed when it starts
        until_healthy(deployed, "dokploy")
        assert deployed.sh(night, check=False).split() == ["dokploy", "stopped"]
        deployed.unchanged()
    finally:
        deployed.sh("docker rm -f stopped", check=False)


def test_owners_may_sign_in_under_each_domain_also_where_somebody_has_taken_that_back(
    deployed: Deployment,
) -> None:
    sql(deployed, """UPDATE "user" SET "trustedOrigins" = '{https://login.example.com}'""")
    assert sign_in(deployed, "https://dokploy.smarterbot.store") == 403
    assert deployed.converge().changes == ["Dokploy | its owners may sign in under each of its domains"]
    assert sign_in(deployed, "https://dokploy.smarterbot.store") == 200
    assert sign_in(deployed, "https://login.example.com") == 200
    deployed.unchanged()
    sql(deployed, """UPDATE "user" SET "trustedOrigins" = '{https://dokploy.smarterbot.store}'""")


def test_its_links_lead_to_its_domain_or_to_where_a_person_has_set(deployed: Deployment) -> None:
    there = """SELECT host, https FROM "webServerSettings";"""
    assert sql(deployed, there) == "dokploy.smarterbot.cl|t"
    sql(deployed, """UPDATE "webServerSettings" SET host = NULL, https = false""")
    assert deployed.converge().changes == ["Dokploy | its links lead to its domain"]
    assert sql(deployed, there) == "dokploy.smarterbot.cl|t"
    sql(deployed, """UPDATE "webServerSettings" SET host = 'panel.example.com'""")
    deployed.unchanged()
    before = "UPDATE \"webServerSettings\" SET host = 'old.example.com'"
    sql(deployed, f"{before}; ALTER DATABASE dokploy SET smarteros.dokploy_host = 'old.example.com'")
    assert deployed.converge().changes == ["Dokploy | its links lead to its domain"]
    assert sql(deployed, there) == "dokploy.smarterbot.cl|t"
    deployed.unchanged()


def sign_in(deployment: Deployment, origin: str) -> int:
    """What the owner is answered who signs in from a page of that origin."""
    given = {"email": "ops@smarterbot.cl", "password": secrets(deployment, "dokploy")["ADMIN_PASSWORD"]}
    with browser(deployment) as visitor:
        for _ in range(15):
            answer = visitor.post(f"{API}/auth/sign-in/email", json=given, headers={"origin": origin})
            if answer.status_code != 429:  # the fourth within ten seconds
                break
            time.sleep(1)
    return answer.status_code


# What stands beside it is found from there on the host, too: Docker looks for it there.
BESIDE = """
services:
  beside:
    image: redis:7.4.11-alpine
    entrypoint: [sleep, "600"]
    network_mode: none
    volumes: ["./docker-compose.yml:/seen.yml:ro", "../data:/data"]
"""


@contextmanager
def project(session: httpx.Client, text: str) -> Iterator[dict[str, Any]]:
    """A compose project of somebody's own in the panel, deployed by it."""

    def post(procedure: str, **fields: Any) -> dict[str, Any]:
        return dict(session.post(f"{API}/{procedure}", json=fields).raise_for_status().json())

    place = next(iter(entries(session).values()))["environmentId"]
    made = post(
        "compose.create",
        name="beside",
        description="mine",
        composeFile=text,
        sourceType="raw",
        environmentId=place,
    )
    try:
        post("compose.deploy", composeId=made["composeId"])
        yield made
    finally:
        post("compose.delete", composeId=made["composeId"], deleteVolumes=False)


def status(session: httpx.Client, identifier: str) -> str:
    """How its deployment went."""
    for _ in range(60):
        found = session.get(f"{API}/compose.one", params={"composeId": identifier}).json()["composeStatus"]
        if found not in ("idle", "running"):
            break
        time.sleep(1)
    return str(found)


def test_a_project_of_the_panel_finds_what_stands_beside_its_file(deployed: Deployment) -> None:
    with signed_in(deployed) as session, project(session, BESIDE) as made:
        name = made["appName"]
        assert status(session, made["composeId"]) == "done", deployed.sh("docker logs --tail 30 dokploy 2>&1")
        assert deployed.sh(f"docker exec {name}-beside-1 cat /seen.yml") == BESIDE
        deployed.sh(f"docker exec {name}-beside-1 sh -c 'echo kept >/data/row'")
        assert deployed.sh(f"cat /etc/dokploy/compose/{name}/data/row") == "kept\n"
    # Dokploy takes all of it down with its entry.
    assert deployed.sh(f"docker ps -aq --filter name={name}; ls /etc/dokploy/compose") == ""
    assert deployed.sh("stat -c '%a %U' /etc/dokploy") == "700 root\n"
    deployed.unchanged()


def test_our_own_stack_files_can_be_deployed_from_the_panel(deployed: Deployment) -> None:
    """As far as what is named in them is found from inside it."""
    config = "docker compose -f - config --quiet </root/dkcompose/vault-auth-validator-deploy.yaml"
    inside = config.replace("docker compose", "docker exec -i dokploy docker compose")
    deployed.sh(
        f"{inside} && docker exec dokploy ls /opt/smarteros/current/build/vault-auth-validator/Dockerfile"
    )
