"""Docker's objects that carry a name of ours and are somebody else's: named, refused, and left as they are."""

import pytest

from tests.e2e.deployment import Deployment
from tests.hosts.conditions import Condition, check

RUN = "docker run --detach --quiet --entrypoint sleep"
IMAGE = "redis:7.4.11-alpine"
ABOUT = f"{IMAGE}, since {{today}}, running"
TODAY = {"today": "date -u +%F"}
SERVICES = {"services": ["vault", "redis", "vault-auth-validator", "caddy"]}


def project(name: str, part: str) -> str:
    return f"--label com.docker.compose.project={name} --label com.docker.compose.service={part}"


WITH_DOKPLOY = {"services": ["vault", "postgres", "dokploy", "vault-auth-validator", "caddy"]}
INSTALLED = "mkdir -p /etc/dokploy/traefik; echo 'api: {}' >/etc/dokploy/traefik/traefik.yml"


CONDITIONS = [
    Condition(
        "an image of somebody's own under a name of ours",
        "docker tag redis:7.4.11-alpine caddy:2.11.7-alpine",
        "docker image rm caddy:2.11.7-alpine >/dev/null",
        said=(
            (
                "docker: caddy:2.11.7-alpine is on the host and came from no registry (built, loaded or tagged there), and it "
                "runs as ours: if that is not meant, `docker image rm caddy:2.11.7-alpine`, or name another in "
                "overrides.caddy.image"
            ),
        ),
        settings={"services": ["vault", "vault-auth-validator", "caddy"]},
    ),
    Condition(
        "a container called vault",
        f"{RUN} --name vault {IMAGE} 600",
        "docker rm --force vault",
        refused=(
            (
                f"container vault: is not ours ({ABOUT}): rename it (docker rename vault old-vault), or set adopt = "
                '["container:vault"]: it is stopped just before ours starts, and kept as vault-before-smarteros'
            ),
        ),
        values=TODAY,
        settings=SERVICES,
    ),
    Condition(
        "one that is adopted",
        f"{RUN} --name vault {IMAGE} 600",
        "docker rm --force vault",
        said=(
            (
                f"adopt: container vault ({ABOUT}): it is stopped just before ours starts, and kept as "
                "vault-before-smarteros"
            ),
        ),
        values=TODAY,
        settings={**SERVICES, "adopt": ["container:vault"]},
    ),
    Condition(
        "one that would be gone once stopped, adopted or not",
        f"{RUN} --rm --name redis {IMAGE} 600",
        "docker rm --force redis",
        refused=(
            (
                f"container redis: is not ours ({ABOUT}), and cannot be adopted: it was started with --rm and would be gone once "
                "stopped: stop it, or start it again under another name"
            ),
        ),
        values=TODAY,
        settings={**SERVICES, "adopt": ["container:redis"]},
    ),
    Condition(
        "a network of somebody's own, cut off from the world, with a container on it",
        f"docker network create --internal tenants-net; {RUN} --name shop-db --network tenants-net {IMAGE} 600",
        "docker rm --force shop-db; docker network rm tenants-net",
        refused=(
            (
                "network tenants-net: is not ours (bridge, internal; on it: shop-db), and cannot be adopted: it is cut off from the "
                "world (internal): take its containers out and remove it (docker network disconnect tenants-net shop-db; "
                "docker network rm tenants-net)"
            ),
        ),
        settings=SERVICES,
    ),
    Condition(
        "a Compose project of a service's name, of which Compose would remove a container",
        f"{RUN} --name redis-redis-1 {project('redis', 'redis')} {IMAGE} 600",
        "docker rm --force redis-redis-1",
        refused=(
            (
                f"project redis: is not ours (a Compose project of redis-redis-1: {ABOUT}), and cannot be adopted: Compose would take "
                "redis-redis-1 for ours and remove it: end it (docker compose -p redis down, which keeps its volumes), or start it "
                "again under another name (docker compose -p old-redis up -d)"
            ),
        ),
        values=TODAY,
        settings=SERVICES,
    ),
    Condition(
        "a container that answers to a name of ours in a network that is adopted",
        f"docker network create smarter-net; {RUN} --name shop-cache --network smarter-net --network-alias redis {IMAGE} 600",
        "docker rm --force shop-cache; docker network rm smarter-net",
        refused=(
            (
                f"container shop-cache: is not ours ({ABOUT}), and cannot be adopted: it answers to redis on smarter-net, where ours "
                "is looked for, and would get a part of what is meant for that: take it out of there (docker network disconnect "
                "smarter-net shop-cache), or start it again under another alias, hostname or Compose service"
            ),
        ),
        values=TODAY,
        settings={**SERVICES, "adopt": ["network:smarter-net"]},
    ),
    Condition(
        "a volume of a name of ours that a container is at work in",
        f"{RUN} --name own-redis --volume redis_data:/data {IMAGE} 600",
        "docker rm --force own-redis; docker volume rm redis_data",
        refused=(
            (
                f"volume redis_data: is not ours (used by own-redis: {ABOUT}), and cannot be adopted: own-redis would write to it, "
                "too: stop that (docker stop own-redis) and adopt it, or copy what is in it and remove it (docker volume rm redis_data)"
            ),
        ),
        values=TODAY,
        settings={**SERVICES, "adopt": ["volume:redis_data"]},
    ),
    Condition(
        "a volume that Compose made for somebody's project of our name, before ours was ever here",
        "docker volume create --label com.docker.compose.project=redis --label com.docker.compose.volume=redis_data redis_data",
        "docker volume rm redis_data",
        refused=(
            (
                "volume redis_data: is not ours (no container uses it): copy what is in it and remove it (docker volume rm "
                'redis_data), or set adopt = ["volume:redis_data"]: redis uses it: its keys are loaded, and those of a newer Redis '
                "do not start"
            ),
        ),
        settings=SERVICES,
    ),
    Condition(
        "an adopted volume that came from a backup as root",
        "docker volume create redis_data && touch $(docker volume inspect -f {{.Mountpoint}} redis_data)/dump.rdb && "
        "chown -R 0 $(docker volume inspect -f {{.Mountpoint}} redis_data)",
        "docker volume rm redis_data",
        refused=(
            (
                "volume redis_data: what it holds is root's, and redis runs as redis and could not write there: give it to that user "
                f"(docker run --rm --user 0 --entrypoint chown --volume redis_data:/data {IMAGE} -R redis /data)"
            ),
        ),
        settings={**SERVICES, "adopt": ["volume:redis_data"]},
    ),
    Condition(
        "the folder of another Dokploy",
        INSTALLED,
        "rm -r /etc/dokploy",
        refused=(
            (
                "folder /etc/dokploy: is not ours (it holds traefik): move it away (mv /etc/dokploy /etc/dokploy.before), or set "
                'adopt = ["folder:/etc/dokploy"]: dokploy uses it: its projects are found there where the database knows them'
            ),
        ),
        settings=WITH_DOKPLOY,
    ),
    Condition(
        "that of one that is at work, adopted or not",
        f"{INSTALLED}; {RUN} --name panel --volume /etc/dokploy:/etc/dokploy {IMAGE} 600",
        "docker rm --force panel; rm -r /etc/dokploy",
        refused=(
            (
                "folder /etc/dokploy: is not ours (it holds traefik), and cannot be adopted: panel would write to it, too: stop "
                "that (docker stop panel) and move it away (mv /etc/dokploy /etc/dokploy.before)"
            ),
        ),
        settings={**WITH_DOKPLOY, "adopt": ["folder:/etc/dokploy"]},
    ),
]


@pytest.mark.parametrize("condition", CONDITIONS, ids=str)
def test_what_carries_a_name_of_ours(odd: Deployment, condition: Condition) -> None:
    check(odd, condition)
