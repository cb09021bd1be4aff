"""Services of a swarm of one node, as they are rendered, without the deploy that a swarm is to have: tests/e2e/test_swarm_spec.py."""

import json
import os
from functools import partial

from tasks.clients.engine_api import Api
from tasks.model.catalogue import Service
from tasks.model.spread import task
from tasks.operations import swarm_services
from tasks.operations.swarm_rolling import Wanted
from tasks.rendering import render, swarm_spec
from tasks.run import host, services, stack

given = json.loads(os.environ["SWARM_SPEC"])
engine = Api(host())
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


def wanted(service: Service) -> list[Wanted]:
    """Its tasks, with these secrets."""
    files = render.render(stack(), service)
    secret = swarm_spec.secret_text(given["values"])
    found = []
    for item in filter(task, service.containers):
        config = engine.get(f"/images/{render.image(item)}/json")["Config"]
        start = swarm_spec.Start(config["Entrypoint"] or (), config["Cmd"] or ())
        brought = swarm_spec.Brought(files, start, render.digest(secret))
        texts = {
            "configs": {name: text for name, (_, text) in swarm_spec.configs(service, item, files).items()},
            "secrets": {swarm_spec.secret_name(service, brought.secrets): secret} if item.env_file else {},
        }
        spec = swarm_spec.spec(service, item, files[render.compose_path(service)], brought)
        found.append(Wanted(service.name, spec, texts, item.health.seconds + item.stop_seconds + 30))
    return found


for service in services():
    if service.name in given["services"]:
        swarm_services.converged(service, partial(wanted, service), host, name=f"Swarm | {service.title}")
