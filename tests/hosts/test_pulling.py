"""What Docker would pull images with: a proxy that is gone, a program for credentials that was never there."""

import pytest

from tests.e2e.deployment import Deployment
from tests.hosts.conditions import Condition, check

FOLDER = "/etc/systemd/system/docker.service.d"
CONFIG = "/root/.docker/config.json"


def config(text: str) -> tuple[str, str]:
    """Shell that makes and unmakes root's settings of Docker's client."""
    return f"mkdir -p /root/.docker; echo '{text}' >{CONFIG}", f"rm {CONFIG}; rmdir /root/.docker"


CONDITIONS = [
    Condition(
        "a proxy of Docker's that is gone",
        f"mkdir {FOLDER}; printf '[Service]\\nEnvironment=HTTPS_PROXY=http://127.0.0.1:9\\n' >{FOLDER}/proxy.conf",
        f"rm -r {FOLDER}",
        refused=(
            (
                f"docker: its proxy http://127.0.0.1:9 ({FOLDER}/proxy.conf) does not answer, so that no image could be "
                "pulled: start it, or take it out"
            ),
        ),
    ),
    Condition(
        "a desktop's program for credentials",
        *config('{"credsStore": "desktop"}'),
        refused=(
            (
                f"docker: docker-credential-desktop, which {CONFIG} names, is not installed, so that no image could be pulled: "
                'install it, or take "credsStore" out'
            ),
        ),
    ),
    Condition(
        "a program for credentials of a registry that nothing comes from",
        *config('{"credHelpers": {"eu.gcr.io": "nonesuch"}}'),
    ),
]


@pytest.mark.parametrize("condition", CONDITIONS, ids=str)
def test_what_keeps_images_away(odd_bare: Deployment, condition: Condition) -> None:
    check(odd_bare, condition)
