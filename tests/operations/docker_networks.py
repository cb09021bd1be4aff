"""Docker's networks, played by a program: who is in which, by which names, and what it refuses as the real one does (26.1)."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAM = f"""#!{sys.executable}
import json, os, sys
path = os.environ["STATE"] + "/state.json"
state = json.load(open(path))
networks, containers = state["networks"], state["containers"]

def end(code=0, said=""):
    json.dump(state, open(path, "w"))
    print(said, end="", file=sys.stderr if code else sys.stdout)
    sys.exit(code)

def network(name):
    found = [key for key, item in networks.items() if name in (key, item["id"])]
    return found[0] if found else end(1, f"network {{name}} not found")

match sys.argv[1:]:
    case ["ps", *words]:
        ours = any("label=" in word for word in words)
        end(0, "".join(f"{{key}}\\n" for key, item in containers.items() if item["ours"] or not ours))
    case ["inspect", "--format", text, *ids] if "printl" in text:
        lines = [f"{{name}} {{id}} {{' '.join(item['inside'][id])}}\\n" for id in ids for name, item in networks.items() if id in item["inside"]]
        end(0, "".join(lines))
    case ["inspect", "--format", text, id]:
        name = text.split('"')[1]
        end(0 if id in containers else 1, "there\\n" if id in networks.get(name, {{"inside": {{}}}})["inside"] else "\\n")
    case ["network", "inspect", "--format", _, name]:
        end(0, " ".join(networks[network(name)]["inside"]))
    case ["network", "inspect", name]:
        network(name)
    case ["network", "create", *_, name]:
        state["count"] += 1
        networks[name] = {{"id": f"number-{{state['count']}}", "inside": {{}}}}
    case ["network", "rm", name]:
        end(1, "it has active endpoints") if networks[network(name)]["inside"] else networks.pop(network(name))
    case ["network", "disconnect", "--force", name, id]:
        networks[network(name)]["inside"].pop(id, None) is not None or end(1, f"container {{id}} is not connected to {{name}}")
    case ["network", "connect", *words, name, id]:
        mode = containers[id]["mode"]
        if mode and mode not in (item["id"] for item in networks.values()):
            end(1, f"could not find a network matching network mode {{mode}}: network {{mode}} not found")
        id not in networks[network(name)]["inside"] or end(1, f"endpoint with name {{id}} already exists in network {{name}}")
        networks[name]["inside"][id] = words[1::2]
    case words:
        end(2, f"docker: nobody has told me {{words}}")
end()
"""


@dataclass(frozen=True)
class Docker:
    """folder: where its state is, and the program."""

    folder: Path

    @property
    def state(self) -> dict[str, Any]:
        """networks: name → id and inside (container → aliases). containers: id → ours, and the number of the network that Compose made it in."""
        found = json.loads((self.folder / "state.json").read_text("utf-8"))
        assert isinstance(found, dict)
        return found

    @property
    def inside(self) -> dict[str, list[str]]:
        """Network and container → its aliases."""
        return {
            f"{name}/{item}": aliases
            for name, network in self.state["networks"].items()
            for item, aliases in network["inside"].items()
        }

    def shell(self, script: str, *, killed_at: int = 0) -> subprocess.CompletedProcess[str]:
        """A script with this Docker. killed_at: the call of it at which all ends, as by ``kill -9``."""
        counted = f'n=$(cat "$STATE/calls" 2>/dev/null || echo 0); n=$((n + 1)); echo $n >"$STATE/calls"; [ $n != {killed_at} ] || kill -9 0'
        (self.folder / "calls").unlink(missing_ok=True)
        front = self.folder / "bin/docker"
        front.write_text(f'#!/bin/sh\n{counted}\nexec "$STATE/program" "$@"\n', "utf-8")
        front.chmod(0o755)
        environment = {"PATH": f"{self.folder}/bin:{os.environ['PATH']}", "STATE": str(self.folder)}
        return subprocess.run(
            ["sh", "-c", script],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,
        )


def docker(folder: Path, *, ours: dict[str, bool], inside: dict[str, dict[str, list[str]]]) -> Docker:
    """ours: container → whether it has a label of ours, each made by Compose in the first network that it is in. inside: network →
    container → aliases.
    """
    numbers = {name: f"number-{place}" for place, name in enumerate(inside)}
    first = {
        item: next((numbers[name] for name, there in inside.items() if item in there), "") for item in ours
    }
    state = {
        "count": len(inside),
        "networks": {name: {"id": numbers[name], "inside": there} for name, there in inside.items()},
        "containers": {item: {"ours": mine, "mode": first[item]} for item, mine in ours.items()},
    }
    (folder / "bin").mkdir()
    (folder / "state.json").write_text(json.dumps(state), "utf-8")
    (folder / "program").write_text(PROGRAM, "utf-8")
    (folder / "program").chmod(0o755)
    return Docker(folder)
