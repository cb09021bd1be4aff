"""Generation: its name is a digest of all files, and the architecture's paths lead into it."""

from collections.abc import Iterator

import pytest

from tasks.operations import described
from tasks.rendering import render
from tests.fake import fake
from tests.samples import stack


@pytest.fixture(autouse=True)
def _host() -> Iterator[None]:
    with fake({}):
        yield


def test_the_architectures_paths_are_links_into_the_active_generation() -> None:
    with fake({}, services=["vault", "postgres", "n8n", "caddy"]):
        links = described.links()
    current = "/opt/smarteros/current"
    assert links == {
        "/root/Caddyfile": f"{current}/caddy/Caddyfile",
        "/root/dkcompose/caddy-deploy.yaml": f"{current}/dkcompose/caddy-deploy.yaml",
        "/root/dkcompose/n8n-deploy.yaml": f"{current}/dkcompose/n8n-deploy.yaml",
        "/root/dkcompose/postgres-deploy.yaml": f"{current}/dkcompose/postgres-deploy.yaml",
        "/root/dkcompose/vault-deploy.yaml": f"{current}/dkcompose/vault-deploy.yaml",
        "/root/env-templates/n8n.env.example": f"{current}/env-templates/n8n.env.example",
        "/root/env-templates/postgres.env.example": f"{current}/env-templates/postgres.env.example",
        "/root/generate-secrets.sh": f"{current}/scripts/generate-secrets.sh",
        "/root/n8n-smarter-config.sh": f"{current}/scripts/n8n-smarter-config.sh",
        "/root/sync-forks.sh": f"{current}/scripts/sync-forks.sh",
        "/root/undo-takeover.sh": f"{current}/scripts/undo-takeover.sh",
    }


def test_the_tree_is_what_is_rendered_and_made_once() -> None:
    assert described.tree() == render.tree(stack())
    assert described.tree() is described.tree()


def test_every_link_leads_to_a_rendered_file() -> None:
    targets = {target.removeprefix("/opt/smarteros/current/") for target in described.links().values()}
    assert targets <= set(described.tree())


def test_a_host_without_caddy_has_no_caddyfile() -> None:
    with fake({}, services=["vault", "postgres"]):
        assert "/root/Caddyfile" not in described.links()
