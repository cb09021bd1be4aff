"""Retire: what a service that is no longer listed leaves behind is removed, its data never, and it is said."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tasks import retire
from tasks.facts import DockerFact, LinksFact
from tasks.retire import Leftover
from tasks.services import every
from tests.fake import commands, fake, texts
from tests.samples import HELPDESK, stack

WEB = "c|/helpdesk-web|helpdesk|d1|s1|running|healthy|0|example/helpdesk:4.2|smarter-net "
OLD = [
    "c|/crm-web|crm|d1|s1|running|healthy|0|crm:1|smarter-net ",
    "c|/crm-worker|crm|d1|s1|exited||137|crm:1|smarter-net ",
    "e|crm|s1",
]
LINKS = [
    "/root/dkcompose/crm-deploy.yaml",
    "/root/env-templates/crm.env.example",
    "/root/crm-smarter-config.sh",
    "/root/dkcompose/helpdesk-deploy.yaml",
    "/root/sync-forks.sh",
    "/root/Caddyfile",
]


def found(docker: list[str], links: list[str]) -> tuple[Leftover, ...]:
    return retire.leftovers((HELPDESK,), DockerFact().process(docker), links)


def test_a_host_with_what_is_listed_has_no_leftovers() -> None:
    assert found([WEB, "e|helpdesk|s1"], ["/root/dkcompose/helpdesk-deploy.yaml"]) == ()


def test_everything_of_a_service_that_is_not_listed_is_found() -> None:
    assert found([WEB, *OLD, "e|helpdesk|s1"], LINKS) == (
        Leftover("caddy", links=("/root/Caddyfile",)),
        Leftover(
            "crm",
            containers=("crm-web", "crm-worker"),
            env_file=True,
            links=tuple(sorted(LINKS[:3])),
        ),
    )


@pytest.mark.parametrize(
    ("docker", "links", "expected"),
    [
        (OLD[:1], [], Leftover("crm", containers=("crm-web",))),
        (OLD[2:], [], Leftover("crm", env_file=True)),
        ([], LINKS[:1], Leftover("crm", links=(LINKS[0],))),
    ],
)
def test_what_a_killed_run_left_of_it_is_found(
    docker: list[str], links: list[str], expected: Leftover
) -> None:
    assert found([WEB, *docker], links) == (expected,)


def test_an_env_file_that_we_have_not_written_is_the_operators() -> None:
    assert found(["e|mine|"], []) == ()


def test_a_container_that_a_listed_service_no_longer_has_is_found() -> None:
    stray = WEB.replace("/helpdesk-web", "/helpdesk-cron")
    assert found([WEB, stray], []) == (Leftover("helpdesk", listed=True, containers=("helpdesk-cron",)),)


def test_what_is_to_replace_a_container_of_a_listed_service_is_no_leftover_until_that_is_there_again() -> (
    None
):
    later = WEB.replace("/helpdesk-web", "/helpdesk-web-next").replace(
        "running|healthy", "restarting|unhealthy"
    )
    assert found([later], []) == ()
    both = (Leftover("helpdesk", listed=True, containers=("helpdesk-web-next",)),)
    assert found([WEB, later], []) == both
    assert retire.said(both[0], HELPDESK, "secret") == (
        "helpdesk: left over from its replacement, removed: containers helpdesk-web-next; kept: volumes"
    )


def test_what_stands_in_for_a_container_of_a_listed_service_is_its_rollouts_and_goes_with_the_service() -> (
    None
):
    second = WEB.replace("/helpdesk-web", "/helpdesk-web-second")
    assert found([WEB, second], []) == ()
    other = WEB.replace("/helpdesk-web", "/helpdesk-worker-second")
    assert found([WEB, other], [])[0].containers == ("helpdesk-worker-second",)


def test_what_an_operator_runs_by_hand_is_left_alone_until_its_service_goes() -> None:
    by_hand = WEB.replace("/helpdesk-web", "/helpdesk-helpdesk-web-run-0123456789ab")
    assert found([WEB, by_hand], []) == ()
    gone = by_hand.replace("helpdesk", "crm")
    assert found([gone], []) == (Leftover("crm", containers=("crm-crm-web-run-0123456789ab",)),)


def test_the_removal_is_one_command_and_names_no_volume() -> None:
    full = Leftover("crm", containers=("crm-web", "crm-worker"), env_file=True, links=tuple(LINKS[:2]))
    assert retire.removal(full) == (
        "set -e\n"
        "docker stop crm-web crm-worker >/dev/null\n"
        "docker rm crm-web crm-worker >/dev/null\n"
        "rm -f /vault/secrets/crm.env /vault/secrets/.before-crm.env\n"
        "rm -f /root/dkcompose/crm-deploy.yaml /root/env-templates/crm.env.example"
    )


def test_what_the_swarm_runs_by_now_has_no_container_and_no_env_file() -> None:
    docker = DockerFact().process(
        [WEB, WEB.replace("/helpdesk-web", "/helpdesk-web-second"), "e|helpdesk|s1"]
    )
    links = ["/root/dkcompose/helpdesk-deploy.yaml"]
    (left,) = retire.leftovers((replace(HELPDESK, nodes=2),), docker, links)
    both = ("helpdesk-web", "helpdesk-web-second")
    assert left == Leftover("helpdesk", moved=True, containers=both, env_file=True, links=tuple(links))
    assert retire.said(left, HELPDESK, "secret") == (
        "helpdesk: tasks of the swarm answer for it now, removed: containers helpdesk-web, helpdesk-web-second"
    )
    assert "/vault/secrets/helpdesk.env" in retire.removal(left)


def test_of_what_the_swarm_does_not_run_any_more_it_is_said_why() -> None:
    mcp = every()["mcp-registry"](stack())
    tasks = ("mcp-registry-web",)
    assert retire.said(Leftover("mcp-registry", listed=True, tasks=tasks), mcp, "secret") == (
        "mcp-registry: Compose runs it now, removed: tasks of the swarm mcp-registry-web"
    )
    assert retire.said(Leftover("mcp-registry", tasks=tasks), mcp, "secret") == (
        "mcp-registry: not listed, removed: tasks of the swarm mcp-registry-web; kept: its images; list it again to have it back"
    )


def test_what_goes_and_what_is_kept_is_said() -> None:
    n8n = every()["n8n"](stack())
    assert retire.said(Leftover("n8n", containers=("n8n",)), n8n, "secret") == (
        "n8n: not listed, removed: containers n8n; kept: volumes n8n_data, n8n_files; databases of n8n; "
        "secrets in Vault (secret/n8n) with its policy and AppRole; its images; list it again to have it back"
    )
    dokploy = retire.said(Leftover("dokploy"), every()["dokploy"](stack()), "secret")
    assert "; kept: folders /etc/dokploy; databases of dokploy; " in dokploy
    assert retire.said(Leftover("crm", env_file=True), None, "kv") == (
        "crm: not listed, removed: its last files; kept: its volumes and databases, "
        "whatever Vault holds in kv/crm; list it again to have it back"
    )
    stray = Leftover("n8n", listed=True, containers=("n8n-worker",))
    assert retire.said(stray, n8n, "secret") == (
        "n8n: no longer part of it, removed: containers n8n-worker; kept: volumes"
    )


def line(name: str, service: str) -> str:
    return f"c|/{name}|{service}|d1|s1|running|healthy|0|x:1|smarter-net "


FEW = ["vault", "caddy"]


def test_who_needs_another_goes_before_it_and_unknown_ones_first(monkeypatch: pytest.MonkeyPatch) -> None:
    docker = [line(name, name) for name in ("postgres", "n8n", "vault", "zoo")]
    said: list[str] = []
    with fake({"docker ps -aq": docker, "find /root": ["/root/n8n-smarter-config.sh"]}, services=FEW) as host:
        monkeypatch.setattr(host, "log", lambda text: said.append(text.split(":")[0]))
        assert [text.splitlines()[1] for text in texts(retire.retired)] == [
            "docker stop zoo >/dev/null",
            "docker stop n8n >/dev/null",
            "docker stop postgres >/dev/null",
        ]
    assert said == ["n8n", "postgres", "zoo"]


def test_nothing_is_done_where_nothing_is_left() -> None:
    links = ["/root/Caddyfile", "/root/dkcompose/vault-deploy.yaml", "/root/dkcompose/caddy-deploy.yaml"]
    docker = [line("vault", "vault"), line("caddy-proxy", "caddy")]
    with fake({"docker ps -aq": docker, "find /root": links}, services=FEW):
        assert commands(retire.retired) == []
    # With a takeover that link is not the generation's, and caddy's still.
    with fake({"docker ps -aq": docker, "find /root": links}, services=FEW, takeover="traefik"):
        assert commands(retire.retired) == []


def test_only_links_of_ours_are_found(tmp_path: Path) -> None:
    for folder in ("dkcompose", "env-templates", "deeper"):
        (tmp_path / folder).mkdir()
    (tmp_path / "dkcompose/a-deploy.yaml").symlink_to("/opt/smarteros/current/dkcompose/a-deploy.yaml")
    (tmp_path / "b-smarter-config.sh").symlink_to("/opt/smarteros/current/scripts/b.sh")
    (tmp_path / "c-smarter-config.sh").symlink_to("/opt/mine/c.sh")
    (tmp_path / "deeper/d").symlink_to("/opt/smarteros/current/d")
    (tmp_path / "d-smarter-config.sh").write_text("mine")
    done = subprocess.run(
        ["sh", "-c", LinksFact().command().replace("/root", str(tmp_path))],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=True,
    )
    assert LinksFact().process(done.stdout.splitlines()) == {
        f"{tmp_path}/dkcompose/a-deploy.yaml",
        f"{tmp_path}/b-smarter-config.sh",
    }


def test_a_host_without_these_folders_has_none() -> None:
    done = subprocess.run(["sh", "-c", LinksFact().command().replace("/root", "/nowhere")], check=False)
    assert done.returncode == 0
