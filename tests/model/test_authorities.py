"""Names that get no certificate are refused, unless an authority of one's own is set; so are addresses without an account."""

from typing import Any

import pytest

from tests.samples import refusals, settings

OWN = "or set acme_directory to an authority of your own"
DOMAIN = f"use a domain of your own, {OWN}"


@pytest.mark.parametrize(
    ("zone", "why"),
    [
        ("example.com", "nobody can own example.com"),
        ("shop.example.org", "nobody can own example.org"),
        ("smarter.local", "nobody can own a name in .local"),
        ("smarter.test", "nobody can own a name in .test"),
        ("smarter.invalid", "nobody can own a name in .invalid"),
        ("smarter.localhost", "nobody can own a name in .localhost"),
        ("smarter.internal", "nobody can own a name in .internal"),
        ("nas.home.arpa", "nobody can own a name in .home.arpa"),
        ("smarter.lan", "nobody can own a name in .lan"),
        ("smarter.corp", "nobody can own a name in .corp"),
        ("smarter.onion", "nobody can own a name in .onion"),
        ("a.b.c.d.e.f.g.h.i.cl", "a name has 10 parts at most, the service's own among them"),
        ("ab--cd.cl", "'ab--cd' has hyphens where only an international name (xn--) may"),
    ],
)
def test_a_zone_that_gets_no_certificate_is_refused(zone: str, why: str) -> None:
    assert refusals(zone=zone) == [f"zone: {zone!r} gets no certificate, since {why}: {DOMAIN}"]


def test_so_are_mirror_zones_and_the_domains_of_services() -> None:
    assert refusals(mirror_zones=["shop.lan"], overrides={"n8n": {"domain": "n8n.shop.test"}}) == [
        f"mirror_zones.0: 'shop.lan' gets no certificate, since nobody can own a name in .lan: {DOMAIN}",
        (
            "overrides.n8n.domain: 'n8n.shop.test' gets no certificate, since nobody can own a name in .test: "
            f"{DOMAIN}"
        ),
    ]


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("ops@example.com", "nobody can own example.com"),
        ("ops@mail.example.net", "nobody can own example.net"),
        ("ops@smarter.local", "nobody can own a name in .local"),
    ],
)
def test_an_address_that_gets_no_account_is_refused(address: str, why: str) -> None:
    assert refusals(acme_email=address) == [
        f"acme_email: {address!r} gets no account, since {why}: use an address that you read, {OWN}"
    ]


FREE: list[dict[str, Any]] = [
    {"zone": "example.cl"},
    {"zone": "myexample.com"},
    {"zone": "a.b.c.d.e.f.g.h.cl"},
    {"zone": "xn--mller-kva.cl"},
    {"zone": f"{'a' * 63}.{'b' * 63}.cl"},
    {"zone": "smarter.local", "acme_directory": "https://ca.smarter.local/directory"},
    {"acme_email": "ops@smarter.local", "acme_directory": "https://10.0.0.7:9000/acme/directory"},
    {"acme_email": "ops@example.com", "acme_directory": "https://ca.smarter.lan/letsencrypt.org"},
    # Without a proxy nothing gets a certificate.
    {"zone": "smarter.test", "services": [name for name in settings()["services"] if name != "caddy"]},
]


@pytest.mark.parametrize("changes", FREE, ids=str)
def test_other_names_and_other_authorities_are_fine(changes: dict[str, Any]) -> None:
    assert refusals(**changes) == []


@pytest.mark.parametrize(
    "directory",
    [
        "https://acme-v02.api.letsencrypt.org/directory",
        "https://acme-staging-v02.api.letsencrypt.org/directory",
        "https://acme.zerossl.com/v2/DV90",
        "https://dv.acme-v02.api.pki.goog/directory",
    ],
)
def test_another_public_authority_takes_no_such_name_either(directory: str) -> None:
    assert refusals(zone="smarter.test", acme_directory=directory) == [
        f"zone: 'smarter.test' gets no certificate, since nobody can own a name in .test: {DOMAIN}"
    ]
