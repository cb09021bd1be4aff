"""Settings are refused with every mistake at once, each as ``path: what is wrong``; never with a crash."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as given_settings
from hypothesis import strategies as st

from tasks.model.settings import read
from tasks.model.stack import BadSettings, Override, Stack
from tasks.model.words import suggestion
from tasks.services import every, load
from tests import samples
from tests.samples import refusals


def test_the_delivered_settings_are_fine() -> None:
    assert refusals() == []


def test_lists_become_tuples_and_everything_is_frozen() -> None:
    stack = samples.stack(overrides={"n8n": {"networks": ["smarter-net"]}})
    assert stack.services == tuple(samples.settings()["services"])
    assert stack.override("n8n") == Override(networks=("smarter-net",))
    assert stack.override("redis") == Override()
    assert stack.model_config["frozen"] is True


def test_what_connectors_read_is_not_ours_to_judge() -> None:
    assert refusals(ssh_user="root", _sudo=True, local_x=1, fake_delay=0) == []


RELAY = {"host": "smtp.example.com", "from": "ops@example.com"}


@pytest.mark.parametrize(
    ("mail", "at"),
    [
        (RELAY, 587),
        ({**RELAY, "security": "tls"}, 465),
        ({**RELAY, "host": "10.0.0.5", "security": "none"}, 25),
        ({**RELAY, "port": 2525}, 2525),
    ],
)
def test_the_mail_servers_port_follows_its_security(mail: dict[str, Any], at: int) -> None:
    found = samples.stack(mail=mail).mail
    assert found is not None
    assert found.at == at


MISTAKES: list[tuple[dict[str, Any], list[str]]] = [
    ({"zonee": "x.cl"}, ["zonee: unknown setting (did you mean 'zone'?)"]),
    ({"wholly_else": 1}, ["wholly_else: unknown setting"]),
    ({"zone": "smarterbot"}, ["zone: 'smarterbot' is no domain name (like smarterbot.cl)"]),
    ({"zone": "Upper.cl"}, ["zone: 'Upper.cl' is no domain name (did you mean 'upper.cl'?)"]),
    ({"zone": "10.0.0.1"}, ["zone: '10.0.0.1' is no domain name (like smarterbot.cl)"]),
    ({"zone": "a.cl {"}, ["zone: 'a.cl {' is no domain name (like smarterbot.cl)"]),
    ({"zone": 5}, ["zone: has to be text, and is a number"]),
    (
        {"mirror_zones": ["ok.cl", "no_.cl"]},
        ["mirror_zones.1: 'no_.cl' is no domain name (like smarterbot.cl)"],
    ),
    ({"mail": {}}, ["mail.from: is required", "mail.host: is required"]),
    ({"mail": "smtp.x.cl"}, ["mail: has to be a table like {…: …}, and is text"]),
    ({"mail": {**RELAY, "hots": 1}}, ["mail.hots: unknown setting (did you mean 'host'?)"]),
    (
        {"mail": {**RELAY, "password": "hunter2"}},
        ["mail.password: unknown setting: it is given to Vault alone: `make give-secrets` asks for it"],
    ),
    (
        {"mail": {**RELAY, "host": "smtp://Smtp.Example.com:587"}},
        [
            "mail.host: 'smtp://Smtp.Example.com:587' is no name of a server (did you mean 'smtp.example.com'?)"
        ],
    ),
    (
        {"mail": {**RELAY, "host": "127.0.0.1"}},
        ["mail.host: '127.0.0.1' is each service's own container: name the server as containers reach it"],
    ),
    ({"mail": {**RELAY, "from": "ops"}}, ["mail.from: 'ops' is no e-mail address"]),
    (
        {"mail": {**RELAY, "user": "a\nb"}},
        ["mail.user: 'a\\nb' is no login (like ops@example.com; empty: none)"],
    ),
    (
        {"mail": {**RELAY, "security": "startls"}},
        ["mail.security: has to be 'starttls', 'tls' or 'none' (did you mean 'starttls'?)"],
    ),
    (
        {"mail": {**RELAY, "port": 465}},
        ["mail.port: 465 is spoken to with security 'tls', and security is 'starttls'"],
    ),
    (
        {"mail": {**RELAY, "security": "none"}},
        [
            "mail.security: 'none' sends mails and the password readable to whoever is on the way: only to a host that is a private address (like 10.0.0.5)"
        ],
    ),
    (
        {"mail": {"host": 5, "port": "x", "user": [], "security": {}, "from": None}},
        [
            "mail.from: has to be text, and is None",
            "mail.host: has to be text, and is a number",
            "mail.port: has to be a whole number, and is text",
            "mail.security: has to be 'starttls', 'tls' or 'none'",
            "mail.user: has to be text, and is a list",
        ],
    ),
    ({"acme_email": "ops"}, ["acme_email: 'ops' is no e-mail address"]),
    ({"acme_email": "a@b.cl }"}, ["acme_email: 'a@b.cl }' is no e-mail address (did you mean 'a@b.cl'?)"]),
    ({"acme_email": '"a@b.cl'}, ["acme_email: '\"a@b.cl' is no e-mail address"]),
    ({"acme_email": "#a@b.cl"}, ["acme_email: '#a@b.cl' is no e-mail address"]),
    (
        {"acme_email": None},
        [
            "acme_email: is required: the contact of the account at the certificate authority, and the login of the services' first admin"
        ],
    ),
    ({"acme_directory": "x"}, ["acme_directory: 'x' is no address like https://host/directory"]),
    (
        {"acme_directory": "https://x {"},
        ["acme_directory: 'https://x {' is no address like https://host/directory"],
    ),
    ({"acme_root": "/no/pem"}, ["acme_root: '/no/pem' cannot be read: No such file or directory"]),
    ({"acme_root": "/etc/hosts"}, ["acme_root: '/etc/hosts' holds no certificate in PEM form"]),
    ({"timezone": "a b\n"}, ["timezone: 'a b\\n' is no time zone (like America/Santiago)"]),
    ({"services": "vault"}, ["services: has to be a list, and is text (did you mean ['vault']?)"]),
    ({"services": {"vault"}}, ["services: has to be a list, and is a set, which has no order"]),
    ({"mirror_zones": {"a.cl"}}, ["mirror_zones: has to be a list, and is a set, which has no order"]),
    (
        {"overrides": {"n8n": {"networks": "smarter-net"}}},
        ["overrides.n8n.networks: has to be a list, and is text (did you mean ['smarter-net']?)"],
    ),
    ({"services": []}, ["services: has to list at least one"]),
    (
        {"services": ["vault", "postgres", "redis", "n8m", "caddy"]},
        ["services.3: unknown service 'n8m' (did you mean 'n8n'?)"],
    ),
    (
        {"services": ["vault", "postgres", "postgres", "caddy"]},
        ["services.2: 'postgres' is listed twice"],
    ),
    (
        {"services": ["postgres", "caddy"]},
        ["services: 'vault' is missing, and no vault_address names an external one"],
    ),
    (
        {"networks": ["smarter-net", "smarter-net", "tenants-net", "dokploy-network"]},
        ["networks.1: 'smarter-net' is listed twice"],
    ),
    (
        {"networks": ["smarter-net", "tenants-net", "dokploy-network", "a: b"]},
        ["networks.3: 'a: b' is no name of a network (like smarter-net)"],
    ),
    (
        {"overrides": {"n8m": {}}},
        ["overrides.n8m: unknown service (did you mean 'n8n'?)"],
    ),
    (
        {"overrides": {"n8n": {"memory": 5}}},
        ["overrides.n8n.memory: unknown setting (did you mean 'memory_mb'?)"],
    ),
    (
        {"overrides": {"n8n": {"memory_mb": "1g"}}},
        ["overrides.n8n.memory_mb: has to be a whole number, and is text"],
    ),
    ({"overrides": {"n8n": {"cpus": 0}}}, ["overrides.n8n.cpus: has to be 0.01 or more"]),
    (
        {"overrides": {"n8n": {"cpus": float("inf")}}},
        ["overrides.n8n.cpus: has to be a finite number"],
    ),
    (
        {"overrides": {"n8n": {"port": 70000}}},
        ["overrides.n8n.port: has to be 65535 or less"],
    ),
    (
        {"overrides": {"n8n": {"image": "n8nio/n8n"}}},
        [
            "overrides.n8n.image: 'n8nio/n8n' names no tag and no digest: write repository:tag or repository@sha256:…, so that a run is repeatable"
        ],
    ),
    (
        {"overrides": {"n8n": {"environment": {"A: B": "x"}}}},
        ["overrides.n8n.environment.A: B.[key]: 'A: B' is no name of a variable"],
    ),
    (
        {"vault_engine": "vaultt"},
        ["vault_engine: has to be 'vault' or 'openbao' (did you mean 'vault'?)"],
    ),
    (
        {"vault_mount": "a/b"},
        ["vault_mount: 'a/b' is no mount name"],
    ),
    (
        {"vault_shares": 2},
        ["vault_threshold: 3 is more than vault_shares (2): it could never be unsealed"],
    ),
    (
        {"vault_threshold": 1},
        ["vault_threshold: 1 needs vault_shares = 1 (Vault refuses several shares of which one is enough)"],
    ),
    (
        {"vault_address": "https://vault.example:8200"},
        ["vault_address: an external Vault is set, so 'vault' must not be in services"],
    ),
    ({"docker_source": "snap"}, ["docker_source: has to be 'distribution' or 'docker.com'"]),
    (
        {"overrides": {"vault-auth-validator": {"guard": True}}},
        ["overrides.vault-auth-validator.guard: people sign in there, so it has to be open"],
    ),
    (
        {"overrides": {"vault-auth-validator": {"domain": "vault.smarterbot.cl"}}},
        ["overrides.vault-auth-validator.domain: people sign in at api.<zone>, in every zone"],
    ),
]


@pytest.mark.parametrize(("changes", "lines"), MISTAKES, ids=[next(iter(item[0])) for item in MISTAKES])
def test_each_mistake_is_one_line(changes: dict[str, Any], lines: list[str]) -> None:
    assert refusals(**changes) == lines


def test_a_missing_setting_is_required() -> None:
    data = {key: value for key, value in samples.settings().items() if key not in {"zone", "networks"}}
    with pytest.raises(BadSettings) as refused:
        read(data, every())
    assert refused.value.lines == ("networks: is required", "zone: is required")


def test_all_mistakes_come_at_once() -> None:
    lines = refusals(
        zonee="x.cl",
        zone="bad zone",
        vault_shares=1,
        services=["vault", "postgres", "redis", "n8n", "caddy", "odo"],
        overrides={"n8n": {"guard": True, "memory": 1}, "caddi": {}},
    )
    assert lines == [
        "overrides.caddi: unknown service (did you mean 'caddy'?)",
        "overrides.n8n.guard: needs 'vault-auth-validator' in services",
        "overrides.n8n.memory: unknown setting (did you mean 'memory_mb'?)",
        "services.5: unknown service 'odo' (did you mean 'odoo'?)",
        "vault_threshold: 3 is more than vault_shares (1): it could never be unsealed",
        "zone: 'bad zone' is no domain name (like smarterbot.cl)",
        "zonee: unknown setting (did you mean 'zone'?)",
    ]


def test_a_mistake_reads_as_its_lines() -> None:
    assert str(BadSettings(["a: wrong", "b: wrong"])) == "a: wrong\nb: wrong"


def test_a_near_miss_is_suggested_and_a_far_one_is_not() -> None:
    assert suggestion("postgress", ["postgres", "redis"]) == " (did you mean 'postgres'?)"
    assert suggestion("x", ["postgres", "redis"]) == ""


# Anything that Python data can hold, also what no JSON has.
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.binary(max_size=4)
)
NAMES = st.sampled_from([*every(), "n8m", "smarter-net", "smarterbot.cl", "a@b.cl", "a/b:1"])
VALUES = st.recursive(
    SCALARS | NAMES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(NAMES | st.text(max_size=5) | st.integers(), inner, max_size=3)
        | st.tuples(inner)
        | st.frozensets(NAMES, max_size=3)
    ),
    max_leaves=6,
)
OVERRIDES = st.dictionaries(
    NAMES, st.dictionaries(st.sampled_from(sorted(Override.model_fields)), VALUES, max_size=3), max_size=3
)
CHANGES = st.dictionaries(
    st.sampled_from(sorted(Stack.model_fields)) | st.text(max_size=9), VALUES, max_size=4
)


@given_settings(max_examples=150, deadline=None)
@given(changes=CHANGES, overrides=st.none() | OVERRIDES, services=st.none() | st.lists(NAMES, max_size=7))
def test_any_data_is_a_stack_or_bad_settings(
    changes: dict[str, Any], overrides: dict[str, Any] | None, services: list[str] | None
) -> None:
    data = samples.settings(**changes)
    if overrides is not None:
        data["overrides"] = overrides
    if services is not None:
        data["services"] = services
    lines: tuple[str, ...] = ("services: fine",)
    try:
        stack = read(data, every())
        assert {item.name for item in load(stack)} == set(stack.services)
    except BadSettings as error:
        lines = error.lines
    assert lines
    assert all(re.match(r"(?s).*: .", line) for line in lines)
