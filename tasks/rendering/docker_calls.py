"""Docker calls: Docker and Compose do the same for us whatever the host's, the login's or root's own settings say.

``COMPOSE_PROJECT_NAME`` in /etc/environment, a ``.env`` beside the compose file or a context of root's would else have
our calls work on other containers, or on another host.
"""

from collections.abc import Mapping
from shlex import quote
from typing import Any

# Said out loud, since it goes before a context that root's own config.json has chosen (docker context use).
SOCKET = "unix:///var/run/docker.sock"

# For all commands. What is empty counts as unset. Not DOCKER_CONFIG, which says where the logins of registries are.
ENVIRONMENT = {
    "DOCKER_HOST": SOCKET,
    "BUILDX_BUILDER": "default",
    **dict.fromkeys(
        (
            "DOCKER_CONTEXT",
            "DOCKER_TLS",
            "DOCKER_TLS_VERIFY",
            "DOCKER_API_VERSION",
            "DOCKER_DEFAULT_PLATFORM",
            "DOCKER_CONTENT_TRUST",
            "DOCKER_CUSTOM_HEADERS",
            "DOCKER_BUILDKIT",
        ),
        "",
    ),
}

# Shell: the same for scripts that an operator starts by hand.
EXPORT = "export " + " ".join(f"{name}={value}" for name, value in ENVIRONMENT.items())

# Root's config.json may name a proxy, which Compose would put into every container's environment.
_NO_CONFIG = "/run/smarteros/no-docker-config"


def environment(own: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Of every command of ours; an inventory's own ``_env`` adds to it."""
    return {**(own or {}), **ENVIRONMENT}


def compose(service: str, file: str = "") -> str:
    """Shell: ``docker compose`` for one service, with nothing but what is said here. file: a word of the shell."""
    clean = f'env -i PATH="$PATH" HOME=/root DOCKER_HOST={SOCKET} DOCKER_CONFIG={_NO_CONFIG} COMPOSE_IGNORE_ORPHANS=1'
    path = file or quote(f"/root/dkcompose/{service}-deploy.yaml")
    return f"{clean} docker compose -f {path} --project-name {quote(service)} --env-file /dev/null"
