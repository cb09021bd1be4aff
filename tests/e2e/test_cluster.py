"""Three hosts as one stack: data on the first, a proxy on two of them, each domain through both."""

import asyncio
import base64
import json
import re
import shutil
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from itertools import cycle, product
from pathlib import Path
from typing import Any

import httpx
import pytest

from tasks.rendering import render
from tasks.services import load
from tests.e2e.clients import trust
from tests.e2e.deployment import Deployment, Run
from tests.e2e.test_bad_image import publish
from tests.e2e.well import wait_for
from tests.lab import smarteros, state
from tests.lab.lab import Lab

NAMES = ("node-1", "node-2", "node-3")
SERVICES = ["vault", "postgres", "redis", "n8n", "mcp-registry", "vault-auth-validator", "caddy"]
GROUPS = 'managers = ["node-1", "node-2", "node-3"]\nproxies = ["node-1", "node-2"]\ndata = ["node-1"]\napps = ["node-2", "node-3"]\n'
# Domain → how it is asked.
ASKED = {
    "mcp.smarterbot.cl": ("GET", "/v0/health"),
    "api.smarterbot.cl": ("POST", "/validate"),
    "n8n.smarterbot.cl": ("GET", "/healthz"),
}
WELL = {"GET": 200, "POST": 401}
# What is no node's own: each has one on both of apps.
TASKS = ("mcp-registry-web", "vault-auth-validator")
MCP, VALIDATOR = "Services | MCP Registry", "Services | Vault Auth API"
BAD = "caddy:2.11.93-alpine"
# Beside what Docker keeps of a task in memory alone.
DISK = "/etc /home /opt /root /srv /tmp /vault /var/lib/docker/swarm /var/lib/docker/containers /var/lib/docker/volumes /var/lib/smarteros /var/log"
# One that rolls, one that both have, and one whose visitors are held.
LATER = {name: {"environment": {"LATER": "yes"}} for name in ("mcp-registry", "vault-auth-validator", "n8n")}
RATE = 30
# Seconds, whatever else the machine does: 76 were the most that was seen, of which an election of the swarm's leader took most.
HEALED = 120
# POSTs that a task may have at a time, of ten a second.
WITHIN = 2


@pytest.fixture(scope="module")
def nodes(lab: Lab) -> Iterator[list[Deployment]]:
    """Hosts with Docker as their distribution ships it."""
    yield [Deployment(lab, lab.add_host(name, system="docker")) for name in NAMES]
    for name in NAMES:
        lab.remove_host(name)
        shutil.rmtree(lab.state.folder / "state" / name, ignore_errors=True)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The inventory of the three, with groups."""
    return inventory(tmp_path_factory.mktemp("cluster"))


def inventory(folder: Path, groups: str = GROUPS) -> Path:
    """The lab's, with these groups."""
    (folder / ".lab").symlink_to(state.FOLDER)
    file = folder / "inventories" / "lab.py"
    file.parent.mkdir()
    text = (smarteros.ROOT / "inventories/lab.py").read_text("utf-8")
    every = '["hosts"].items()'
    assert every in text
    file.write_text(f"{text.replace(every, f'{every} if name in {NAMES}')}\n{groups}", "utf-8")
    return file


def run(nodes: list[Deployment], inventory: Path, *, code: int = 0, **settings: Any) -> Run:
    """One run at all of them."""
    limits = [word for node in nodes[1:] for word in ("--limit", node.host.name)]
    nodes[0].lab.point(smarteros.domains(), nodes[0].host)
    given = {"services": SERVICES, "overlay_encryption": False, **settings}
    made = nodes[0].run(*limits, inventory=str(inventory), timeout=1800, **given)
    assert made.code == code, made.output[-30000:]
    return made


@contextmanager
def visited(nodes: list[Deployment], domains: Collection[str] = tuple(ASKED)) -> Iterator[Counter[str]]:
    """Meanwhile each of these nodes' proxies is asked for each domain in turn; what came that should not have, with its place and time."""
    wrong: Counter[str] = Counter()
    over = threading.Event()

    async def ask(session: httpx.AsyncClient, node: Deployment, domain: str) -> None:
        method, path = ASKED[domain]
        began = time.time()
        try:
            answer = await session.request(
                method,
                f"https://{node.host.address}{path}",
                headers={"Host": domain},
                extensions={"sni_hostname": domain},
            )
            came = "" if answer.status_code == WELL[method] else str(answer.status_code)
        except httpx.HTTPError as error:
            came = type(error).__name__
        wrong["all"] += 1
        if came:
            wrong[f"{node.host.name} {domain} {came} after {time.time() - began:.1f} s at {began:.1f}"] += 1

    async def ask_all() -> None:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        tasks = set()
        async with httpx.AsyncClient(
            verify=trust(nodes[0]), trust_env=False, limits=limits, timeout=120
        ) as session:
            due = time.monotonic()
            for node, domain in cycle(product(nodes, domains)):
                if over.is_set():
                    break
                tasks.add(asyncio.create_task(ask(session, node, domain)))
                due += 1 / RATE
                await asyncio.sleep(max(0, due - time.monotonic()))
            await asyncio.gather(*tasks)

    thread = threading.Thread(target=lambda: asyncio.run(ask_all()), daemon=True)
    thread.start()
    try:
        yield wrong
    finally:
        over.set()
        thread.join()


def test_three_hosts_are_deployed_as_one_stack_and_the_same_run_changes_nothing(
    nodes: list[Deployment], cluster: Path
) -> None:
    made = run(nodes, cluster)
    there = {
        node.host.name: {
            name.partition(".")[0] for name in node.sh("docker ps --format '{{.Names}}'").split()
        }
        for node in nodes
    }
    assert there["node-1"] == {"vault", "postgres", "redis", "n8n", "caddy-proxy"}
    assert there["node-2"] == {"caddy-proxy", *TASKS}
    assert there["node-3"] == {*TASKS}
    assert nodes[0].sh("ls /vault/secrets /root/dkcompose").split().count("vault-auth-validator.env") == 0
    assert made.output.count("https://mcp.") >= 2, made.output[-6000:]
    run(nodes, cluster).unchanged()


def test_each_proxy_has_certificates_of_its_own(nodes: list[Deployment]) -> None:
    """Every name leads to the first one's address, which passes on what the second one is asked to prove."""
    context = trust(nodes[0])
    for domain in ASKED:
        serials = set()
        for node in nodes[:2]:
            with (
                socket.create_connection((node.host.address, 443), 10) as plain,
                context.wrap_socket(plain, server_hostname=domain) as tls,
            ):
                serials.add((tls.getpeercert() or {})["serialNumber"])
        assert len(serials) == 2, domain


@pytest.mark.parametrize("command", ["plan", "status", "check"])
def test_what_an_operator_asks_is_answered_for_all_nodes(
    nodes: list[Deployment], cluster: Path, command: str
) -> None:
    made = run(nodes, cluster, deploy=f"tasks.commands.{command}.run")
    assert not made.failed, made.output[-4000:]
    if command == "check":
        assert "call its webhook by its public URL" in made.output
    if command == "status":
        assert all(f"[{name}]" in made.output for name in NAMES), made.output[-4000:]
        for task, node in product(TASKS, NAMES[1:]):
            assert len(re.findall(rf"{task}\.[12] on {node} +running ", made.output)) == 1, made.output[
                -4000:
            ]


@pytest.mark.parametrize(
    ("by_hand", "again"),
    [
        ("docker service scale --detach mcp-registry-web=0", [MCP]),
        ("docker service update --detach --env-add BY=hand vault-auth-validator", [VALIDATOR]),
        ("docker service rm mcp-registry-web vault-auth-validator", [MCP, VALIDATOR]),
    ],
)
def test_what_somebody_does_to_tasks_is_undone(
    nodes: list[Deployment], cluster: Path, by_hand: str, again: list[str]
) -> None:
    nodes[1].sh(by_hand)
    planned = run(nodes, cluster, code=2, deploy="tasks.commands.plan.run")
    assert all(name in planned.output for name in again), planned.output[-4000:]
    assert run(nodes, cluster).changes == again
    run(nodes, cluster).unchanged()


def test_what_does_not_start_goes_back_and_no_visitor_notices(nodes: list[Deployment], cluster: Path) -> None:
    publish(
        nodes[0].lab, "caddy:2.11.7-alpine", BAD, ['ENTRYPOINT ["sh", "-c", "echo it is broken >&2; exit 3"]']
    )
    bad = {"mcp-registry": {"image": BAD}}
    with visited(nodes[:2]) as wrong:
        failed = run(nodes, cluster, code=1, overrides=bad)
    wrong.pop("all")
    assert not wrong, json.dumps(wrong, indent=1)
    said = r"mcp-registry-web: it does not start as described, it runs as before again: its task mcp-registry-web\.[12] on node-[23] says"
    told = [line for line in failed.lines if "mcp-registry-web" in line]
    assert [line for line in told if re.search(said, line)], told
    assert "it is broken" in failed.output
    assert failed.failed == {"node-1": [MCP]}
    assert MCP not in run(nodes, cluster).changes
    run(nodes, cluster).unchanged()


def test_what_compose_ran_goes_when_tasks_answer_and_no_visitor_notices(
    nodes: list[Deployment], cluster: Path
) -> None:
    """As an earlier release has left it on the data's node."""
    (service,) = [item for item in load(smarteros.settings()) if item.name == "mcp-registry"]
    for path, text in render.render(smarteros.settings(), service).items():
        packed = base64.b64encode(text.encode()).decode()
        nodes[0].sh(f"mkdir -p /root/mcp && echo {packed} | base64 -d >/root/mcp/{path.rpartition('/')[2]}")
    nodes[0].sh(
        "docker run -d --name mcp-registry-web "
        "--label smarteros.service=mcp-registry --network smarter-net -v /root/mcp:/etc/caddy:ro "
        f"{service.main.image} && sleep 5 && docker service rm mcp-registry-web && sleep 5"
    )
    with visited(nodes[:2]) as wrong:
        moved = run(nodes, cluster)
    wrong.pop("all")
    assert not wrong, json.dumps(wrong, indent=1)
    assert moved.changes == [
        MCP,
        "Retire | services that are not listed; their volumes, databases and secrets stay",
    ]
    assert (
        "mcp-registry: tasks of the swarm answer for it now, removed: containers mcp-registry-web"
        in moved.output
    )
    run(nodes, cluster).unchanged()


def test_tasks_of_a_service_that_is_not_listed_go_and_come_back(
    nodes: list[Deployment], cluster: Path
) -> None:
    fewer = [name for name in SERVICES if name != "mcp-registry"]
    gone = run(nodes, cluster, services=fewer)
    assert (
        "mcp-registry: not listed, removed: tasks of the swarm mcp-registry-web; kept: its images"
        in gone.output
    )
    there = "docker service ls --format '{{.Name}}'; docker config ls --format '{{.Name}}'"
    assert {name for name in nodes[0].sh(there).split() if name.startswith("mcp")} == set()
    run(nodes, cluster, services=fewer).unchanged()
    run(nodes, cluster)
    run(nodes, cluster).unchanged()


def test_tasks_go_where_their_group_does(nodes: list[Deployment], cluster: Path, tmp_path: Path) -> None:
    """To the data's node alone, and back."""

    def where() -> list[str]:
        """Which of the numbers stays is the swarm's matter."""
        words = f"docker service ps --filter desired-state=running --format '{{{{.Name}}}} {{{{.Node}}}}' {' '.join(TASKS)}"
        return sorted(re.sub(r"\.[12] ", " ", line) for line in nodes[0].sh(words).splitlines())

    groups = GROUPS.replace('apps = ["node-2", "node-3"]', 'apps = ["node-1"]\nmonitoring = ["node-3"]')
    alone = inventory(tmp_path, groups)
    run(nodes, alone)
    assert where() == [f"{name} node-1" for name in TASKS]
    run(nodes, alone).unchanged()
    run(nodes, cluster)
    assert where() == [f"{name} {node}" for name in TASKS for node in NAMES[1:]]
    run(nodes, cluster).unchanged()


def test_a_tasks_secret_is_on_no_disk_and_in_no_description(nodes: list[Deployment]) -> None:
    found = "docker exec $(docker ps -q --filter name=vault-auth-validator.) cat /run/secrets/env"
    key = nodes[2].sh(found).partition("SESSION_KEY=")[2].split()[0]
    assert len(key) == 64
    for node in nodes:
        assert (
            node.sh(f"find {DISK} -xdev -type f -exec grep -lF {key} {{}} + 2>/dev/null; true").split() == []
        )
        assert key not in node.sh("docker inspect $(docker ps -aq)")
    assert key not in nodes[0].sh(
        "docker service inspect vault-auth-validator; docker secret inspect $(docker secret ls -q)"
    )


@pytest.mark.parametrize("change", ["update", "n8n", "vault-auth-validator"])
def test_visitors_of_both_proxies_notice_nothing(nodes: list[Deployment], cluster: Path, change: str) -> None:
    """An update of them all, or a rotation of this one's secrets."""
    rotation: dict[str, Any] = {
        "deploy": "tasks.commands.rotate.run",
        "environment": {"SMARTEROS_SERVICE": change},
    }
    with visited(nodes[:2]) as wrong:
        made = run(nodes, cluster, overrides=LATER, **(rotation if change != "update" else {}))
    assert made.changed["node-1"], made.output[-4000:]
    print(wrong.pop("all"), "requests")
    assert not wrong, json.dumps(wrong, indent=1)
    left = [node.sh("docker exec caddy-proxy sh -c 'sleep 16; ls /tmp'").split() for node in nodes[:2]]
    assert not [name for names in left for name in names if name.startswith(("second-", "replaced-"))]
    run(nodes, cluster, overrides=LATER).unchanged()


def cut_off(node: Deployment, others: list[Deployment]) -> None:
    """For longer than a swarm takes to call it Down."""
    them = ", ".join(other.host.address for other in others)
    drop = "".join(
        f"add chain inet cut {way} {{ type filter hook {way} priority -400; }}; "
        f"add rule inet cut {way} ip {end} {{ {them} }} drop; "
        for way, end in (("prerouting", "saddr"), ("output", "daddr"))
    )
    node.sh(f"nft 'add table inet cut; {drop}'; sleep 30; nft delete table inet cut")


FAULTS: dict[str, Callable[[Deployment, list[Deployment]], object]] = {
    "its Docker is killed": lambda node, _: node.sh("systemctl kill -s KILL docker.service; sleep 3"),
    "it reboots": lambda node, _: node.host.reboot(),
    "it is cut off": cut_off,
    "it loses power": lambda node, _: node.host.power_cut(),
}


def answers(nodes: list[Deployment]) -> dict[str, str]:
    """What of these nodes' proxies and containers is not as it should be, and which nodes of the swarm are away."""
    found = {
        f"{node.host.name} {line}": "not well"
        for node in nodes
        for line in node.sh("docker ps --all --format '{{.Names}} {{.Status}}' 2>&1 || true").splitlines()
        # A swarm keeps those of its tasks that have ended to look back on.
        if "." not in line.split()[0] and not line.endswith("(healthy)") and "Exited (0)" not in line
    }
    with httpx.Client(verify=trust(nodes[0]), trust_env=False, timeout=10) as session:
        for node, (domain, (method, path)) in product(nodes[:2], ASKED.items()):
            try:
                url, headers = f"https://{node.host.address}{path}", {"Host": domain}
                came = session.request(
                    method, url, headers=headers, extensions={"sni_hostname": domain}
                ).status_code
            except httpx.HTTPError as error:
                came = 0
                found[f"{node.host.name} {domain}"] = repr(error)
            if came not in (0, WELL[method]):
                found[f"{node.host.name} {domain}"] = str(came)
    replicas = nodes[0].sh("docker service ls --format '{{.Name}} {{.Replicas}}' 2>&1 || true").splitlines()
    if {line.partition(" (")[0] for line in replicas} != {f"{name} 2/2" for name in TASKS}:
        found["tasks"] = ", ".join(replicas)
    there = nodes[0].sh("docker node ls --format '{{.Hostname}} {{.Status}} {{.ManagerStatus}}' 2>&1 || true")
    if (
        well := [line for line in there.splitlines() if line.endswith(("Ready Reachable", "Ready Leader"))]
    ) and len(well) == len(nodes):
        return found
    return {**found, "swarm": there}


@pytest.mark.parametrize("how", FAULTS)
@pytest.mark.parametrize("name", NAMES[::-1])
def test_all_heals_without_hands_when_a_node_is_lost(
    nodes: list[Deployment], cluster: Path, name: str, how: str
) -> None:
    """And visitors of the first one do not notice that another one is away, nor that it is cut off itself, but for a POST that is within what
    goes: nobody sends that twice.
    """
    node = next(each for each in nodes if each.host.name == name)
    # What runs on the others is away for who is cut off from them.
    alone = node is nodes[0] and FAULTS[how] is cut_off
    with visited(nodes[:1], ["n8n.smarterbot.cl"] if alone else tuple(ASKED)) as wrong:
        FAULTS[how](node, [other for other in nodes if other is not node])
        began = time.monotonic()
        wait_for(lambda: answers(nodes), {}, HEALED)
        print(f"{name}, {how}: all is well after {time.monotonic() - began:.0f} s")
    wrong.pop("all")
    if node is not nodes[0] or alone:
        posts = {text: count for text, count in wrong.items() if " api." in text}
        assert posts == wrong, json.dumps(wrong, indent=1)
        assert sum(posts.values()) <= WITHIN, json.dumps(posts, indent=1)
    if how == [*FAULTS][-1]:
        run(nodes, cluster, overrides=LATER).unchanged()


def test_a_part_of_a_cluster_is_not_deployed_alone(nodes: list[Deployment], cluster: Path) -> None:
    refused = nodes[0].run(inventory=str(cluster), services=SERVICES, overlay_encryption=False)
    assert refused.code == 1
    assert (
        "--limit: a cluster's nodes are deployed together, and node-2, node-3 would be left out"
        in refused.output
    )
