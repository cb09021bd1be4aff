"""Generation: its name is a digest of all files, and the architecture's paths lead into it."""

from collections.abc import Iterator

import pytest

from tasks import generation, render
from tests.fake import fake
from tests.samples import stack


@pytest.fixture(autouse=True)
def _host() -> Iterator[None]:
    with fake({}):
        yield


def test_the_architectures_paths_are_links_into_the_active_generation() -> None:
    current = "/opt/smarteros/current"
    named = ("vault", "postgres", "redis", "n8n", "vault-auth-validator", "caddy")
    assert generation.links() == {
        **{
            f"/root/dkcompose/{name}-deploy.yaml": f"{current}/dkcompose/{name}-deploy.yaml" for name in named
        },
        "/root/Caddyfile": f"{current}/caddy/Caddyfile",
    }


def test_the_tree_is_what_is_rendered_and_made_once() -> None:
    assert generation.tree() == render.tree(stack())
    assert generation.tree() is generation.tree()


def test_every_link_leads_to_a_rendered_file() -> None:
    targets = {target.removeprefix("/opt/smarteros/current/") for target in generation.links().values()}
    assert targets <= set(generation.tree())


def test_a_host_without_caddy_has_no_caddyfile() -> None:
    with fake({}, services=["vault", "postgres"]):
        assert sorted(generation.links()) == [
            "/root/dkcompose/postgres-deploy.yaml",
            "/root/dkcompose/vault-deploy.yaml",
        ]
