"""Networks: exactly the commands that a difference needs, none for none."""

import pytest

from tasks.operations import networks
from tests.fake import fake, texts


def docker(*lines: str) -> dict[str, list[str]]:
    """What DockerFact's command prints."""
    return {"docker ps -aq": list(lines)}


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["n|smarter-net|bridge|false", "n|tenants-net|bridge|false", "n|other|overlay|true"], []),
        (
            ["n|smarter-net|bridge|false"],
            ["docker network create --driver bridge --label smarteros.network=yes tenants-net"],
        ),
        (
            ["n|smarter-net|bridge|false", "n|tenants-net|bridge|true"],
            [
                (
                    "for container in $(docker network inspect --format '{{range .Containers}}{{.Name}} {{end}}' tenants-net); do\n"
                    '    docker network disconnect --force tenants-net "$container"\n'
                    "done\n"
                    "docker network rm tenants-net"
                ),
                "docker network create --driver bridge --label smarteros.network=yes tenants-net",
            ],
        ),
    ],
)
def test_networks_are_made_when_missing_and_anew_when_wrong(lines: list[str], expected: list[str]) -> None:
    with fake(docker(*lines)):
        assert texts(networks.bridges, ["smarter-net", "tenants-net"]) == expected
