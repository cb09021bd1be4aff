"""A certificate's challenge reaches the proxy that has ordered it, whichever of a cluster's proxies is asked: three real Caddys on loopback."""

import http.client
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tasks.rendering import render
from tests.openbao import free_port
from tests.samples import stack
from tests.validator_caddy import running_caddy

NODES = ("127.0.1.1", "127.0.1.2", "127.0.1.3")
CHALLENGE = "/.well-known/acme-challenge/"


def caddyfile(node: str, port: int, folder: Path) -> str:
    """As a node has it, without its sites; a token of its own is answered before all else, as Caddy does that by itself."""
    text = render.tree(stack().with_nodes(NODES))["caddy/Caddyfile"].split("\n# What every answer")[0]
    own = f"@own path {CHALLENGE}{node}\n\thandle @own {{\n\t\trespond {node}\n\t}}\n"
    text = text.replace("http:// {\n", f"http://:{port} {{\n\tbind {node}\n\t{own}")
    text = text.replace(
        "admin 127.0.0.1:2019", f"admin off\n\thttp_port {port}\n\tstorage file_system {folder}"
    )
    return re.sub(r"(127\.0\.1\.\d):80\b", rf"\1:{port}", text)


@pytest.fixture
def port(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[int]:
    """Where each node listens; those that the test's parameter names are away."""
    found = free_port()
    with ExitStack() as opened:
        for node in NODES:
            if node in getattr(request, "param", ()):
                continue
            folder = tmp_path / node
            folder.mkdir()
            (folder / "Caddyfile").write_text(caddyfile(node, found, folder))
            opened.enter_context(running_caddy(folder, found, node))
        yield found


def asked(node: str, port: int, path: str, **headers: str) -> tuple[int, str, str]:
    """Status, body, and where it leads."""
    connection = http.client.HTTPConnection(node, port, timeout=9)
    connection.request("GET", path, headers={"Host": f"name.test:{port}", **headers})
    answer = connection.getresponse()
    return answer.status, answer.read().decode(), answer.headers.get("Location", "")


def test_whoever_is_asked_finds_the_one_that_knows_it(port: int) -> None:
    for node in NODES:
        for other in NODES:
            assert asked(node, port, f"{CHALLENGE}{other}")[:2] == (200, other)


def test_what_nobody_knows_is_asked_of_each_once_and_ends(port: int) -> None:
    for node in NODES:
        assert asked(node, port, f"{CHALLENGE}unknown")[0] == 404


@pytest.mark.parametrize("port", [NODES[:1], NODES[1:2]], indirect=True)
def test_one_that_is_away_is_no_end_of_it(port: int, request: pytest.FixtureRequest) -> None:
    away = request.node.callspec.params["port"]
    there = [node for node in NODES if node not in away]
    for node in there:
        for other in there:
            assert asked(node, port, f"{CHALLENGE}{other}")[:2] == (200, other)


def test_all_else_is_led_to_https(port: int) -> None:
    status, _, where = asked(NODES[0], port, "/a?b=c")
    assert (status, where) == (308, "https://name.test/a?b=c")


def test_one_proxy_alone_passes_nothing_on() -> None:
    """But what a node runs has a network of its own."""
    one, alone = (render.tree(stack().with_nodes(found)) for found in ((), NODES[:1]))
    assert alone["caddy/Caddyfile"] == one["caddy/Caddyfile"]
