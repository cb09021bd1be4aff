"""Environments that lead Docker and Compose elsewhere: a run looks at this host's Docker, and nowhere else."""

import pytest

from tests.e2e.deployment import Deployment
from tests.hosts.conditions import Condition, check

SERVICES = {"services": ["vault", "redis", "vault-auth-validator", "caddy"]}
# A namesake that is seen says that this host's own Docker was asked.
SEEN = "docker volume create redis_data"
GONE = "docker volume rm redis_data"
REFUSED = (
    (
        "volume redis_data: is not ours (no container uses it): copy what is in it and remove it (docker volume rm redis_data), "
        'or set adopt = ["volume:redis_data"]: redis uses it: its keys are loaded, and those of a newer Redis do not start'
    ),
)
KEEP = "cp /etc/environment /run/environment 2>/dev/null || : >/run/environment"
BACK = "cp /run/environment /etc/environment"


CONDITIONS = [
    Condition(
        "the login's environment names another Docker and another project",
        f"{SEEN}; {KEEP}; printf '%s\\n' DOCKER_HOST=tcp://127.0.0.1:1 DOCKER_CONTEXT=nowhere COMPOSE_PROJECT_NAME=shop "
        ">>/etc/environment",
        f"{BACK}; export DOCKER_HOST= DOCKER_CONTEXT=; {GONE}",
        refused=REFUSED,
        settings=SERVICES,
    ),
    Condition(
        "root has chosen a context that leads elsewhere",
        f'{SEEN}; mkdir -p /root/.docker; echo \'{{"currentContext": "elsewhere"}}\' >/root/.docker/config.json',
        f"rm -r /root/.docker; {GONE}",
        refused=REFUSED,
        settings=SERVICES,
    ),
]


@pytest.mark.parametrize("condition", CONDITIONS, ids=str)
def test_a_run_asks_this_hosts_docker(odd: Deployment, condition: Condition) -> None:
    check(odd, condition)
