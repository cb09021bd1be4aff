"""Hostile input: settings, what comes back from a host, and Vault's answers are clear errors or fine; never a crash."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as given_settings
from hypothesis import strategies as st
from pyinfra.api import DeployError

from tasks import preflight
from tasks.model import settings as outside
from tasks.model.mcp_types import McpServer
from tasks.model.stack import BadSettings, Fork, Override, Stack
from tasks.rendering import render
from tasks.services import every
from tests.fake import commands, fake
from tests.samples import settings

# What a file from elsewhere, a slip of the keyboard or a bad will puts into a setting.
HOSTILE: list[Any] = [
    "",
    " ",
    "\0",
    "a\0b",
    "line\nline: more",
    "crlf\r\n",
    "\ufeffsmarterbot.cl",
    "\x1b[2J\x1b[31mred",
    "\ud800",
    "\u202eevil",
    "$(reboot)",
    "`reboot`",
    "${HOME} $HOME",
    "'; reboot; '",
    '"}\n}\nrespond "x"',
    "{{ 7 * 7 }}",
    "../../../etc/passwd",
    "/",
    "/proc/self/mem",
    "~",
    "~nosuchuser/x",
    "-rf",
    "/dev/zero",
    "/proc/self/environ",
    "https://h.example/\0",
    "https://h.example/\x1b[2J",
    "https://h.example/\ud800",
    "https://h.example/`reboot`",
    "https://h.example/ {",
    "a.b/\0",
    "--privileged",
    "x" * 300_000,
    "host",
    "none",
    "bridge",
    0,
    -1,
    10**400,
    1e308,
    float("nan"),
    float("inf"),
    True,
    None,
    b"bytes",
    [],
    [None],
    [[]],
    ["\0"],
    ["host"],
    [b""],
    [b"\xff"],
    ["x"] * 1000,
    (),
    {},
    {"\n": "\0"},
    {None: None},
    {"n8n": None},
    {"n8n": {"\0": 1}},
    set(),
    object,
    Exception("x"),
]
CATCHING: dict[str, tuple[str, ...]] = {
    "overrides.n8n": tuple(Override.model_fields),
    "forks.n8n": tuple(Fork.model_fields),
    "mcp_servers.0": tuple(McpServer.model_fields),
}


def outcome(**changes: Any) -> list[str]:
    """The lines that the settings are refused with; none when they are fine, and then all can be rendered."""
    try:
        files = render.tree(outside.read(settings(**changes), every()))
    except BadSettings as error:
        return list(error.lines)
    assert [path for path, text in files.items() if "\0" in text] == []
    assert all(text.encode() for text in files.values())
    return []


def one_line_each(lines: list[str]) -> bool:
    """Whether each names its setting, in one line that shows nothing but text."""
    return all(re.match(r"\S[^:]*(\[key\])?: .", line) and line.isprintable() for line in lines)


@pytest.mark.parametrize("key", [*Stack.model_fields, "\0", "no\nkey", "x" * 5000])
def test_every_setting_withstands_every_hostile_value(key: str) -> None:
    for value in HOSTILE:
        assert one_line_each(outcome(**{key: value})), (key, value)


def nested(place: str, field: str, value: Any) -> dict[str, Any]:
    """Settings with the value in a field of an override, a fork or an MCP server, the rest of which is right."""
    server = {"name": "a.b/c", "description": "c", "version": "1.0"}
    fork = {"fork": "https://h.example/o/n.git", "upstream": "https://h.example/o/u.git"}
    places: dict[str, dict[str, Any]] = {
        "overrides.n8n": {"overrides": {"n8n": {field: value}}},
        "forks.n8n": {"forks": {"n8n": {**fork, field: value}}},
        "mcp_servers.0": {"mcp_servers": [{**server, field: value}]},
    }
    return places[place]


@pytest.mark.parametrize(
    ("place", "field"), [(place, field) for place, fields in CATCHING.items() for field in (*fields, "a\nb")]
)
def test_every_nested_setting_withstands_every_hostile_value(place: str, field: str) -> None:
    for value in [*HOSTILE, {"A": "\0"}, {"A": "\ud800"}, {"A": "x" * 300_000}, {"A": "\r\n\x1b"}]:
        assert one_line_each(outcome(**nested(place, field, value))), (place, field, value)


PLACES = st.sampled_from([*Stack.model_fields, "unknown"])
VALUES = st.recursive(
    st.sampled_from(HOSTILE) | st.text(max_size=20) | st.binary(max_size=5) | st.integers() | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["n8n", "redis", "image", "environment", "fork", "\0"]), inner, max_size=3
        )
    ),
    max_leaves=5,
)


@given_settings(max_examples=200, deadline=None)
@given(changes=st.dictionaries(PLACES, VALUES, max_size=5))
def test_hostile_values_together_are_refused_in_a_line_each(changes: dict[str, Any]) -> None:
    assert one_line_each(outcome(**changes))


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({"state_dir": ""}, ["state_dir: '' is no path like /srv/smarteros or ~/smarteros"]),
        ({"state_dir": "keys"}, ["state_dir: 'keys' is no path like /srv/smarteros or ~/smarteros"]),
        (
            {"state_dir": "~nosuchuser/x"},
            ["state_dir: '~nosuchuser/x' begins with a user that this machine does not have"],
        ),
        ({"acme_root": "/dev/zero"}, ["acme_root: '/dev/zero' holds no certificate in PEM form"]),
        (
            {"networks": ["smarter-net", "tenants-net", "dokploy-network", "host"]},
            ["networks.3: 'host' is no name of a network (like smarter-net)"],
        ),
        ({"vault_mount": "sys"}, ["vault_mount: 'sys' is no mount name"]),
        (
            {"overrides": {"n8n": {"environment": {"A": "a\0b"}}}},
            ["overrides.n8n.environment.A: Its value holds a NUL character, which no environment can carry"],
        ),
        (
            {"overrides": {"n8n": {"memory_mb": 10**400}}},
            ["overrides.n8n.memory_mb: has to be 16777216 or less"],
        ),
        ({"no\nkey\x1b": 1}, ["no\\nkey\\x1b: unknown setting"]),
        (
            {"acme_directory": "https://ca.example/\\"},
            ["acme_directory: 'https://ca.example/\\\\' is no address like https://host/directory"],
        ),
    ],
)
def test_what_a_hostile_value_is_refused_with(changes: dict[str, Any], lines: list[str]) -> None:
    assert outcome(**changes) == lines


def test_a_long_line_keeps_both_ends() -> None:
    (line,) = BadSettings(["x" * 5000 + ": unknown setting"]).lines
    assert line == f"{'x' * 300} … {'x' * 283}: unknown setting"


def test_a_run_with_hostile_settings_asks_the_host_nothing() -> None:
    values: list[Any] = ["\0", "a\nb", "$(reboot)", 5, None, []]
    for value in values:
        with fake({}, zone=value) as host, pytest.raises(DeployError) as refused:
            commands(preflight.checked)
        assert str(refused.value).startswith("the settings of @fake/one cannot be deployed:\n    zone: ")
        connector: Any = host.connector
        assert connector.executed_commands == []
