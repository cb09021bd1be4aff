"""What is nearly right gets a "did you mean", what cannot be seen is named, and what has another type is said to have it."""

from pathlib import Path
from typing import Any

import pytest

from tests.samples import refusals, settings

NO_DOMAIN = "is no domain name"
NO_ZONE = "is no time zone"
NO_PEER = "is no address or network"
BOTH = "names a host and its network at once"
WITHOUT_VAULT = [name for name in settings()["services"] if name not in {"vault", "vault-auth-validator"}]

MEANT = [
    ("zone", "Smarterbot.CL", NO_DOMAIN, "smarterbot.cl"),
    ("zone", "smarterbot.cl.", NO_DOMAIN, "smarterbot.cl"),
    ("zone", " smarterbot.cl\n", NO_DOMAIN, "smarterbot.cl"),
    ("zone", "https://smarterbot.cl/", NO_DOMAIN, "smarterbot.cl"),
    ("zone", "smarterbot.cl:443", NO_DOMAIN, "smarterbot.cl"),
    ("zone", "smarterbot.cl/crm", NO_DOMAIN, "smarterbot.cl"),
    ("zone", "müller.cl", NO_DOMAIN, "xn--mller-kva.cl"),
    ("zone", "straße.cl", NO_DOMAIN, "xn--strae-oqa.cl"),
    ("zone", "mi_tienda.cl", NO_DOMAIN, "mi-tienda.cl"),
    (
        "zone",
        "*.smarterbot.cl",
        "is a wildcard, and here each service gets a name and a certificate of its own",
        "smarterbot.cl",
    ),
    ("acme_email", "mailto:ops@smarterbot.cl", "is no e-mail address", "ops@smarterbot.cl"),
    ("acme_email", "Ops <ops@smarterbot.cl>", "is no e-mail address", "ops@smarterbot.cl"),
    ("acme_email", "ops@smarterbot.cl, b@b.cl", "is no e-mail address", "ops@smarterbot.cl"),
    ("acme_email", "ops@müller.cl ", "is no e-mail address", "ops@xn--mller-kva.cl"),
    (
        "acme_directory",
        "ca.acme.cl/directory",
        "is no address like https://host/directory",
        "https://ca.acme.cl/directory",
    ),
    ("timezone", "america/santiago", NO_ZONE, "America/Santiago"),
    ("timezone", "Santiago", NO_ZONE, "America/Santiago"),
    ("timezone", "America/Santigo", NO_ZONE, "America/Santiago"),
    ("timezone", "America/New York", NO_ZONE, "America/New_York"),
    ("timezone", "utc", NO_ZONE, "UTC"),
    ("timezone", "UTC-4", NO_ZONE, "Etc/GMT+4"),
    ("timezone", "+03:00", NO_ZONE, "Etc/GMT-3"),
]


@pytest.mark.parametrize(("setting", "value", "wrong", "better"), MEANT)
def test_what_was_meant_is_suggested(setting: str, value: str, wrong: str, better: str) -> None:
    assert refusals(**{setting: value}) == [f"{setting}: {value!r} {wrong} (did you mean {better!r}?)"]
    assert refusals(**{setting: better}) == []


@pytest.mark.parametrize(
    ("peer", "wrong", "better"),
    [
        ("10.0.0.1/8", BOTH, "10.0.0.0/8"),
        ("2001:db8::1/64", BOTH, "2001:db8::/64"),
        ("203.0.113.7:22", NO_PEER, "203.0.113.7"),
        ("[2001:db8::1]:22", NO_PEER, "2001:db8::1"),
        ("ssh://203.0.113.7/", NO_PEER, "203.0.113.7"),
        (" 203.0.113.7", NO_PEER, "203.0.113.7"),
    ],
)
def test_the_network_that_was_meant_is_suggested(peer: str, wrong: str, better: str) -> None:
    assert refusals(peers=[peer]) == [f"peers.0: {peer!r} {wrong} (did you mean {better!r}?)"]
    assert refusals(peers=[better]) == []


PLAIN: list[tuple[dict[str, Any], str]] = [
    ({"zone": "localhost"}, "zone: 'localhost' is no domain name (like smarterbot.cl)"),
    ({"zone": "10.0.0.1"}, "zone: '10.0.0.1' is no domain name (like smarterbot.cl)"),
    ({"zone": ""}, "zone: '' is no domain name (like smarterbot.cl)"),
    (
        {"zone": "sm\u0430rterbot.cl"},
        "zone: 'sm\u0430rterbot.cl' mixes Latin letters with '\u0430', a cyrillic small letter a",
    ),
    ({"acme_email": ""}, "acme_email: '' is no e-mail address"),
    ({"acme_email": "a..b@x.cl"}, "acme_email: 'a..b@x.cl' is no e-mail address"),
    ({"timezone": "PST"}, "timezone: 'PST' is no time zone (like America/Santiago)"),
    ({"timezone": "Factory"}, "timezone: 'Factory' is no time zone (like America/Santiago)"),
    (
        {"peers": ["127.0.0.1"]},
        "peers.0: '127.0.0.1' is no other host's address (like 203.0.113.7 or 2001:db8:7::/64)",
    ),
    (
        {"peers": ["node-2"]},
        "peers.0: 'node-2' is no address or network (like 203.0.113.7 or 2001:db8:7::/64)",
    ),
    (
        {"services": WITHOUT_VAULT, "vault_address": "https://vault.acme.cl:8200/"},
        (
            "vault_address: 'https://vault.acme.cl:8200/' is no address like https://host:port "
            "(did you mean 'https://vault.acme.cl:8200'?)"
        ),
    ),
    (
        {"mirror_zones": ["smarterbot.cl"]},
        "mirror_zones.0: 'smarterbot.cl' is the zone itself, where everything answers anyway",
    ),
    ({"mirror_zones": ["a.cl", "a.cl"]}, "mirror_zones.1: 'a.cl' is listed twice"),
]


@pytest.mark.parametrize(("changes", "line"), PLAIN, ids=[line for _, line in PLAIN])
def test_nothing_is_suggested_where_nothing_is_near(changes: dict[str, Any], line: str) -> None:
    assert refusals(**changes) == [line]


@pytest.mark.parametrize(
    ("changes", "path", "sign"),
    [
        ({"zone": "smarter\u200bbot.cl"}, "zone", "U+200B (zero width space)"),
        ({"acme_email": "\ufeffops@smarterbot.cl"}, "acme_email", "U+FEFF (zero width no-break space)"),
        ({"mirror_zones": ["a.cl\u00a0"]}, "mirror_zones.0", "U+00A0 (no-break space)"),
        (
            {"overrides": {"n8n": {"image": "n8nio/n8n:1\u200d"}}},
            "overrides.n8n.image",
            "U+200D (zero width joiner)",
        ),
        ({"timezone": "America\u2060/Santiago"}, "timezone", "U+2060 (word joiner)"),
    ],
)
def test_a_character_that_cannot_be_seen_is_named(changes: dict[str, Any], path: str, sign: str) -> None:
    assert refusals(**changes) == [
        f"{path}: holds a character that cannot be seen, {sign}: write it anew by hand"
    ]


def test_a_value_for_a_container_may_hold_it() -> None:
    assert refusals(overrides={"n8n": {"environment": {"GREETING": "Hola\u00a0a todos"}}}) == []


def _helper() -> None: ...


TYPES: list[tuple[dict[str, Any], str]] = [
    ({"zone": ["smarterbot.cl"]}, "zone: has to be text, and is a list"),
    ({"zone": None}, "zone: has to be text, and is None"),
    ({"state_dir": Path("/srv")}, "state_dir: has to be text, and is a path object: write str(…) around it"),
    (
        {"mirror_zones": "a.cl, b.cl"},
        "mirror_zones: has to be a list, and is text (did you mean ['a.cl', 'b.cl']?)",
    ),
    ({"mirror_zones": None}, "mirror_zones: has to be a list, and is None"),
    ({"mirror_zones": {"a.cl"}}, "mirror_zones: has to be a list, and is a set, which has no order"),
    (
        {"mirror_zones": (name for name in ("a.cl",))},
        "mirror_zones: has to be a list, and is a Python generator",
    ),
    (
        {"overrides": {"n8n": {"allow_from": "203.0.113.7, 198.51.100.0/24"}}},
        (
            "overrides.n8n.allow_from: has to be a list, and is text "
            "(did you mean ['203.0.113.7', '198.51.100.0/24']?)"
        ),
    ),
    ({"overrides": {"n8n": {"allow_from": []}}}, "overrides.n8n.allow_from: has to list at least one"),
    (
        {"overrides": {"n8n": {"allow_from": ["203.0.113.7/24"]}}},
        (
            "overrides.n8n.allow_from.0: '203.0.113.7/24' names a host and its network at once "
            "(did you mean '203.0.113.0/24'?)"
        ),
    ),
    (
        {"overrides": {"n8n": {"allow_from": ["0.0.0.0/0"]}}},
        "overrides.n8n.allow_from.0: '0.0.0.0/0' is everybody",
    ),
    (
        {"overrides": {"n8n": {"allow_from": ["2001:db8::/32"]}}},
        (
            "overrides.n8n.allow_from.0: '2001:db8::/32' is IPv6, and Docker hides from Caddy who comes over IPv6: "
            "name IPv4"
        ),
    ),
    *(
        ({"overrides": {"odoo": {"public": [wrong]}}}, f"overrides.odoo.public.0: {wrong!r} {said}")
        for wrong, said in {
            "our-shop/*": "is no path, or one with all that is below it (did you mean '/our-shop/*'?)",
            "https://erp.example.cl/our-shop": "is no path, or one with all that is below it (did you mean '/our-shop'?)",
            "/our-shop*": "is no path, or one with all that is below it (did you mean '/our-shop/*'?)",
            "/*": "is no path, or one with all that is below it (like /our-shop/*)",
            "*/shop": "is no path, or one with all that is below it (like /our-shop/*)",
            "/shop/*/x": "is no path, or one with all that is below it (like /our-shop/*)",
            "/shop/../web": "is no path, or one with all that is below it (like /our-shop/*)",
            "/shop /web": "is no path, or one with all that is below it (like /our-shop/*)",
            "/shop//x": "is no path, or one with all that is below it (like /our-shop/*)",
            "/shop{x}": "is no path, or one with all that is below it (like /our-shop/*)",
        }.items()
    ),
    (
        {"overrides": {"n8n": {"public": "/hooks/*, /x"}}},
        "overrides.n8n.public: has to be a list, and is text (did you mean ['/hooks/*', '/x']?)",
    ),
    (
        {"overrides": {"n8n": {"allowed_from": ["203.0.113.7"]}}},
        "overrides.n8n.allowed_from: unknown setting (did you mean 'allow_from'?)",
    ),
    ({"peers": [5]}, "peers.0: has to be text, and is a number"),
    ({"overrides": []}, "overrides: has to be a table like {…: …}, and is a list"),
    ({"overrides": {"n8n": None}}, "overrides.n8n: has to be a table like {…: …}, and is None"),
    ({"vault_shares": "5"}, "vault_shares: has to be a whole number, and is text (did you mean 5?)"),
    ({"unseal_at_boot": "no"}, "unseal_at_boot: has to be True or False, and is text (did you mean False?)"),
    (
        {"overrides": {"n8n": {"guard": "yes"}}},
        "overrides.n8n.guard: has to be True or False, and is text (did you mean True?)",
    ),
    ({"unseal_at_boot": 1}, "unseal_at_boot: has to be True or False, and is a number"),
    (
        {"profile": "Minimum"},
        "profile: has to be 'minimum', 'recommended' or 'production' (did you mean 'minimum'?)",
    ),
    ({"revert_seconds": 5}, "revert_seconds: has to be 20 or more"),
    ({"helper": _helper}, "helper: is no setting: begin the names of what helps you with _"),
]


@pytest.mark.parametrize(("changes", "line"), TYPES, ids=[line for _, line in TYPES])
def test_another_type_is_said_to_be_one(changes: dict[str, Any], line: str) -> None:
    assert refusals(**changes) == [line]
