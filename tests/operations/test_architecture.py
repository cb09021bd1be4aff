"""Architecture: an image that the host's processor cannot run is refused, unless another one is named."""

from typing import Any

from tasks.operations import architecture
from tasks.services import load
from tests.samples import stack

BOTPRESS = (
    "botpress: botpress/server:12.31.10 exists for amd64 only, and this host is arm64: take 'botpress' off services, "
    "or name an image that exists for arm64 (overrides.botpress.image, or build, from a fork)"
)
FORK = {
    "forks": {"botpress": {"fork": "https://example.org/v12.git", "upstream": "https://example.org/up.git"}},
    "overrides": {"botpress": {"build": "0123456"}},
}


def problems(machine: str, **changes: Any) -> list[str]:
    return list(architecture.problems(machine, load(stack(**changes))))


def test_botpress_is_refused_where_its_image_would_not_start() -> None:
    assert problems("aarch64") == [BOTPRESS]
    assert problems("x86_64") == []


def test_an_image_of_the_operators_is_theirs_to_know() -> None:
    assert problems("aarch64", overrides={"botpress": {"image": "example/botpress:12.31.10-arm64"}}) == []
    assert problems("aarch64", **FORK) == []
    assert problems("aarch64", overrides={"botpress": {"memory_mb": 2048}}) == [BOTPRESS]


def test_without_botpress_nothing_is_refused() -> None:
    assert problems("aarch64", services=["vault", "postgres", "redis", "n8n", "caddy"]) == []


def test_an_architecture_that_nothing_runs_on_is_not_judged_twice() -> None:
    assert problems("riscv64") == []
