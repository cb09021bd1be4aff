"""MCP registry: what a real Caddy serves of the rendered files, and that no listed value breaks out of them."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import settings as given_settings
from hypothesis import strategies as st

from tasks.rendering import render
from tasks.services import load
from tests.openbao import free_port
from tests.samples import refusals, stack
from tests.validator_caddy import running_caddy

WEATHER = {
    "name": "io.github.user/weather",
    "description": "Forecasts for any place",
    "version": "1.2.0+build",
    "remote": "https://weather.example/mcp?units=si&lang=es",
}
# What a Caddyfile, Caddy's placeholders, JSON, HTML and our own rendering would each take for their own.
HOSTILE = {
    "name": "cl.smarterbot/CRM",
    "description": "`} {env.HOME} {$HOME} \\} \\{ \"' \\ </h2><script>x</script> &amp; @digest@ {{ 7 }} <<EOF ñ",
    "version": "2.0.0",
}
SCHEMA = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"
META = {"io.modelcontextprotocol.registry/official": {"status": "active", "isLatest": True}}
WEATHER_SHOWN = {
    "server": {
        "$schema": SCHEMA,
        "name": "io.github.user/weather",
        "description": "Forecasts for any place",
        "version": "1.2.0+build",
        "remotes": [{"type": "streamable-http", "url": "https://weather.example/mcp?units=si&lang=es"}],
    },
    "_meta": META,
}
HOSTILE_SHOWN = {"server": {"$schema": SCHEMA, **HOSTILE}, "_meta": META}


def rendered(*servers: dict[str, Any]) -> dict[str, str]:
    """The registry's own files, by name."""
    settings = stack(mcp_servers=list(servers))
    service = next(item for item in load(settings) if item.name == "mcp-registry")
    files = render.render(settings, service).items()
    return {name.removeprefix("mcp-registry/"): text for name, text in files if name.startswith("mcp-")}


@contextmanager
def served(folder: Path, *servers: dict[str, Any]) -> Iterator[httpx.Client]:
    """A client of a real Caddy with the rendered files, only that its port and folder are others."""
    for name, text in rendered(*servers).items():
        (folder / name).write_text(text)
    port, caddyfile = free_port(), (folder / "Caddyfile").read_text()
    (folder / "Caddyfile").write_text(
        caddyfile.replace(":80 {", f":{port} {{").replace("/etc/caddy", str(folder))
    )
    with (
        running_caddy(folder, port),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with served(tmp_path_factory.mktemp("registry"), WEATHER, HOSTILE) as client:
        yield client


def test_the_rendered_files_are_these() -> None:
    assert sorted(rendered()) == ["Caddyfile", "index.html", "servers.json"]


def test_the_caddyfile_is_in_caddys_own_format() -> None:
    text = rendered(WEATHER, HOSTILE)["Caddyfile"]
    command = [str(Path(sys.executable).with_name("caddy")), "fmt", "-"]
    assert subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout == text


@pytest.mark.parametrize("version", ["v0", "v0.1"])
def test_the_servers_of_the_settings_are_listed(registry: httpx.Client, version: str) -> None:
    answer = registry.get(f"/{version}/servers?limit=1&cursor=x&search=y")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == {"servers": [WEATHER_SHOWN, HOSTILE_SHOWN], "metadata": {"count": 2}}


@pytest.mark.parametrize("version", ["v0", "v0.1"])
@pytest.mark.parametrize("slash", ["/", "%2F", "%2f"])
@pytest.mark.parametrize("end", ["", "/versions/latest", "/versions/1.2.0+build", "/versions/1.2.0%2Bbuild"])
def test_a_server_is_found_by_its_name(registry: httpx.Client, version: str, slash: str, end: str) -> None:
    answer = registry.get(f"/{version}/servers/io.github.user{slash}weather{end}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == WEATHER_SHOWN


def test_hostile_words_arrive_as_they_were_written(registry: httpx.Client) -> None:
    assert registry.get("/v0/servers/cl.smarterbot%2FCRM").json() == HOSTILE_SHOWN
    versions = registry.get("/v0/servers/cl.smarterbot%2FCRM/versions").json()
    assert versions == {"servers": [HOSTILE_SHOWN], "metadata": {"count": 1}}


@pytest.mark.parametrize(
    "path",
    [
        "/v0/servers/io.github.user%2Funknown",
        "/v0/servers/io.github.user%2Fweather/versions/1.2.1",
        "/v0/servers/io.github.user",
        "/v0/servers/",
        "/v0/publish",
        "/Caddyfile",
        "/index.html",
        "/servers.json",
        "/v0/servers/../../Caddyfile",
        "/v0/servers/..%2F..%2FCaddyfile",
    ],
)
def test_anything_else_is_a_404_in_json(registry: httpx.Client, path: str) -> None:
    # Not get(path): httpx would tidy the dots away.
    answer = registry.send(registry.build_request("GET", registry.base_url.copy_with(raw_path=path.encode())))
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/json")
    assert answer.json() == {"error": "not found"}


def test_scripts_of_other_sites_may_read_and_nobody_may_write(registry: httpx.Client) -> None:
    assert registry.get("/v0/servers").headers["access-control-allow-origin"] == "*"
    asked = registry.options("/v0/servers", headers={"Access-Control-Request-Method": "GET"})
    assert (asked.status_code, asked.headers["access-control-allow-methods"]) == (204, "GET, HEAD")
    assert asked.headers["access-control-allow-headers"] == "*"
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        answer = registry.request(method, "/v0/servers")
        assert (answer.status_code, answer.json()) == (405, {"error": "this registry is read-only"})
        assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


def test_it_says_that_it_is_well(registry: httpx.Client) -> None:
    for path in ("/v0/health", "/v0.1/health"):
        assert (registry.get(path).status_code, registry.get(path).json()) == (200, {"status": "ok"})


class Page(HTMLParser):
    """What a browser makes of the page: its elements, its links, its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.links: list[str | None] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """For HTMLParser."""
        self.elements.append(tag)
        self.links += [value for name, value in attrs if tag == "a" and name == "href"]

    def handle_data(self, data: str) -> None:
        """For HTMLParser."""
        self.text += data

    @property
    def words(self) -> list[str]:
        """The lines of text that there are."""
        return [line.strip() for line in self.text.splitlines() if line.strip()]


def test_the_page_lists_the_servers_for_people(registry: httpx.Client) -> None:
    answer = registry.get("/")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    page = Page(answer.text)
    assert page.words[-7:] == [
        "io.github.user/weather",
        "Forecasts for any place",
        "Version 1.2.0+build",
        "https://weather.example/mcp?units=si&lang=es",
        "cl.smarterbot/CRM",
        HOSTILE["description"],
        "Version 2.0.0",
    ]
    assert page.links == ["/v0.1/servers", "https://weather.example/mcp?units=si&lang=es"]
    assert "script" not in page.elements


def test_the_page_needs_nothing_from_anywhere_and_is_readable_aloud(registry: httpx.Client) -> None:
    answer = registry.get("/")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith(
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    )
    assert re.findall(r'src=|@import|url\(|href="(?!/v0\.1/|data:,|https://weather)', answer.text) == []
    assert '<html lang="en">' in answer.text
    assert [name for name in Page(answer.text).elements if name in {"main", "h1", "h2"}] == [
        "main",
        "h1",
        "h2",
        "h2",
    ]


def test_without_a_server_page_and_list_say_so(tmp_path: Path) -> None:
    with served(tmp_path) as client:
        assert "No server is listed yet." in Page(client.get("/").text).words
        assert client.get("/v0/servers").json() == {"servers": [], "metadata": {"count": 0}}


LINES = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=100)
TRICKY = st.text("{}$`\\\"'<>&@/ nu0{env.HOME}@digest@", min_size=1, max_size=100)


@given_settings(max_examples=100, deadline=None)
@given(description=LINES | TRICKY)
def test_no_description_breaks_out(description: str) -> None:
    files = rendered({**HOSTILE, "description": description})
    shown = {"server": {"$schema": SCHEMA, **HOSTILE, "description": description}, "_meta": META}
    assert json.loads(files["servers.json"])["servers"] == [shown]
    # Between the backticks there is JSON without a thing that means something to Caddy.
    (line,) = [line for line in files["Caddyfile"].splitlines() if "respond @server1 " in line]
    word = line.strip().removeprefix("respond @server1 ")
    assert re.fullmatch(r"`[^`]*`", word)
    assert json.loads(word[1:-1]) == shown
    assert re.findall(r"\{[^\"]|@digest@", word) == []
    page, plain = Page(files["index.html"]), Page(rendered(HOSTILE)["index.html"])
    assert page.elements == plain.elements
    assert page.text == plain.text.replace(HOSTILE["description"], description)


@given_settings(max_examples=300, deadline=None)
@given(
    setting=st.sampled_from(["name", "version", "remote"]),
    value=st.text(max_size=30) | st.text("abcZ09./:-_+{}$`\\\"' \n*%@?#<>&", max_size=30),
)
def test_a_name_version_or_address_is_harmless_or_refused(setting: str, value: str) -> None:
    if setting == "remote" and value:
        value = f"https://h/{value}"
    lines = refusals(mcp_servers=[{**WEATHER, setting: value}])
    harmless = {
        "name": r"[A-Za-z0-9][A-Za-z0-9.-]*/[A-Za-z0-9][A-Za-z0-9._-]*",
        "version": r"(?!(?i:latest)$)[A-Za-z0-9][A-Za-z0-9.+_-]*",
        # Printable ASCII, but no blank and none of these: " < > \ ` { }
        "remote": r"https?://[!#-.0-;=?A-\[\]-_a-z|~]+(/[!#-;=?-\[\]-_a-z|~]*)?",
    }[setting]
    assert (lines == []) == bool(re.fullmatch(harmless, value))


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"name": "weather"}, "name: 'weather' is no name like io.github.owner/server"),
        ({"name": "../x"}, "name: '../x' is no name like io.github.owner/server"),
        ({"name": "a/b\n"}, "name: 'a/b\\n' is no name like io.github.owner/server (did you mean 'a/b'?)"),
        ({"name": "a/b c"}, "name: 'a/b c' is no name like io.github.owner/server"),
        ({"name": "a/" + "b" * 199}, "name: has more than 200 characters"),
        ({"description": ""}, "description: '' is not one line of 1 to 100 characters"),
        ({"description": "a\nb"}, "description: 'a\\nb' is not one line of 1 to 100 characters"),
        ({"version": "latest"}, "version: 'latest' is no version (like 1.2.0)"),
        ({"version": "1/2"}, "version: '1/2' is no version (like 1.2.0)"),
        ({"remote": "javascript:x"}, "remote: 'javascript:x' is no address like https://host/mcp"),
        ({"remote": "https://u:p@host/"}, "remote: 'https://u:p@host/' is no address like https://host/mcp"),
        ({"remotes": []}, "remotes: unknown setting (did you mean 'remote'?)"),
    ],
)
def test_a_bad_server_is_one_line(changes: dict[str, Any], line: str) -> None:
    assert refusals(mcp_servers=[WEATHER, {**HOSTILE, **changes}]) == [f"mcp_servers.1.{line}"]


def test_a_name_is_listed_once_whatever_its_case() -> None:
    again = {**WEATHER, "name": "IO.github.user/Weather", "version": "9"}
    assert refusals(mcp_servers=[WEATHER, HOSTILE, again]) == [
        "mcp_servers: 'IO.github.user/Weather' is listed twice"
    ]
