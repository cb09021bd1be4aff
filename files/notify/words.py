"""Words: an event as people read it, and as programs do."""

from __future__ import annotations

import json
import time

KINDS = {"ok": "success", "failed": "failure", "interrupted": "failure", "test": "info", "outdated": "info"}


def worded(text: str, name: str, zone: str) -> dict:
    """An event as people read it, and as programs do."""
    first, _, rest = text.partition("\n")
    event, result, *subject = [*first.split(" ", 2), "", ""][: max(2, len(first.split(" ", 2)))]
    told = {"version": 1, "event": event, "result": result, "host": name, "zone": zone}
    told["type"] = KINDS.get(result, "warning")
    told["time"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    about = subject[0] if subject else ""
    if event == "deploy":
        told |= deployed(rest)
    told["title"] = " ".join(f"{name}: {told.pop('command', event)} {result} {about}".split())
    told.setdefault("body", rest.strip()[:3000] or told["title"])
    return told


def deployed(text: str) -> dict:
    """What the line of the audit log says; nothing where it is none (a disk was full)."""
    try:
        run = json.loads(text)
        changed = run["changed"]
        lines = [
            f"{run['operator']}, {run['seconds']} s, {len(changed)} changes, generation {run['generation']}"
        ]
        lines += [f"at {run['at']}"] if run["at"] else []
        lines += changed[:20] + ([f"and {len(changed) - 20} more"] if len(changed) > 20 else [])
        return {"body": "\n".join(lines), "run": run, "command": run.get("command") or "deploy"}
    except (ValueError, KeyError, TypeError):
        return {}
