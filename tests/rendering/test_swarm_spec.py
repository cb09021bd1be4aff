"""The spec of a swarm's service: golden files beside the compose ones, no key of a compose file lost, and what a swarm has no words for."""

import json
import subprocess
from typing import Any

import pytest
import yaml

from tasks.model.catalogue import Container, Service
from tasks.model.spread import task
from tasks.rendering import render, swarm_spec
from tasks.rendering.swarm_spec import Brought, Start, configs, secret_name, secret_text, spec
from tasks.rendering.swarm_units import Unreadable, size, span
from tasks.services import load
from tests.rendering.test_render import compare, helpdesk
from tests.samples import HELPDESK, container, stack

# With two nodes for what keeps nothing.
CLUSTER = stack().with_nodes(("203.0.113.1",), 2)
LOADED = load(stack())
SPREAD = [(service, item) for service in load(CLUSTER) if service.nodes for item in service.containers]
TASKS = [(service, item) for service in LOADED for item in service.containers if task(item)]
IMAGE = Start(("docker-entrypoint.sh",), ("serve",))
HOSTILE = [
    "", "a b", " a", "a ", "$HOME", "${X}", "$$", "`id`", "$(id)", "\\", "\\n", '"', "'", "''", "'\\''", "a#b", "a #b", "=",
    "a\nb", "\n", "a\n", "\r", "\t", "\x1b[0m", "\x7f", "é", "🔑", "\u2028", "!", "!!", "%s", "*", "?", "~", "{}", "{{.Node.Hostname}}",
    "a\\", "x" * 5000, "\xa0", "-n", "a;b", "&", "|", ">", "<(x)", "[a]", "\x01", "\v\f",
]  # fmt: skip


def made(service: Service, item: Container, text: str = "", start: Start = IMAGE) -> dict[str, Any]:
    files = render.render(CLUSTER if service.nodes else stack(), service)
    return spec(
        service, item, text or files[render.compose_path(service)], Brought(files, start, "0123456789ab")
    )


def test_specs_are_the_golden_ones() -> None:
    """Of what a cluster does run so as it does."""
    chosen = {item.name: (service, item) for service, item in (*TASKS, *SPREAD)}
    found = {
        f"{name}.json": json.dumps(made(service, item), indent=2) + "\n"
        for name, (service, item) in chosen.items()
    }
    compare("swarm", found)


def test_compose_keeps_what_a_swarm_has_no_words_for() -> None:
    left = {item.name for service in LOADED for item in service.containers if not task(item)}
    assert left == {"vault", "caddy-proxy", "chatwoot-prepare", "n8n-files", "odoo-init"}


# Key of a compose file → where a task says it, so that none is lost on the way. None: it is no policy, or another way brings it.
PLACES: dict[str, tuple[str, ...] | None] = {
    **dict.fromkeys(("container_name", "build", "profiles", "pull_policy")),
    "image": ("ContainerSpec", "Image"),
    "restart": ("RestartPolicy", "Condition"),
    "init": ("ContainerSpec", "Init"),
    "environment": ("ContainerSpec", "Env"),
    "env_file": ("ContainerSpec", "Secrets"),
    "entrypoint": ("ContainerSpec", "Args"),
    "command": ("ContainerSpec", "Args"),
    "user": ("ContainerSpec", "User"),
    "networks": ("Networks",),
    "volumes": ("ContainerSpec", "Mounts"),
    "healthcheck": ("ContainerSpec", "Healthcheck"),
    "stop_grace_period": ("ContainerSpec", "StopGracePeriod"),
    "stop_signal": ("ContainerSpec", "StopSignal"),
    "mem_limit": ("Resources", "Limits", "MemoryBytes"),
    "cpus": ("Resources", "Limits", "NanoCPUs"),
    "pids_limit": ("Resources", "Limits", "Pids"),
    "cap_drop": ("ContainerSpec", "CapabilityDrop"),
    "cap_add": ("ContainerSpec", "CapabilityAdd"),
    "security_opt": ("ContainerSpec", "Privileges", "NoNewPrivileges"),
    "read_only": ("ContainerSpec", "ReadOnly"),
    "tmpfs": ("ContainerSpec", "Mounts"),
    "shm_size": ("ContainerSpec", "Mounts"),
    "logging": ("LogDriver", "Options"),
    "labels": (),
    "extra_hosts": ("ContainerSpec", "Hosts"),
    "sysctls": ("ContainerSpec", "Sysctls"),
}


@pytest.mark.parametrize(
    ("service", "item"),
    [*TASKS, *SPREAD],
    ids=[f"{item.name}{'-spread' * bool(service.nodes)}" for service, item in (*TASKS, *SPREAD)],
)
def test_each_key_of_a_compose_file_has_its_place(service: Service, item: Container) -> None:
    files = render.render(CLUSTER if service.nodes else stack(), service)
    defined = yaml.safe_load(files[render.compose_path(service)])["services"][item.name]
    found = made(service, item)
    for key in defined:
        place = PLACES[key]
        value: Any = found["TaskTemplate"] if place else True
        for name in place or ():
            value = value[name]
        assert value not in (None, [], {}, ""), key
    # As many mounts as the compose file has: files come as configs.
    mounts = found["TaskTemplate"]["ContainerSpec"]["Mounts"]
    own = [
        given
        for given in defined.get("volumes", ())
        if not str(dict(given).get("source") if isinstance(given, dict) else "").startswith(
            "/opt/smarteros/current"
        )
    ]
    assert len(mounts) == len(own) + len(defined["tmpfs"]) + ("shm_size" in defined)


def test_a_container_with_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    settings, service = helpdesk(monkeypatch)
    files = render.render(settings, service)
    web = service.containers[1]
    found = spec(service, web, files[render.compose_path(service)], Brought(files, IMAGE, "0123456789ab"))
    inside = found["TaskTemplate"]["ContainerSpec"]
    assert inside["Env"] == ["PRICE=5$ $HOME ${X} #1: 'a' \"b\"", "RAILS_ENV=production"]
    assert (inside["Hosts"], inside["Sysctls"]) == (["10.0.0.9 mail"], {"net.core.somaxconn": "1024"})
    assert inside["Command"] == ["/bin/sh", "-c", 'set -a; . /run/secrets/env; set +a; exec "$@"', "sh"]
    assert inside["Args"] == ["docker-entrypoint.sh", "serve"]
    assert inside["Secrets"][0]["SecretName"] == "helpdesk-0123456789ab"
    assert inside["Healthcheck"] == {
        "Test": ["CMD", *inside["Command"], "curl", "-f", "http://127.0.0.1:3000/"],
        "Retries": 3,
        "Interval": 30 * 10**9,
        "Timeout": 5 * 10**9,
        "StartPeriod": 120 * 10**9,
        "StartInterval": 10**9,
    }
    assert found["TaskTemplate"]["Networks"] == [{"Target": "smarter-net"}, {"Target": "tenants-net"}]
    assert found["TaskTemplate"]["Resources"] == {
        "Limits": {"MemoryBytes": 1 << 30, "NanoCPUs": 10**9, "Pids": 512}
    }
    assert found["TaskTemplate"]["Placement"] == {"Constraints": ["node.labels.smarteros.home.helpdesk==1"]}
    assert (found["UpdateConfig"]["Order"], found["RollbackConfig"]["FailureAction"]) == (
        "start-first",
        "pause",
    )
    worker = spec(
        service,
        service.containers[2],
        files[render.compose_path(service)],
        Brought(files, IMAGE, "0123456789ab"),
    )
    assert (worker["UpdateConfig"]["Order"], worker["Mode"]) == (
        "stop-first",
        {"Replicated": {"Replicas": 2}},
    )
    assert worker["TaskTemplate"]["ContainerSpec"]["Args"] == [
        "docker-entrypoint.sh",
        "bundle",
        "exec",
        "sidekiq",
    ]


def test_several_are_on_nodes_of_their_own_and_one_goes_before_another_comes() -> None:
    def placed(count: int, nodes: int) -> tuple[Any, ...]:
        item = container("x", replicas=count, twice="it keeps nothing")
        found = made(Service("x", "X", (item,), nodes=nodes), item)
        return found["TaskTemplate"]["Placement"].get("MaxReplicas"), found["UpdateConfig"]["Order"]

    assert [placed(*each) for each in ((2, 2), (2, 3), (3, 2), (1, 1), (2, 1))] == [
        (1, "stop-first"),
        (1, "stop-first"),
        (2, "stop-first"),
        (None, "start-first"),
        (2, "stop-first"),
    ]


def test_an_image_is_what_its_registry_has_given() -> None:
    (service, item), *_ = SPREAD
    files = render.render(CLUSTER, service)
    text = files[render.compose_path(service)]
    found = [
        spec(service, item, text, Brought(files, image=image))
        for image in ("", "x:1@sha256:aa", "x:1@sha256:bb")
    ]
    images = [each["TaskTemplate"]["ContainerSpec"]["Image"] for each in found]
    assert images == [item.image, "x:1@sha256:aa", "x:1@sha256:bb"]
    assert len({each["Labels"]["smarteros.digest"] for each in found}) == 3


@pytest.mark.parametrize(
    ("entrypoint", "command", "start", "words"),
    [
        ((), (), IMAGE, ["docker-entrypoint.sh", "serve"]),
        ((), ("other",), IMAGE, ["docker-entrypoint.sh", "other"]),
        (("mine",), (), IMAGE, ["mine"]),
        (("mine",), ("other",), IMAGE, ["mine", "other"]),
        ((), (), Start((), ("serve",)), ["serve"]),
    ],
)
def test_what_starts_is_what_docker_would_start(
    entrypoint: tuple[str, ...], command: tuple[str, ...], start: Start, words: list[str]
) -> None:
    item = container("x", entrypoint=entrypoint, command=command, env_file=True)
    service = Service("x", "X", (item,))
    assert made(service, item, start=start)["TaskTemplate"]["ContainerSpec"]["Args"] == words


def test_the_digest_tells_all_that_a_task_is_made_from() -> None:
    item = container("x", env_file=True, files={"redis": "/etc/redis-config"})
    service = Service("x", "X", (item,))
    files = {"redis/redis.conf": "port 1\n"}
    text = render.compose(stack(), service, files)

    def digested(
        text: str = text, files: dict[str, str] = files, secrets: str = "0" * 12, start: Start = IMAGE
    ) -> str:
        found: str = spec(service, item, text, Brought(files, start, secrets))["Labels"]["smarteros.digest"]
        return found

    same = digested()
    assert digested() == same
    others = {
        digested(files={"redis/redis.conf": "port 2\n"}),
        digested(secrets="1" * 12),
        digested(start=Start((), ("serve",))),
        digested(text.replace("128m", "129m")),
    }
    assert len(others - {same}) == 4


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("devices: [/dev/fuse]", "x: devices has no place in a swarm"),
        ('security_opt: ["seccomp=unconfined"]', "security_opt: seccomp=unconfined has no place in a swarm"),
        ("environment: {A: '{{.Node.Hostname}}'}", "environment.A has {{ in it, which a swarm replaces"),
        ("healthcheck: {test: [CMD, x], retries: 3, disable: true}", "healthcheck: nobody reads disable"),
        (
            "networks: {smarter-net: {ipv4_address: 10.0.0.9}}",
            "networks.smarter-net: nobody reads ipv4_address",
        ),
        ("volumes: ['x_data:/data:z']", "x_data:/data:z: nobody reads z"),
        ("volumes: [{type: volume, source: a, target: /a}]", "/a: nobody reads all of source, target, type"),
        (
            "volumes: [{type: bind, source: /a, target: /a, bind: {propagation: shared}}]",
            "/a: nobody reads all of bind, source, target, type",
        ),
        ("command: serve --all", "'serve --all' is no list of words"),
        ("mem_limit: much", "much is no size"),
        ("mem_limit: 5e3", "5e3 is no size"),
        ("stop_grace_period: soon", "soon is no length of time"),
    ],
)
def test_what_a_swarm_has_no_words_for_is_refused(line: str, said: str) -> None:
    item = container("x")
    text = f"services:\n  x:\n    image: x\n    labels: {{a: b}}\n    {line}\n"
    with pytest.raises(Unreadable) as raised:
        spec(Service("x", "X", (item,)), item, text, Brought({}))
    assert str(raised.value) == said


def test_sizes_and_spans() -> None:
    assert [size(text) for text in ("512m", "1g", "64k", "10", "10b", "256mb", 7)] == [
        536870912,
        1 << 30,
        65536,
        10,
        10,
        268435456,
        7,
    ]
    assert [span(text) for text in ("30s", "1m30s", "1h", "500ms")] == [
        30 * 10**9,
        90 * 10**9,
        3600 * 10**9,
        5 * 10**8,
    ]


def test_memory_that_belongs_to_a_user_or_runs_programs_is_a_volume_without_a_name() -> None:
    item = container("x", tmpfs=("/tmp", "/run/x:uid=999,gid=999,mode=0700"), executable="it loads code")
    mounts = made(Service("x", "X", (item,)), item)["TaskTemplate"]["ContainerSpec"]["Mounts"]
    driven = {"Name": "local", "Options": {"type": "tmpfs", "device": "tmpfs"}}
    assert [mount["Type"] for mount in mounts] == ["volume", "volume"]
    assert all("Source" not in mount for mount in mounts)
    options = [mount["VolumeOptions"]["DriverConfig"]["Options"].pop("o") for mount in mounts]
    assert options == [
        "nodev,nosuid,size=67108864",
        "nodev,noexec,nosuid,size=67108864,uid=999,gid=999,mode=0700",
    ]
    assert [mount["VolumeOptions"]["DriverConfig"] for mount in mounts] == [driven, driven]
    plain = container("x")
    (memory,) = made(Service("x", "X", (plain,)), plain)["TaskTemplate"]["ContainerSpec"]["Mounts"]
    assert memory == {
        "Type": "tmpfs",
        "Target": "/tmp",
        "TmpfsOptions": {"SizeBytes": 67108864, "Mode": 0o1777},
    }


def test_the_shim_gives_hostile_values_as_they_are(tmp_path: Any) -> None:
    values = {f"V{number}": value for number, value in enumerate(HOSTILE)}
    file = tmp_path / "env"
    file.write_text(secret_text(values), newline="")
    shim = swarm_spec._SHIM.replace(swarm_spec.ENV, str(file))
    done = subprocess.run(
        ["sh", "-c", shim, "sh", "env", "-0"], capture_output=True, check=True, env={"PATH": "/usr/bin:/bin"}
    )
    found = dict(item.split("=", 1) for item in done.stdout.decode().split("\0") if item)
    assert {name: found[name] for name in values} == values


def test_a_folder_of_the_host_is_as_it_is_said() -> None:
    item = container("x")
    text = "services: {x: {image: x, labels: {}, volumes: [{type: bind, source: /a, target: /b, read_only: true}, '/c:/d:ro', 'e:/e']}}"
    mounts = spec(Service("x", "X", (item,)), item, text, Brought({}))["TaskTemplate"]["ContainerSpec"][
        "Mounts"
    ]
    assert mounts == [
        {"Type": "bind", "Source": "/a", "Target": "/b", "ReadOnly": True},
        {"Type": "bind", "Source": "/c", "Target": "/d", "ReadOnly": True},
        {
            "Type": "volume",
            "Source": "e",
            "Target": "/e",
            "VolumeOptions": {"Labels": {"smarteros.service": "x"}},
        },
    ]


def test_names_are_short_enough_for_a_swarm() -> None:
    """64 characters, and letters that it takes."""
    names = [secret_name(service, "0" * 12) for service in LOADED]
    for service, item in TASKS:
        names += configs(service, item, render.render(stack(), service))
    assert names
    assert all(len(name) <= 64 and name.replace("-", "").isalnum() for name in names)
    assert HELPDESK.name in secret_name(HELPDESK, "0" * 12)
