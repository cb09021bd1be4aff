"""Overrides that would fail late, or put a secret where it can be read, are refused with the way out."""

from typing import Any

import pytest

from tests.samples import refusals, settings

CORE = "is missing, where Caddy, the databases and Vault are"

LATE: list[tuple[dict[str, Any], str]] = [
    (
        {"overrides": {"n8n": {"memory_mb": 649}}},
        "overrides.n8n.memory_mb: 649 is less than the 650 MB that n8n Workflows takes: it would be killed",
    ),
    (
        {"overrides": {"metabase": {"memory_mb": 1199}}},
        "overrides.metabase.memory_mb: 1199 is less than the 1200 MB that Metabase KPI takes: it would be killed",
    ),
    (
        {"overrides": {"n8n": {"port": 25}}},
        "overrides.n8n.port: 25 is one of the system's: choose one from 1024 on",
    ),
    ({"overrides": {"n8n": {"networks": ["tenants-net"]}}}, f"overrides.n8n.networks: 'smarter-net' {CORE}"),
    ({"networks": ["tenants-net", "dokploy-network"]}, f"networks: 'smarter-net' {CORE}"),
    (
        {"overrides": {"n8n": {"environment": {"N8N_ENCRYPTION_KEY": "x"}}}},
        (
            "overrides.n8n.environment.N8N_ENCRYPTION_KEY: comes from Vault, and this would win over it in plain text: "
            "change it there (key N8N_ENCRYPTION_KEY of n8n)"
        ),
    ),
    ({"overrides": {"n8n": {"memory_mb": 5}}}, "overrides.n8n.memory_mb: has to be 6 or more"),
    ({"overrides": {"n8n": {"cpus": 0.001}}}, "overrides.n8n.cpus: has to be 0.01 or more"),
]


@pytest.mark.parametrize(("changes", "line"), LATE, ids=[line for _, line in LATE])
def test_what_would_fail_late_is_refused(changes: dict[str, Any], line: str) -> None:
    assert refusals(**changes) == [line]


def test_what_works_is_not() -> None:
    fine = {
        "memory_mb": 650,
        "port": 1024,
        "networks": ["smarter-net"],
        "environment": {"N8N_LOG_LEVEL": "debug", "TZ": "America/Santiago"},
    }
    assert refusals(overrides={"n8n": fine}) == []
    assert refusals(networks=[*settings()["networks"], "more"]) == []
