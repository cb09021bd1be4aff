"""The rooms of the house, from the ground up: what a module may import. ``tests/test_rooms.py`` holds it."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TASKS = ROOT / "tasks"

# Room → what is there. Each stands on those above it and knows nothing of those below.
ROOMS = {
    "model": "outside data → Stack; the vocabulary in which services describe themselves",
    "services": "one service, one file",
    "rendering": "(stack, services) → {path: text}",
    "connection": "the way to a host",
    "facts": "what the host is, in few, wide facts",
    "run": "what a run shares: stack, services, facts read once, clean failures",
    "clients": "Vault's and Dokploy's APIs, and a visitor of any service",
    "operations": "read the fact, compare, change the difference",
    "phases": "what deploy.py names, in its order",
    "commands": "what a person runs alone",
}
ORDER = list(ROOMS)


def module(path: Path) -> str:
    """tasks/model/stack.py → tasks.model.stack."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module(path): path for path in sorted(TASKS.rglob("*.py"))}


def room(name: str) -> str:
    """The room of a module; phases and run.py lie at the top of tasks/."""
    inner = name.removeprefix("tasks").lstrip(".").split(".")[0]
    return inner if inner in ORDER else "phases"


def imports(name: str) -> Iterator[str]:
    """The modules of ours that a module imports, at its beginning or later, lazily as well."""
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "tasks":
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else str(node.module)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "lazily":
            yield from (name for name in (ast.literal_eval(node.args[0]),) if name in MODULES)


def arrows() -> dict[str, set[str]]:
    """Room → the other rooms that it imports from."""
    found: dict[str, set[str]] = {name: set() for name in ORDER}
    for name in MODULES:
        if name != "tasks":
            found[room(name)] |= {room(other) for other in imports(name)} - {room(name)}
    return found


def drawing() -> str:
    """The rooms from the top down, with their arrows, as the README has it."""
    found = arrows()
    wide = max(map(len, ORDER))
    lines = []
    for name in reversed(ORDER):
        ends = ", ".join(other for other in reversed(ORDER) if other in found[name]) or "nothing of ours"
        lines.append(f"{name:{wide}}  {ROOMS[name]}\n{'':{wide}}    ──▶ {ends}")
    return "```\n" + "\n".join(lines) + "\n```"
