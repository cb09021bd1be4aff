"""Written: the files of an inventory as ``make bootstrap`` writes them, and as somebody else has left them, who is right then.

A line in each says what it was made with. As long as that holds nobody has edited it.
"""

import hashlib
import json
import os
import re
import runpy
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from tasks.model.targets import target
from tasks.run import Refused

Standing = Literal["absent", "example", "ours", "theirs"]

_MARK = re.compile(r"^# (.+): ([0-9a-f]{16})\n", re.MULTILINE)
_WIDTH = 110


def digest(text: str) -> str:
    """Of a file without its mark."""
    return hashlib.sha256(_MARK.sub("", text).encode()).hexdigest()[:16]


def standing(path: Path) -> Standing:
    """Whose a file is. example: one that comes with this repository, as it came."""
    if not path.exists():
        return "absent"
    text = path.read_text("utf-8")
    found = _MARK.search(text)
    if not found or found[2] != digest(text):
        return "theirs"
    return "example" if found[1].startswith("An example") else "ours"


def marked(head: str, body: str) -> str:
    """The file. head: its docstring."""
    said = f"Written by {target('bootstrap')}, which goes by it as it is once it was edited"
    top = f'"""{head}"""\n\n'
    return f"{top}# {said}: {digest(top + body)}\n{body}"


def inventory(name: str, login: Mapping[str, Any]) -> str:
    """inventories/<name>.py. login: what pyinfra is told of the host, empty for this machine."""
    head = f"{name}: the hosts, and nothing else. Settings that differ from all.py stand in group_data/{name}.py."
    get = "from tasks.connection.inventory import hosts\n\n"
    if not login:
        return marked(head, f'\n{get}nodes = hosts("@local")\n')
    lines = [f"            {json.dumps(key)}: {value(item)},\n" for key, item in login.items()]
    text = (
        f"\nfrom pathlib import Path\n\n{get}nodes = hosts(\n    (\n        {json.dumps(login['ssh_hostname'])},\n        {{\n"
        f"{''.join(lines)}"
        '            "ssh_known_hosts_file": str(Path(__file__).with_suffix(".known_hosts")),\n'
        '            "ssh_strict_host_key_checking": "yes",\n'
        "        },\n    ),\n)\n"
    )
    return marked(head, text)


def settings(name: str, found: Mapping[str, Any]) -> str:
    """group_data/<name>.py. found: what differs from all.py."""
    lines = "".join(f"{key} = {value(item, width=_WIDTH - len(key) - 3)}\n" for key, item in found.items())
    return marked(f"{name}: what differs from all.py.", f"\n{lines}")


def value(item: Any, width: int = _WIDTH) -> str:
    """As the house writes it, one to a line where it does not fit into one."""
    if isinstance(item, str):
        return json.dumps(item, ensure_ascii=False)
    if not isinstance(item, Mapping | list | tuple):
        return repr(item)
    pairs = (
        [f"{value(key)}: {value(one)}" for key, one in item.items()]
        if isinstance(item, Mapping)
        else list(map(value, item))
    )
    opening, closing = "{}" if isinstance(item, Mapping) else "[]"
    line = f"{opening}{', '.join(pairs)}{closing}"
    if len(line) <= width:
        return line
    return "\n".join([opening, *(f"    {pair}," for pair in pairs), closing])


def keep(path: Path, text: str) -> bool:
    """Whether it was another: written in one step, so that who is killed leaves no half of it, and no more than one draft."""
    if path.exists() and path.read_text("utf-8") == text:
        return False
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(text, "utf-8")
    draft.chmod(0o644)
    draft.replace(path)
    return True


def assigned(path: Path) -> dict[str, Any]:
    """The settings in a file, without what it imports. Raises Refused."""
    return {
        key: item
        for key, item in _run(path).items()
        if not key.startswith("_") and not isinstance(item, ModuleType) and not callable(item)
    }


def node(path: Path) -> tuple[str, dict[str, Any]]:
    """The one host of an inventory: its name and what pyinfra is told of it. Raises Refused."""
    nodes = _run(path).get("nodes", [])
    if len(nodes) != 1:
        raise Refused(
            f"inventories/{path.name} lists {len(nodes)} hosts, and this is about one: name another inventory (NAME=…)"
        )
    (entry,) = nodes
    return (entry, {}) if isinstance(entry, str) else (entry[0], dict(entry[1]))


def _run(path: Path) -> dict[str, Any]:
    try:
        return runpy.run_path(os.fspath(path))
    except (Exception, SystemExit) as error:  # noqa: BLE001  whatever somebody has written there
        where = f"{path.parent.name}/{path.name}"
        raise Refused(
            f"{where} cannot be read ({error}): mend it, or name another inventory (NAME=…)"
        ) from None
