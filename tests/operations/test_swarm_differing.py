"""What of a swarm's services differs, and what nobody needs any more. With real Docker: tests/e2e/test_swarm_spec.py, test_cluster.py."""

import copy
from typing import Any

import pytest

from tasks.operations.swarm_differing import able, ours, reason, spare, told, unlike

SPEC: dict[str, Any] = {
    "Name": "helpdesk-web",
    "Labels": {"smarteros.digest": "new", "smarteros.service": "helpdesk"},
    "TaskTemplate": {
        "ContainerSpec": {
            "Image": "example/helpdesk:4.2@sha256:aa",
            "Labels": {"smarteros.digest": "new"},
            "Env": ["A=1"],
            "Configs": [],
            "Secrets": [{"SecretName": "helpdesk-1", "File": {"Name": "env", "Mode": 0o444}}],
        },
        "Placement": {"Constraints": ["node.labels.smarteros.apps==1"], "MaxReplicas": 1},
        "Networks": [{"Target": "smarter-net"}],
    },
    "Mode": {"Replicated": {"Replicas": 2}},
    "EndpointSpec": {"Mode": "dnsrr"},
}


def service(**changes: Any) -> dict[str, Any]:
    """As Docker 26 gives it back. changes: dotted path → another value."""
    spec = copy.deepcopy(SPEC)
    del spec["TaskTemplate"]["ContainerSpec"]["Configs"]
    spec["TaskTemplate"] |= {"ForceUpdate": 3, "Runtime": "container", "Networks": [{"Target": "id-of-it"}]}
    spec["TaskTemplate"]["ContainerSpec"] |= {"Isolation": "default", "DNSConfig": {}, "Privileges": None}
    spec["TaskTemplate"]["ContainerSpec"]["Secrets"][0]["SecretID"] = "id-of-secret"
    found = {"Spec": spec, "ServiceStatus": {"RunningTasks": 2, "DesiredTasks": 2}}
    for path, value in changes.items():
        *way, last = path.split("__")
        place: Any = found
        for part in way:
            place = place[part]
        place[last] = value
    return found


def why(there: dict[str, Any] | None, count: int = 2) -> str:
    return reason(told(SPEC, {"smarter-net": "id-of-it"}), there, count)


def test_what_is_as_it_was_told_needs_nothing() -> None:
    assert why(service()) == ""


INSIDE = "Spec__TaskTemplate__ContainerSpec__"


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (None, "does not exist"),
        (service(Spec__Labels=None), "its description has changed"),
        (service(Spec__Labels={"smarteros.digest": "old"}), "its description has changed"),
        (
            service(
                **{
                    "Spec__Labels__smarteros.digest": "old",
                    f"{INSIDE}Labels__smarteros.digest": "old",
                    f"{INSIDE}Secrets": [{"SecretName": "helpdesk-0", "File": {"Name": "env", "Mode": 0o444}}],
                }
            ),
            "its secrets have changed",
        ),
        (
            service(Spec__Mode__Replicated__Replicas=0, ServiceStatus={"RunningTasks": 0, "DesiredTasks": 0}),
            "was changed by hand (Mode.Replicated.Replicas)",
        ),
        (
            service(**{f"{INSIDE}Image": "evil:1"}),
            "was changed by hand (TaskTemplate.ContainerSpec.Image)",
        ),
        (
            service(**{f"{INSIDE}Env": ["A=1", "B=2"]}),
            "was changed by hand (TaskTemplate.ContainerSpec.Env)",
        ),
        (
            service(Spec__EndpointSpec__Ports=[{"PublishedPort": 80}]),
            "was changed by hand (EndpointSpec.Ports)",
        ),
        (
            service(Spec__TaskTemplate__Networks=[{"Target": "another"}]),
            "was changed by hand (TaskTemplate.Networks)",
        ),
        (
            service(**{f"{INSIDE}Mounts": [{"Type": "bind", "Source": "/", "Target": "/host"}]}),
            "was changed by hand (TaskTemplate.ContainerSpec.Mounts)",
        ),
        (service(ServiceStatus={"RunningTasks": 1, "DesiredTasks": 2}), "1 of 2 of its tasks run: they are waited for"),
    ],
)  # fmt: skip
def test_what_is_not_is_said(there: dict[str, Any] | None, said: str) -> None:
    assert why(there) == said


def test_nobody_waits_for_a_node_that_is_away() -> None:
    def node(state: str = "ready", availability: str = "active", role: str = "apps") -> dict[str, Any]:
        labels = {f"smarteros.{role}": "1"} if role else None
        return {"Spec": {"Availability": availability, "Labels": labels}, "Status": {"State": state}}

    others = [node("down"), node(availability="drain"), node(role="data"), node(role="")]
    assert [able(SPEC, [node(), node(), *others]), able(SPEC, [node(), *others]), able(SPEC, others)] == [
        2,
        1,
        1,
    ]
    whole = copy.deepcopy(SPEC)
    del whole["TaskTemplate"]["Placement"]["MaxReplicas"]
    assert able(whole, [node()]) == 2
    assert why(service(ServiceStatus={"RunningTasks": 1, "DesiredTasks": 2}), 1) == ""


def test_a_spec_has_the_ids_that_the_swarm_knows() -> None:
    inside = {
        "Image": "x",
        "Secrets": [{"SecretName": "a-1", "File": {}}],
        "Configs": [{"ConfigName": "a-2"}, {"ConfigName": "unknown"}],
    }
    spec = {"Name": "a", "TaskTemplate": {"ContainerSpec": inside, "Networks": [{"Target": "smarter-net"}]}}
    made = told(spec, {"a-1": "id-1", "a-2": "id-2", "smarter-net": "id-3"})["TaskTemplate"]
    assert made["ContainerSpec"]["Secrets"] == [{"SecretName": "a-1", "File": {}, "SecretID": "id-1"}]
    assert made["ContainerSpec"]["Configs"] == [
        {"ConfigName": "a-2", "ConfigID": "id-2"},
        {"ConfigName": "unknown"},
    ]
    assert made["Networks"] == [{"Target": "id-3"}]
    assert "SecretID" not in inside["Secrets"][0]


def kept(number: str, service: str = "helpdesk") -> dict[str, Any]:
    return {
        "ID": number,
        "Spec": {"Name": number, "Labels": {"smarteros.service": service} if service else None},
    }


def test_what_a_rollback_needs_stays_and_what_is_somebody_elses() -> None:
    def having(*secrets: str) -> dict[str, Any]:
        found = [{"SecretID": item} for item in secrets]
        return {"TaskTemplate": {"ContainerSpec": {"Secrets": found or None}}}

    services = [
        {"Spec": having("now"), "PreviousSpec": having("before")},
        {"Spec": having()},
        {"Spec": having("other")},
    ]
    secrets = [kept(name) for name in ("now", "before", "older", "other")] + [
        kept("foreign", "n8n"),
        kept("theirs", ""),
    ]
    assert spare("secrets", "helpdesk", secrets, services) == ["older"]
    assert spare("configs", "helpdesk", secrets, services) == ["now", "before", "older", "other"]


def test_whose_services_there_are() -> None:
    assert ours([kept("a"), kept("b", "")]) == {"a": "helpdesk"}


def test_a_value_of_another_kind_differs() -> None:
    assert [*unlike({"A": {"B": [1]}}, {"A": "x"})] == ["A.B"]
    assert [*unlike({"A": 0, "B": [], "C": False}, {})] == []
