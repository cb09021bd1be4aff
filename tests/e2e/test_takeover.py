"""Takeover: our proxy moves in over another one's container, which is put back when that goes wrong, or on request."""

import time
from collections.abc import Iterator

import httpx
import pytest

from tests.e2e.clients import browser
from tests.e2e.deployment import Deployment

TAKEOVER, STANDS = "Proxy | Caddy takes over from another proxy", "Verify | the takeover stands"
UNDO = "bash /root/undo-takeover.sh"
OLD = "traefik-api-gateway"
LABEL = "test.old-proxy=yes"
# What stood there before our first run is kept with all else; what came since stays beside it.
KEPT = (
    "cat /root/Caddyfile.before-smarteros /var/lib/smarteros/before/files/root/Caddyfile 2>/dev/null || true"
)
PAGE = ':80 {\n\trespond "the old page"\n}\n'
STATES = "docker inspect --format '{{.Name}} {{.State.Status}} {{.HostConfig.RestartPolicy.Name}}'"


@pytest.fixture
def old(deployed: Deployment) -> Iterator[Deployment]:
    """The host as it was before us: another proxy on 80 and 443, with a Caddyfile of its own in /root."""
    deployed.sh("docker stop caddy-proxy; rm /root/Caddyfile")
    deployed.host.run("cat > /root/Caddyfile", input=PAGE)
    deployed.sh(
        f"docker run --detach --name {OLD} --label {LABEL} --restart always --publish 80:80 --publish 443:80"
        " --volume /root/Caddyfile:/etc/caddy/Caddyfile caddy:2.11.7-alpine"
    )
    yield deployed
    deployed.sh(
        f"{UNDO}; docker rm -f $(docker ps -aq --filter label={LABEL});"
        " rm -f /root/Caddyfile /root/Caddyfile.before-smarteros"
    )
    deployed.converge()
    deployed.unchanged()


def page(deployment: Deployment) -> str:
    """What a visitor of port 80 gets."""
    for _ in range(100):  # a container that was just started listens a moment later
        try:
            answer = browser(deployment).get("http://n8n.smarterbot.cl/")
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return answer.text or f"{answer.status_code} {answer.headers['location']}"
    raise AssertionError("nobody answers on port 80")


OURS = "308 https://n8n.smarterbot.cl/"


def states(deployment: Deployment) -> list[str]:
    """Name, state and restart policy of the old proxy and of ours."""
    return deployment.sh(f"{STATES} {OLD} caddy-proxy").splitlines()


BEFORE = [f"/{OLD} running always", "/caddy-proxy exited unless-stopped"]
AFTER = [f"/{OLD} exited no", "/caddy-proxy running unless-stopped"]


def test_a_proxy_hands_over_or_is_put_back(old: Deployment) -> None:
    # Without the setting, or with another name in it, a run stops and says who is there.
    for wanted in ("", "nginx"):
        run = old.refused(takeover=wanted)
        assert run.changes == []
        assert (
            f"port 80: taken by the container {OLD}: stop it (docker stop {OLD}), "
            f'or set takeover = "{OLD}" to have it replaced'
        ) in run.lines, run.output
    assert (states(old), page(old)) == (BEFORE, "the old page")

    # A verification that fails, here because nothing is signed by that authority, puts all of it back.
    run = old.refused(takeover="traefik", trusted_root=str(old.lab.state.authority))
    assert run.failed == {"lab-1": ["Verify | every service answers by name over TLS"]}
    reason = "https://n8n.smarterbot.cl: SSLCertVerificationError: "
    assert [line for line in run.lines if line.startswith(reason)], run.output
    assert (
        f"put back: {OLD}; our proxy is stopped, its log is in /opt/smarteros/takeover/proxy.log"
    ) in run.lines, run.output
    assert (states(old), page(old)) == (BEFORE, "the old page")
    assert "the old page" in old.sh("[ ! -L /root/Caddyfile ] && cat /root/Caddyfile")
    assert old.sh(UNDO) == "nothing was taken over\n"

    # One that holds: the old proxy is kept, stopped, and stays so when the machine boots.
    changes = old.converge(takeover="traefik").changes
    assert (changes[0], changes[-1]) == (TAKEOVER, STANDS)
    assert (states(old), page(old)) == (AFTER, OURS)
    assert "the old page" in old.sh(KEPT)
    old.unchanged(takeover="traefik")
    old.unchanged()

    # By hand, later; and the next run takes over again.
    assert old.sh(UNDO).splitlines() == [
        "/root/Caddyfile is the old one again",
        f"{OLD} runs again (restart policy always)",
        "the domains of SmarterOS do not answer until the next run",
    ]
    assert (states(old), page(old)) == (BEFORE, "the old page")
    assert old.sh(UNDO) == "nothing was taken over\n"
    assert TAKEOVER in old.converge(takeover="traefik").changes
    assert (states(old), page(old)) == (AFTER, OURS)


def test_one_that_is_called_like_ours_gets_another_name_and_its_own_back(old: Deployment) -> None:
    old.sh(f"docker rm -f caddy-proxy; docker rename {OLD} caddy-proxy")
    old.converge(takeover="caddy")
    assert page(old) == OURS
    renamed = old.sh(f"{STATES} caddy-proxy-before-smarteros").split()
    assert renamed == ["/caddy-proxy-before-smarteros", "exited", "no"]
    old.sh(UNDO)
    assert old.sh(f"{STATES} caddy-proxy").split() == ["/caddy-proxy", "running", "always"]
    assert page(old) == "the old page"
    # As the architecture has it: the backup lies beside the original.
    backup = old.sh("docker exec caddy-proxy cat /etc/caddy/Caddyfile.backup")
    assert "the old page" in backup
    old.sh(f"docker rename caddy-proxy {OLD}")


def test_a_run_that_was_killed_between_stop_and_start_is_gone_on_with(old: Deployment) -> None:
    old.sh(
        f"set -e; mkdir -p -m 700 /opt/smarteros/takeover; cd /opt/smarteros/takeover;"
        f" echo \"$(docker inspect --format '{{{{.Id}}}}' {OLD})|{OLD}|always|true\" > containers;"
        f" touch unverified; docker update --restart=no {OLD}; docker stop {OLD}"
    )
    assert old.sh("ss -Hltn 'sport = :80'") == ""
    assert old.converge(takeover="traefik").changes[-1] == STANDS
    assert (states(old), page(old)) == (AFTER, OURS)
    old.sh(UNDO)
    assert (states(old), page(old)) == (BEFORE, "the old page")
