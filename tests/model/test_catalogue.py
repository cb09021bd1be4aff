"""The catalogue: start order, overrides, mirrors, loopback ports, and what contradicts each other."""

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from tasks import services
from tasks.model.catalogue import CORE, TENANTS, Service, domains
from tasks.model.overrides import overridden
from tasks.model.start_order import in_order
from tasks.services import every, load
from tests.samples import HELPDESK, ROOT, container, refusals, settings, stack


def names(**changes: Any) -> list[str]:
    return [service.name for service in load(stack(**changes))]


def service(name: str, **changes: Any) -> Service:
    return next(item for item in load(stack(**changes)) if item.name == name)


def test_services_are_the_files_of_the_folder_and_nothing_else() -> None:
    files = sorted(path.stem.replace("_", "-") for path in (ROOT / "tasks" / "services").glob("[!_]*.py"))
    assert sorted(every()) == files
    assert (services.__doc__ or "").count("\n") == 0


def test_a_new_file_is_a_new_service() -> None:
    found = {
        name: describe(stack()).name for name, describe in every().items()
    }  # a file's name is its service's
    assert found == {name: name for name in found}


def test_phases_are_ordered_however_the_list_is() -> None:
    assert names() == settings()["services"]
    assert names(services=["caddy", "n8n", "vault-auth-validator", "redis", "postgres", "vault"]) == [
        "vault",
        "redis",
        "postgres",
        "n8n",
        "vault-auth-validator",
        "caddy",
    ]


def plain(name: str, **changes: Any) -> Service:
    return Service(name, name.title(), (container(name),), **changes)


def test_needs_come_first_and_a_circle_still_ends() -> None:
    app, queue, web = plain("app", needs=("queue",)), plain("queue"), plain("web", needs=("absent",))
    assert [item.name for item in in_order([app, web, queue])] == ["web", "queue", "app"]
    circle = [plain("a", needs=("b",)), plain("b", needs=("a",))]
    assert [item.name for item in in_order(circle)] == ["a", "b"]


def test_loopback_ports_end_at_the_proxy() -> None:
    assert tuple(service("caddy").containers[0].ports) == (
        "80:80",
        "443:443",
        "443:443/udp",
        "127.0.0.1:3100:3100",
        "127.0.0.1:3200:3200",
        "127.0.0.1:5678:5678",
        "127.0.0.1:8069:8069",
    )
    assert service("n8n").containers[0].ports == {}
    moved = service("caddy", overrides={"n8n": {"port": 15678}})
    assert tuple(moved.containers[0].ports)[5:] == ("127.0.0.1:8069:8069", "127.0.0.1:15678:15678")


def test_mirrors_are_the_marked_routes_in_every_secondary_zone() -> None:
    found = stack(mirror_zones=["smarterbot.store", "other.cl"])
    (api,) = service("vault-auth-validator").routes
    (n8n,) = service("n8n").routes
    assert domains(found, api) == ("api.smarterbot.cl", "api.smarterbot.store", "api.other.cl")
    assert domains(found, n8n) == ("n8n.smarterbot.cl",)


def test_an_override_changes_the_named_and_nothing_else() -> None:
    change = {
        "image": "n8nio/n8n:9.9.9",
        "memory_mb": 2048,
        "cpus": 2.5,
        "networks": ["smarter-net"],
        "environment": {"N8N_METRICS": "false"},
        "health_seconds": 7,
        "guard": True,
        "allow_from": ["203.0.113.7", "198.51.100.0/24"],
        "public": ["/hooks/*", "/rest/settings"],
        "domain": "flows.smarterbot.store",
    }
    before, after = service("n8n"), service("n8n", overrides={"n8n": change})
    main = before.main
    assert after.main == replace(
        main,
        image="n8nio/n8n:9.9.9",
        size=replace(main.size, memory_mb=2048, cpus=2.5),
        networks=(CORE,),
        environment={
            **main.environment,
            "N8N_METRICS": "false",
            "N8N_EDITOR_BASE_URL": "https://flows.smarterbot.store/",
            "N8N_WEBHOOK_URL": "https://flows.smarterbot.store/",
        },
        health=replace(main.health, seconds=7),
    )
    visitors = ("203.0.113.7", "198.51.100.0/24")
    public = (*before.routes[0].public, "/hooks", "/hooks/*", "/rest/settings")
    changed = replace(
        before.routes[0], guard=True, allow_from=visitors, public=public, domain="flows.smarterbot.store"
    )
    assert after.routes == (changed,)
    assert replace(after, containers=before.containers, routes=before.routes) == before


def test_every_container_has_the_time_zone() -> None:
    loaded = load(stack(timezone="America/Santiago"))
    zones = [item.environment["TZ"] for each in loaded for item in each.containers]
    assert zones == ["America/Santiago"] * sum(len(each.containers) for each in loaded)


def test_an_image_of_the_operators_is_not_built_here() -> None:
    image = "registry.example/validator:1.0"
    found = service("vault-auth-validator", overrides={"vault-auth-validator": {"image": image}})
    assert (found.main.image, found.main.build) == (image, "")


def test_an_override_of_several_containers_keeps_the_jobs_size_and_a_sidecars_image() -> None:
    sidecar = container("helpdesk-cache", image="example/cache:7")
    several = replace(HELPDESK, containers=(*HELPDESK.containers, sidecar))
    change = {"image": "example/helpdesk:4.3", "memory_mb": 2048, "environment": {"A": "1"}}
    # The override's name has to be of the catalogue, so the made-up service takes that of one.
    found = overridden(stack(overrides={"n8n": change}), replace(several, name="n8n"))
    seen = [
        (item.name, item.image, item.size.memory_mb, item.environment.get("A")) for item in found.containers
    ]
    assert seen == [
        ("helpdesk-prepare", "example/helpdesk:4.3", 128, "1"),
        ("helpdesk-web", "example/helpdesk:4.3", 2048, "1"),
        ("helpdesk-worker", "example/helpdesk:4.3", 128, "1"),
        ("helpdesk-cache", "example/cache:7", 128, None),
    ]
    assert [route.domain for route in found.routes] == ["", ""]


def test_the_main_container_is_the_first_that_is_no_job() -> None:
    assert HELPDESK.main.name == "helpdesk-web"
    assert plain("x").main.name == "x"


def test_the_catalogue_says_what_backups_monitoring_placement_and_rollouts_need() -> None:
    loaded = load(stack())
    assert [(item.container, item.port, item.path) for each in loaded for item in each.metrics] == [
        ("vault", 8200, "/v1/sys/metrics"),
        ("n8n", 5678, "/metrics"),
        ("smarteros-metabase", 9191, "/metrics"),
    ]
    assert [(each.name, each.role, each.rollout) for each in loaded] == [
        ("vault", "data", "held"),
        ("postgres", "data", "held"),
        ("redis", "data", "held"),
        ("chatwoot", "apps", "rolling"),
        ("botpress", "apps", "held"),
        ("n8n", "apps", "held"),
        ("odoo", "apps", "rolling"),
        ("metabase", "apps", "held"),
        ("mcp-registry", "apps", "rolling"),
        ("dokploy", "apps", "held"),
        ("vault-auth-validator", "apps", "rolling"),
        ("caddy", "proxies", "held"),
    ]
    assert HELPDESK.databases[0].extensions == ("pg_stat_statements", "vector")
    assert [item.replicas for item in HELPDESK.containers] == [1, 1, 2]


def test_each_container_that_visitors_reach_says_why_it_may_run_twice_or_why_not() -> None:
    loaded = load(stack())
    routed = {route.container for each in loaded for route in each.routes}
    said = {item.name: (item.twice, item.once) for each in loaded for item in each.containers}
    assert [name for name in sorted(routed) if len([*filter(None, said[name])]) != 1] == []
    assert [name for name, reasons in said.items() if any(reasons) and name not in routed] == []


def test_only_named_services_are_in_the_tenants_network() -> None:
    members = {item.name for each in load(stack()) for item in each.containers if TENANTS in item.networks}
    assert members == {"n8n", "odoo"}


CONTRADICTIONS: list[tuple[dict[str, Any], list[str]]] = [
    (
        {"services": ["vault", "n8n", "caddy"]},
        ["services: 'n8n' needs 'postgres', which is not in the list"],
    ),
    (
        {
            "services": ["postgres", "vault-auth-validator", "caddy"],
            "vault_address": "https://v.example:8200",
        },
        [],
    ),
    (
        {"networks": ["smarter-net", "dokploy-network"]},
        [
            "overrides.n8n.networks: 'tenants-net' is not in networks (smarter-net, dokploy-network)",
            "overrides.odoo.networks: 'tenants-net' is not in networks (smarter-net, dokploy-network)",
        ],
    ),
    (
        {"overrides": {"n8n": {"domain": "api.smarterbot.cl"}}},
        ["overrides.n8n.domain: api.smarterbot.cl is already vault-auth-validator's"],
    ),
    (
        {"overrides": {"n8n": {"port": 8070}, "vault-auth-validator": {"port": 8070}}},
        ["overrides.vault-auth-validator.port: 8070 is already n8n's"],
    ),
    ({"overrides": {"n8n": {"port": 8200}}}, ["overrides.n8n.port: 8200 is already vault's"]),
    ({"overrides": {"n8n": {"port": 2020}}}, ["overrides.n8n.port: 2020 is already caddy's"]),
    (
        {"services": ["vault", "postgres", "n8n", "caddy"], "overrides": {"n8n": {"guard": True}}},
        ["overrides.n8n.guard: needs 'vault-auth-validator' in services"],
    ),
    (
        {"overrides": {"redis": {"domain": "redis.smarterbot.store", "guard": False}}},
        ["overrides.redis.domain: 'redis' has no domain", "overrides.redis.guard: 'redis' has no domain"],
    ),
    (
        {"overrides": {"postgres": {"allow_from": ["203.0.113.7"]}}},
        ["overrides.postgres.allow_from: 'postgres' has no domain"],
    ),
    (
        {"overrides": {"postgres": {"public": ["/a"]}}},
        ["overrides.postgres.public: 'postgres' has no domain"],
    ),
    (
        {
            "overrides": {
                "odoo": {"public": ["/our-shop/*", "/Web/*"]},
                "n8n": {"public": ["/rest/login", "/"]},
            }
        },
        [
            "overrides.n8n.public.1: '/' holds /, by which a run sees that the rest is closed: name less",
            "overrides.odoo.public.1: '/Web/*' holds /web/health, by which a run sees that the rest is closed: name less",
        ],
    ),
    (
        {"overrides": {"n8n": {"allow_from": ["203.0.113.7", "10.0.0.0/8"]}}},
        [
            (
                "overrides.n8n.allow_from.1: 10.0.0.0/8 holds addresses of 10.207.0.0/16 (network_pools), from where "
                "everybody seems to come who comes over IPv6: name less of it, or other network_pools"
            )
        ],
    ),
]


@pytest.mark.parametrize(("changes", "lines"), CONTRADICTIONS)
def test_each_contradiction_is_one_line(changes: dict[str, Any], lines: list[str]) -> None:
    assert refusals(**changes) == lines


def test_what_is_loaded_does_not_depend_on_the_run() -> None:
    """Hash seeds differ from run to run; what is rendered must not."""
    code = (
        "from tests.samples import stack; from tasks.rendering import render; "
        "print(render.digest(*map(str, sorted(render.tree(stack()).items()))))"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1
