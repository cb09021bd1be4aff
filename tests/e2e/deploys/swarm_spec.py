"""Services of a swarm of one node, as they are rendered, without the deploy that a swarm is to have: tests/e2e/test_swarm_spec.py."""

import base64
import json
import os
from typing import Any

from tasks.clients.engine_api import Engine
from tasks.rendering import render, swarm_spec
from tasks.run import host, services, stack

given = json.loads(os.environ["SWARM_SPEC"])
engine = Engine(host())
if not engine.get("/info")["Swarm"]["NodeID"]:
    address = given["address"]
    engine.post(
        "/swarm/init", {"ListenAddr": f"{address}:2377", "AdvertiseAddr": address, "DataPathAddr": address}
    )
(node,) = engine.get("/nodes")
labels = {"smarteros.apps": "1", **{f"smarteros.home.{name}": "1" for name in given["services"]}}
engine.post(
    f"/nodes/{node['ID']}/update", {**node["Spec"], "Labels": labels}, version=node["Version"]["Index"]
)
networks = {item["Name"] for item in engine.get("/networks")}
for name in {"smarter-net", "tenants-net"} - networks:
    engine.post("/networks/create", {"Name": name, "Driver": "overlay", "Attachable": True})


def made(kind: str, name: str, text: str) -> str:
    """The id of the secret or config of this name."""
    there = {item["Spec"]["Name"]: item["ID"] for item in engine.get(f"/{kind}")}
    data = base64.b64encode(text.encode()).decode()
    return str(there.get(name) or engine.post(f"/{kind}/create", {"Name": name, "Data": data})["ID"])


def wanted(spec: dict[str, Any], texts: dict[str, str], secret: str) -> dict[str, Any]:
    """With the ids that the swarm knows."""
    inside = spec["TaskTemplate"]["ContainerSpec"]
    for item in inside["Configs"]:
        item["ConfigID"] = made("configs", item["ConfigName"], texts[item["ConfigName"]])
    for item in inside.get("Secrets", ()):
        item["SecretID"] = made("secrets", item["SecretName"], secret)
    return spec


for service in services():
    if service.name not in given["services"]:
        continue
    files = render.render(stack(), service)
    secret = swarm_spec.secret_text(given["values"])
    for item in filter(swarm_spec.task, service.containers):
        config = engine.get(f"/images/{render.image(item)}/json")["Config"]
        start = swarm_spec.Start(config["Entrypoint"] or (), config["Cmd"] or ())
        brought = swarm_spec.Brought(files, start, render.digest(secret))
        texts = {name: text for name, (_, text) in swarm_spec.configs(service, item, files).items()}
        spec = wanted(
            swarm_spec.spec(service, item, files[render.compose_path(service)], brought), texts, secret
        )
        there = engine.get(f"/services/{item.name}")
        if there is None:
            engine.post("/services/create", spec)
        elif there["Spec"]["Labels"] != spec["Labels"]:
            engine.post(f"/services/{there['ID']}/update", spec, version=there["Version"]["Index"])
engine.close()
