"""What of a swarm's services differs, and what nobody needs any more. With real Docker: tests/e2e/test_swarm_spec.py."""

from typing import Any

from tasks.operations.swarm_services import Wanted, _said, differing, filled, spare


def wanted(name: str, digest: str = "new") -> Wanted:
    return Wanted("helpdesk", {"Name": name, "Labels": {"smarteros.digest": digest}})


def there(name: str, digest: str | None = "new", running: int = 1, **more: Any) -> dict[str, Any]:
    labels = {"smarteros.digest": digest} if digest else None
    return {
        "Spec": {"Name": name, "Labels": labels, **more},
        "ServiceStatus": {"RunningTasks": running, "DesiredTasks": 1},
    }


def names(found: list[Wanted]) -> list[str]:
    return [item.name for item in found]


def test_what_is_missing_made_otherwise_or_does_not_run_differs() -> None:
    services = [there("same"), there("old", "old"), there("down", running=0), there("theirs", None)]
    asked = [wanted(name) for name in ("same", "old", "down", "theirs", "missing")]
    assert names(differing(asked, services)) == ["old", "down", "theirs", "missing"]
    assert differing([], services) == []


def test_a_spec_has_the_ids_that_the_swarm_knows() -> None:
    inside = {
        "Image": "x",
        "Secrets": [{"SecretName": "a-1", "File": {}}],
        "Configs": [{"ConfigName": "a-2"}],
    }
    spec = {"Name": "a", "TaskTemplate": {"ContainerSpec": inside, "Networks": []}}
    made = filled(spec, {"a-1": "id-1", "a-2": "id-2"})["TaskTemplate"]
    assert made["ContainerSpec"]["Secrets"] == [{"SecretName": "a-1", "File": {}, "SecretID": "id-1"}]
    assert made["ContainerSpec"]["Configs"] == [{"ConfigName": "a-2", "ConfigID": "id-2"}]
    assert made["Networks"] == []
    assert "SecretID" not in inside["Secrets"][0]
    assert filled({"TaskTemplate": {"ContainerSpec": {}}}, {}) == {"TaskTemplate": {"ContainerSpec": {}}}


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


def test_a_failure_names_the_task_that_failed_last() -> None:
    def task(error: str = "", node: str = "1") -> dict[str, Any]:
        return {"NodeID": node, "Status": {"Err": error}}

    nodes = {"1": "node-1"}
    (line,) = _said("web", "does not start", [task("first"), task("task: non-zero exit (3)"), task()], nodes)
    assert (
        line
        == "web: it does not start: its task on node-1 says 'task: non-zero exit (3)'; its last 50 log lines:"
    )
    (line,) = _said("web", "does not start", [task("no suitable node", node="")], nodes)
    assert line.startswith("web: it does not start: its task on no node says 'no suitable node'")
    (line,) = _said("web", "does not run after 60 s", [task()], nodes)
    assert line == "web: it does not run after 60 s; its last 50 log lines:"


def test_no_value_of_a_secret_is_shown() -> None:
    assert "canary" not in repr(Wanted("a", {"Name": "a"}, {"secrets": {"a-1": "canary"}}))
