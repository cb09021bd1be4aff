"""The bench: a host that is as it should be has no findings, and each thing that is spoilt is one."""

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.audit import docker_bench, reasons
from tests.audit.docker_bench import Seen, findings
from tests.samples import container

INFO: dict[str, Any] = {
    "SecurityOptions": [
        "name=apparmor",
        "name=seccomp,profile=builtin",
        "name=rootless",
        "name=userns",
        "name=no-new-privileges",
    ],
    "RegistryConfig": {
        "InsecureRegistryCIDRs": ["127.0.0.0/8"],
        "IndexConfigs": {"docker.io": {"Name": "docker.io", "Secure": True}},
    },
    "Driver": "overlay2",
    "Debug": False,
    "LoggingDriver": "journald",
    "LiveRestoreEnabled": True,
    "ExperimentalBuild": False,
    "Plugins": {"Authorization": ["opa"]},
    "Swarm": {"LocalNodeState": "inactive"},
}
WEB: dict[str, Any] = {
    "Name": "/web",
    "Config": {
        "User": "1000",
        "Image": "example/web:1.0",
        "Healthcheck": {"Test": ["CMD", "true"]},
        "Env": [],
    },
    "State": {"Running": True, "Pid": 7},
    "Mounts": [
        {
            "Type": "bind",
            "Source": "/opt/smarteros/current/web",
            "Destination": "/etc/web",
            "RW": False,
            "Propagation": "rprivate",
        },
        {"Type": "bind", "Source": "/srv/web", "Destination": "/srv", "RW": True, "Propagation": "rprivate"},
        {"Type": "volume", "Source": "/var/lib/docker/volumes/w/_data", "Destination": "/w", "RW": True},
    ],
    "HostConfig": {
        "RestartPolicy": {"Name": "on-failure"},
        "CapDrop": ["ALL"],
        "CapAdd": ["CAP_NET_BIND_SERVICE"],
        "ReadonlyRootfs": True,
        "Memory": 1,
        "NanoCpus": 1,
        "PidsLimit": 512,
        "LogConfig": {"Type": "json-file", "Config": {"max-file": "3", "max-size": "10m"}},
        "Privileged": False,
        "NetworkMode": "smarter-net",
        "PidMode": "",
        "IpcMode": "private",
        "UTSMode": "",
        "UsernsMode": "",
        "CgroupParent": "",
        "Devices": [],
        "DeviceCgroupRules": None,
        "SecurityOpt": ["no-new-privileges:true"],
        "PortBindings": {
            "80/tcp": [{"HostIp": "", "HostPort": "80"}],
            "443/udp": [{"HostIp": "", "HostPort": "443"}],
            "99/tcp": [{"HostIp": "127.0.0.1", "HostPort": "99"}],
        },
    },
}
KERNEL = {
    "CapBnd": "0000000000000400",
    "Files": "16384",
    "Seccomp": "2",
    "NoNewPrivs": "1",
    "Uid": "1000\t1000",
}
DECLARED = {
    "web": container(
        "web",
        user="1000",
        cap_add={"NET_BIND_SERVICE": "x"},
        binds={"/srv/web:/srv": "x"},
        ports={"80:80": "x", "443:443/udp": "x", "127.0.0.1:99:99": "x"},
    )
}
GOOD = Seen(
    info=INFO,
    bridge={"com.docker.network.bridge.enable_icc": "false"},
    command="/usr/sbin/dockerd -H fd:// ",
    files={"/etc/docker/daemon.json": "644 root:root", "/run/docker.sock": "660 root:docker"},
    containers={"web": WEB},
    kernel={"web": KERNEL},
)


def test_a_host_that_is_as_it_should_be_has_no_findings() -> None:
    assert list(findings(GOOD, DECLARED)) == []


HOST: list[tuple[dict[str, Any], str]] = [
    ({"bridge": {}}, "2.2 containers of the default network reach each other"),
    ({"command": "dockerd -H tcp://0.0.0.0:2375"}, "2.7 the API listens on TCP"),
    ({"command": "dockerd --iptables=false"}, "2.4 the daemon makes no firewall rules"),
    ({"proxies": 3}, "2.16 published ports go through a process"),
    ({"members": "ana"}, "1.1 in the group docker, which is as good as root: ana"),
    ({"files": {"/run/docker.sock": "666 root:docker"}}, "3 /run/docker.sock is 666 root:docker"),
    ({"files": {"/etc/docker": "755 ana:root"}}, "3 /etc/docker is 755 ana:root"),
    ({"containers": {}, "kernel": {}}, "declared and not there: web"),
]


@pytest.mark.parametrize(("change", "line"), HOST)
def test_each_thing_that_is_spoilt_on_the_host_is_found(change: dict[str, Any], line: str) -> None:
    assert list(findings(replace(GOOD, **change), DECLARED)) == [line]


DAEMON: list[tuple[str, Any, str]] = [
    ("Debug", True, "2.3 the daemon logs for debugging"),
    ("Driver", "aufs", "2.6 the storage driver is aufs"),
    ("LoggingDriver", "json-file", "2.13 logs stay on the host"),
    ("LiveRestoreEnabled", False, "2.15 containers stop with the daemon"),
    ("ExperimentalBuild", True, "2.18 experimental features"),
    ("Plugins", {}, "2.12 who may use the API is not decided for each request"),
    ("Swarm", {"LocalNodeState": "active"}, "7.1 a swarm without need"),
    ("RegistryConfig", {"InsecureRegistryCIDRs": ["0.0.0.0/0"]}, "2.5 a registry without TLS"),
    ("RegistryConfig", {"IndexConfigs": {"x": {"Secure": False}}}, "2.5 a registry without TLS"),
]
OPTIONS = {
    "name=rootless": "2.1 the daemon runs as root",
    "name=userns": "2.9 root in a container is root",
    "name=no-new-privileges": "2.14 a new privilege can be gained",
    "name=seccomp,profile=builtin": "2.17 no seccomp profile",
    "name=apparmor": "5.1 no AppArmor on this host",
}


@pytest.mark.parametrize(("key", "value", "line"), DAEMON)
def test_each_setting_of_the_daemon_that_is_spoilt_is_found(key: str, value: Any, line: str) -> None:
    assert list(findings(replace(GOOD, info={**INFO, key: value}), DECLARED)) == [line]


@pytest.mark.parametrize("option", OPTIONS)
def test_each_option_of_the_daemon_that_is_missing_is_found(option: str) -> None:
    info = {**INFO, "SecurityOptions": [item for item in INFO["SecurityOptions"] if item != option]}
    assert list(findings(replace(GOOD, info=info), DECLARED)) == [OPTIONS[option]]


BIND = {"Type": "bind", "Destination": "/x", "RW": False, "Propagation": "rprivate"}
CONTAINER: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (lambda web: web["Config"].update(User=""), "4.1 runs as root"),
    (lambda web: web["Config"].update(User="0:0"), "4.1 runs as root"),
    (lambda web: web["Config"].update(Healthcheck=None), "4.6 no health check"),
    (lambda web: web["Config"].update(Image="example/web:latest"), "5.27 no version of its image"),
    (lambda web: web["Config"].update(Image="example/web"), "5.27 no version of its image"),
    (lambda web: web["HostConfig"].update(CapDrop=None), "5.3 not every capability is dropped"),
    (lambda web: web["HostConfig"].update(CapAdd=["CHOWN"]), "5.3 capabilities CHOWN"),
    (lambda web: web["HostConfig"].update(CapAdd=None), "5.3 capabilities none"),
    (lambda web: web["HostConfig"].update(ReadonlyRootfs=False), "5.12 its root file system is writable"),
    (lambda web: web["HostConfig"].update(Memory=0), "5.10 no limit of memory"),
    (lambda web: web["HostConfig"].update(NanoCpus=0), "5.11 no limit of CPU"),
    (lambda web: web["HostConfig"].update(PidsLimit=None), "5.28 no limit of processes"),
    (lambda web: web["HostConfig"].update(PidsLimit=-1), "5.28 no limit of processes"),
    (lambda web: web["HostConfig"].update(LogConfig={"Config": {}}), "2.13 its log can fill the disk"),
    (lambda web: web["HostConfig"].update(Privileged=True), "5.4 privileged"),
    (lambda web: web["HostConfig"].update(NetworkMode="host"), "5.9 in the host's network"),
    (lambda web: web["HostConfig"].update(PidMode="host"), "5.15 sees the host's processes"),
    (lambda web: web["HostConfig"].update(IpcMode="host"), "5.16 shares memory with the host"),
    (
        lambda web: web["HostConfig"].update(Devices=[{"PathOnHost": "/dev/mem"}]),
        "5.17 has devices of the host",
    ),
    (lambda web: web["HostConfig"].update(UTSMode="host"), "5.20 sets the host's name"),
    (
        lambda web: web["HostConfig"]["SecurityOpt"].append("seccomp=unconfined"),
        "5.21 without seccomp",
    ),
    (lambda web: web["HostConfig"].update(CgroupParent="/"), "5.24 in a cgroup of its own choice"),
    (lambda web: web["HostConfig"].update(SecurityOpt=None), "5.25 gains privileges"),
    (lambda web: web["HostConfig"].update(UsernsMode="host"), "5.30 is its own root on the host"),
    (lambda web: web["Mounts"].append({**BIND, "Source": "/etc"}), "5.5 mounts /etc"),
    (
        lambda web: web["Mounts"].append({**BIND, "Source": "/var/run/docker.sock"}),
        "5.31 mounts /var/run/docker.sock",
    ),
    (
        lambda web: web["Mounts"].append({**BIND, "Source": "/opt/smarteros/current/x", "RW": True}),
        "5.5 mounts /opt/smarteros/current/x",
    ),
    (lambda web: web["Mounts"][0].update(Propagation="rshared"), "5.19 shares its mounts below /etc/web"),
    (
        lambda web: web["HostConfig"]["PortBindings"].update(
            {"99/tcp": [{"HostIp": "0.0.0.0", "HostPort": "99"}]}
        ),
        "5.8 publishes 0.0.0.0:99:99/tcp",
    ),
]


@pytest.mark.parametrize(("spoil", "line"), CONTAINER, ids=[line for _, line in CONTAINER])
def test_each_thing_that_a_container_is_let_off_without_a_word_is_found(
    spoil: Callable[[dict[str, Any]], Any], line: str
) -> None:
    web = copy.deepcopy(WEB)
    spoil(web)
    assert list(findings(replace(GOOD, containers={"web": web}), DECLARED)) == [f"{line}: web"]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"CapBnd": "000001ffffffffff"}, "5.3 the kernel allows it more"),
        ({"Files": "1048576"}, "5.18 has more open files"),
        ({"Seccomp": "0"}, "5.21 its system calls are not filtered"),
        ({"NoNewPrivs": "0"}, "5.25 the kernel lets it gain privileges"),
        ({"Uid": "0\t0\t0\t0"}, "4.1 is root for the kernel"),
    ],
)
def test_what_the_kernel_has_counts_whatever_docker_was_told(change: dict[str, str], line: str) -> None:
    assert list(findings(replace(GOOD, kernel={"web": {**KERNEL, **change}}), DECLARED)) == [f"{line}: web"]


def test_what_a_services_file_lets_it_off_is_no_finding() -> None:
    web = copy.deepcopy(WEB)
    web["Config"]["User"] = ""
    web["HostConfig"]["ReadonlyRootfs"] = False
    declared = {"web": replace(DECLARED["web"], user="", root="why", writable="why")}
    seen = replace(GOOD, containers={"web": web}, kernel={"web": {**KERNEL, "Uid": "0\t0"}})
    assert list(findings(seen, declared)) == []


def test_a_container_that_is_none_of_ours_is_found() -> None:
    seen = replace(GOOD, containers={"web": WEB, "stranger": WEB})
    assert list(findings(seen, DECLARED)) == ["not declared: stranger"]


def test_a_restart_without_a_limit_is_one_finding_for_all() -> None:
    web = copy.deepcopy(WEB)
    web["HostConfig"]["RestartPolicy"] = {"Name": "unless-stopped"}
    assert list(findings(replace(GOOD, containers={"web": web}), DECLARED)) == [
        "5.14 restarts are not limited to five"
    ]


def test_each_reason_is_for_something_that_the_bench_can_find() -> None:
    explained = reasons("docker_bench")
    text = Path(docker_bench.__file__).read_text()
    assert [name for name in (*explained.open, *explained.lab) if f'"{name}"' not in text] == []
