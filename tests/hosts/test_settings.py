"""Settings as people write them: nearly right, for nobody's domain, for another host."""

import pytest

from tests.e2e.deployment import Deployment
from tests.hosts.conditions import Condition, check

FEW = ["vault", "redis"]
WEB = ["vault", "vault-auth-validator", "caddy"]
OWN = "or set acme_directory to an authority of your own"

CONDITIONS = [
    Condition(
        "a domain of the documentation's, and a city for a time zone",
        refused=(
            "timezone: 'Santiago' is no time zone (did you mean 'America/Santiago'?)",
            (
                "zone: 'example.com' gets no certificate, since nobody can own example.com: "
                f"use a domain of your own, {OWN}"
            ),
        ),
        settings={"zone": "example.com", "timezone": "Santiago", "services": WEB},
    ),
    Condition(
        "an address in the place of a domain, one zone twice, an image in capitals",
        refused=(
            "mirror_zones.0: 'smarterbot.cl' is the zone itself, where everything answers anyway",
            (
                "overrides.redis.image: 'Redis:7' is no image: the repository's name has to be in small letters "
                "(did you mean 'redis:7'?)"
            ),
        ),
        settings={
            "mirror_zones": ["smarterbot.cl"],
            "overrides": {"redis": {"image": "Redis:7"}},
            "services": FEW,
        },
    ),
    Condition(
        "an interface that the host does not have",
        refused=("wan_interfaces.0: the host has no interface 'ens3' with an address; it has {interfaces}",),
        values={
            "interfaces": "ip -o addr | sed -n 's/^[0-9]*: *\\([^ ]*\\) *inet.*/\\1/p' | grep -vx lo | sort -u | paste -sd, | sed 's/,/, /g'"
        },
        settings={"wan_interfaces": ["ens3"], "services": FEW},
    ),
    Condition(
        "a peer that is the host itself",
        refused=("peers.0: 10.99.0.7 is an address of the host itself: leave it out",),
        make="ip address add 10.99.0.7/32 dev lo",
        unmake="ip address del 10.99.0.7/32 dev lo",
        settings={"peers": ["10.99.0.7"], "services": FEW},
    ),
]


@pytest.mark.parametrize("condition", CONDITIONS, ids=str)
def test_settings_that_cannot_be_meant(odd_bare: Deployment, condition: Condition) -> None:
    check(odd_bare, condition)
