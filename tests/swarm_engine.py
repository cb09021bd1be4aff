"""A Docker that says of its swarm what the real one says (moby 26.1), as far as we ask: ``docker system dial-stdio``, its state a file beside
it. What it is told wrongly it refuses; what was seen of the real one is in tests/e2e/test_swarm_spec.py and test_cluster.py.
"""

import copy
import itertools
import json
import struct
import sys
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

STATE = Path(__file__).with_name("swarm.json")
EMPTY: dict[str, Any] = {
    "count": 0,
    "services": {},
    "tasks": [],
    "secrets": {},
    "configs": {},
    "networks": [{"Name": "smarter-net", "Id": "net-1"}, {"Name": "tenants-net", "Id": "net-2"}],
    "nodes": [
        {
            "ID": f"node-id-{number}",
            "Description": {"Hostname": f"node-{number}"},
            "Status": {"State": "ready"},
            "Spec": {"Availability": "active", "Labels": {"smarteros.apps": "1"}},
        }
        for number in (2, 3)
    ],
    "images": {},  # reference → its configuration
    "broken": [],  # images that end at once
    "asked": [],  # METHOD path of what changes something
}


class Wrong(Exception):
    """A status and a message."""


class Engine(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"

    def __init__(self) -> None:
        self.rfile, self.wfile = sys.stdin.buffer, sys.stdout.buffer  # type: ignore[assignment]
        self.client_address = ("", 0)
        self.handle()

    def log_message(self, *_: Any) -> None:
        """Nothing."""

    def answer(self) -> None:
        """Reads, changes, writes the state."""
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "null")
        state = json.loads(STATE.read_text())
        version, *path = url.path.strip("/").split("/")
        try:
            assert version == "v1.45", version
            found: Any = Swarm(state).asked(self.command, path, query, body)
            status = 200
        except Wrong as error:
            status, found = error.args[0], {"message": error.args[1]}
        if self.command != "GET":
            state["asked"].append(f"{self.command} /{'/'.join(path)}")
        STATE.write_text(json.dumps(state))
        data = found if isinstance(found, bytes) else json.dumps(found).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    do_GET = do_POST = do_DELETE = answer  # noqa: N815  the server's names


class Swarm:
    """What one request does to it."""

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state

    def asked(self, method: str, path: list[str], query: dict[str, str], body: Any) -> Any:
        """The answer. Raises Wrong."""
        kind, *rest = path
        filters = json.loads(query.get("filters", "{}"))
        match method, kind, rest:
            case "GET", "images", [*name, "json"]:
                reference = unquote("/".join(name))
                if reference not in self.state["images"]:
                    raise Wrong(404, f"No such image: {reference}")
                return {"Id": "sha256:aa", "Config": self.state["images"][reference]}
            case "GET", ("networks" | "nodes"), []:
                return self.state[kind]
            case _, ("secrets" | "configs"), _:
                return self.kept(method, kind, rest, filters.get("name", [""]), body)
            case "GET", "tasks", []:
                found = [
                    copy.deepcopy(item)
                    for item in self.state["tasks"]
                    if item["ServiceID"] in filters.get("service", [item["ServiceID"]])
                ]
                self.goes_back(filters.get("service", ()))
                return found
            case _, "services", _:
                return self.services(method, rest, query, body)
        raise Wrong(404, "page not found")

    def kept(self, method: str, kind: str, rest: list[str], names: list[str], body: Any) -> Any:
        """The same of secrets and configs."""
        match method, rest:
            case "GET", []:
                found = self.state[kind].values()
                return [
                    item for item in found if any(item["Spec"]["Name"].startswith(name) for name in names)
                ]
            case "POST", ["create"]:
                if any(item["Spec"]["Name"] == body["Name"] for item in self.state[kind].values()):
                    raise Wrong(409, "rpc error: name conflicts with an existing object")
                number = self.number(kind)
                self.state[kind][number] = {
                    "ID": number,
                    "Spec": {"Name": body["Name"], "Labels": body["Labels"]},
                }
                self.state[kind][number]["_data"] = body["Data"]
                return {"ID": number}
            case "DELETE", [number]:
                self.unused(kind, number)
                del self.state[kind][number]
                return None
        raise Wrong(404, "page not found")

    def services(self, method: str, rest: list[str], query: dict[str, str], body: Any) -> Any:
        """The same of services."""
        match method, rest:
            case "GET", []:
                return [self.shown(item, query) for item in self.state["services"].values()]
            case "POST", ["create"]:
                if any(item["Spec"]["Name"] == body["Name"] for item in self.state["services"].values()):
                    raise Wrong(
                        409, "rpc error: name conflicts with an existing object: service already exists"
                    )
                number = self.number("service")
                self.state["services"][number] = {
                    "ID": number,
                    "Version": {"Index": 10},
                    "Spec": self.checked(body),
                }
                self.run(self.state["services"][number])
                return {"ID": number}
            case _, [name, *more]:
                found = next(
                    (
                        item
                        for item in self.state["services"].values()
                        if name in (item["ID"], item["Spec"]["Name"])
                    ),
                    None,
                )
                if found is None:
                    raise Wrong(404, f"service {name} not found")
                return self.one(method, found, more, query, body)
        raise Wrong(404, "page not found")

    def one(
        self, method: str, found: dict[str, Any], more: list[str], query: dict[str, str], body: Any
    ) -> Any:
        """The same of one of them."""
        match method, more:
            case "GET", []:
                return self.shown(found, query)
            case "GET", ["logs"]:
                failed = [
                    item
                    for item in self.state["tasks"]
                    if item["ServiceID"] == found["ID"] and item["Status"]["State"] == "failed"
                ]
                text = b"it is broken\n" if failed else b"all is well\n"
                return struct.pack(">BxxxI", 2, len(text)) + text
            case "DELETE", []:
                del self.state["services"][found["ID"]]
                self.state["tasks"] = [
                    item for item in self.state["tasks"] if item["ServiceID"] != found["ID"]
                ]
                return None
            case "POST", ["update"]:
                if int(query["version"]) != found["Version"]["Index"]:
                    raise Wrong(500, "rpc error: code = Unknown desc = update out of sequence")
                self.update(found, self.checked(body))
                return {"Warnings": None}
        raise Wrong(404, "page not found")

    def update(self, found: dict[str, Any], spec: dict[str, Any]) -> None:
        """It rolls, and goes back where it does not start; what only scales it has no end of an update."""
        before = found["Spec"]
        found |= {"Version": {"Index": found["Version"]["Index"] + 1}, "PreviousSpec": before, "Spec": spec}
        found.pop("UpdateStatus", None)
        if before["TaskTemplate"] != spec["TaskTemplate"]:
            found["UpdateStatus"] = {"State": "completed"}
            if spec["TaskTemplate"]["ContainerSpec"]["Image"] in self.state["broken"]:
                self.task(found, 1, "failed")
                found["UpdateStatus"] = {"State": "updating"}
                return
        self.run(found)

    def goes_back(self, numbers: Sequence[str]) -> None:
        """What does not start is replaced a second look after it has failed, and then nobody knows of it any more, nor of its log."""
        for found in self.state["services"].values():
            if found["ID"] in numbers and (found.get("UpdateStatus") or {}).get("State") == "updating":
                found["_looks"] = found.get("_looks", 0) + 1
                if found["_looks"] > 1:
                    found["Spec"], found["PreviousSpec"] = found["PreviousSpec"], found["Spec"]
                    found["UpdateStatus"] = {"State": "rollback_completed"}
                    self.state["tasks"] = [
                        item for item in self.state["tasks"] if item["Status"]["State"] != "failed"
                    ]

    def run(self, found: dict[str, Any]) -> None:
        """As many tasks as it has to have."""
        for item in self.state["tasks"]:
            if item["ServiceID"] == found["ID"] and item["DesiredState"] == "running":
                item["DesiredState"], item["Status"]["State"] = "shutdown", "shutdown"
        for slot in range(1, found["Spec"]["Mode"]["Replicated"]["Replicas"] + 1):
            broken = found["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"] in self.state["broken"]
            for state in ("failed", "failed") if broken else ("running",):
                self.task(found, slot, state)

    def task(self, found: dict[str, Any], slot: int, state: str) -> None:
        """One more."""
        nodes = itertools.cycle(item["ID"] for item in self.state["nodes"])
        where = next(itertools.islice(nodes, slot - 1, None))
        error = {"Err": "task: non-zero exit (3)"} if state == "failed" else {}
        self.state["tasks"].append(
            {
                "ID": self.number("task"),
                "ServiceID": found["ID"],
                "Slot": slot,
                "NodeID": where,
                "DesiredState": "running" if state == "running" else "shutdown",
                "Spec": copy.deepcopy(found["Spec"]["TaskTemplate"]),
                "Status": {
                    "State": state,
                    "Timestamp": f"2026-12-01T10:00:{self.state['count']:02}Z",
                    **error,
                },
            }
        )

    def checked(self, spec: dict[str, Any]) -> dict[str, Any]:
        """As Docker keeps it. What it names has to be there."""
        spec = copy.deepcopy(spec)
        task = spec["TaskTemplate"]
        inside = task["ContainerSpec"]
        for kind, name in (("secrets", "Secret"), ("configs", "Config")):
            for item in inside.get(kind.capitalize(), ()):
                there = self.state[kind].get(item.get(f"{name}ID"))
                if there is None or there["Spec"]["Name"] != item[f"{name}Name"]:
                    raise Wrong(400, f"rpc error: {kind} not found: {item}")
            if not inside.get(kind.capitalize()):
                inside.pop(kind.capitalize(), None)
        for network in task["Networks"]:
            if network["Target"] not in {item["Id"] for item in self.state["networks"]}:
                raise Wrong(404, f"network {network['Target']} not found")
        task |= {"ForceUpdate": 0, "Runtime": "container"}
        inside |= {"Isolation": "default"}
        return spec

    def unused(self, kind: str, number: str) -> None:
        """Raises Wrong for what a service has."""
        key = f"{kind[:-1].capitalize()}ID"
        if number not in self.state[kind]:
            raise Wrong(404, f"{kind} not found")
        for item in self.state["services"].values():
            inside = item["Spec"]["TaskTemplate"]["ContainerSpec"]
            if number in [each[key] for each in inside.get(kind.capitalize(), ())]:
                raise Wrong(
                    400, f"rpc error: {number} is in use by the following service: {item['Spec']['Name']}"
                )

    def shown(self, found: dict[str, Any], query: dict[str, str]) -> dict[str, Any]:
        """A service; with how many run only where that is asked."""
        if query.get("status") != "true":
            return found
        own = [item for item in self.state["tasks"] if item["ServiceID"] == found["ID"]]
        running = len(
            [
                item
                for item in own
                if item["Status"]["State"] == "running" and item["DesiredState"] == "running"
            ]
        )
        replicas = found["Spec"]["Mode"]["Replicated"]["Replicas"]
        return {**found, "ServiceStatus": {"RunningTasks": running, "DesiredTasks": replicas}}

    def number(self, kind: str) -> str:
        """Of a new object."""
        self.state["count"] += 1
        return f"{kind}-{self.state['count']}"


if __name__ == "__main__":
    assert sys.argv[1:] == ["system", "dial-stdio"], sys.argv
    Engine()
