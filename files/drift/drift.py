"""What differs on this host from what the last deploy made; run by the deploy, by people and daily by systemd, with Python alone.

``note`` reads from standard input what counts, and keeps how that is now in the newest record of a generation (record.sh); of what
differs it says what no deploy makes good. ``look`` says as JSON what is otherwise since; it writes nothing. ``watch`` looks, and leaves
a metric and, when it is not what it was the last time, an event for who is told (files/notify). Of contents there are only digests.

What it is made of lies beside it: kinds.py names what is looked at, in containers.py and system.py, and compare.py how that differs.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
try:
    from compare import differences, stays, unmade
    from ground import ROOT, stamp
    from kinds import KINDS, now
    from written import write
except ImportError as error:
    sys.exit(
        f"{error}: files of the active generation are gone, which a deploy writes anew; what differs is not known"
    )

RECORDS = ROOT / "opt/smarteros/records"
STATE = ROOT / "var/lib/smarteros/drift"
METRICS = ROOT / "var/lib/smarteros/metrics"
NOTIFY = ROOT / "var/lib/smarteros/notify"
TOLD = ROOT / "etc/systemd/system/smarteros-notify.timer"
LOCK = ROOT / "run/smarteros/lock"


def records() -> list:
    """Folders of the generations that are recorded (record.sh), the newest first."""
    found = [path for path in RECORDS.glob("*") if path.name.isdigit() and holds(path / "tree")]
    return sorted(found, key=lambda path: -int(path.name))


def kept(record: Path) -> dict | None:
    """What was noted there."""
    return whole(record / "state", "noted", "what", "made")


def holds(path: Path) -> bool:
    """A power cut may leave a file empty."""
    return path.exists() and path.stat().st_size > 0


def whole(path: Path, *keys: str) -> dict | None:
    """What stands there with these keys; None where there is no file, or one that a power cut has left empty or cut."""
    try:
        found = json.loads(path.read_text())
        return found if all(key in found for key in keys) else None
    except (OSError, ValueError, TypeError):
        return None


def report() -> dict:
    """Noted when, of which generation, and what differs. ``null`` where nothing was noted."""
    newest = next(iter(records()), None)
    note = kept(newest) if newest else None
    if note is None:
        return {"noted": None, "number": None, "generation": None, "differences": []}
    return {
        "noted": note["noted"],
        "number": int(newest.name),
        "generation": (newest / "tree").read_text().strip(),
        "differences": differences(note["made"], now(note["what"])),
    }


def note(what: dict) -> None:
    """From now on this is what the last deploy made; nothing is written where it is that already."""
    newest, *older = records()
    before, made = kept(newest), now(what)
    last = before or next(filter(None, map(kept, older)), None)
    if last:
        there = made["file"]
        made["file"] = unmade(last["made"].get("file", there), there)
        for item in differences({"file": made["file"]}, {**made, "file": there}):
            sys.stdout.write(f"edited {item['name']}: {item['what']}\n")
    differ = differences(last["made"], made) if last else []
    for item in differ:
        if stays(item):
            sys.stdout.write(f"{item['kind']} {item['name']} {item['what']}\n")
    if before and before["what"] == what and not differ:
        return
    write(newest / "state", json.dumps({"noted": stamp(time.time()), "what": what, "made": made}))
    (STATE / "found.json").unlink(missing_ok=True)


def quiet() -> bool:
    """Waits until no run is at work; false where one is for half an hour."""
    for _ in range(30):
        try:
            with LOCK.open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(60)
        except OSError:
            return True
        else:
            return True
    return False


def watch() -> None:
    """What make status and Prometheus read; what was found before keeps the time when it was."""
    if not quiet():
        return
    path = STATE / "found.json"
    before = (whole(path, "differences") or {"differences": []})["differences"]
    seen = {(item["kind"], item["name"], item["what"]): item["since"] for item in before}
    found = report()
    for item in found["differences"]:
        key = (item["kind"], item["name"], item["what"])
        item["since"] = item["since"] or seen.get(key) or stamp(time.time())
    found["checked"] = int(time.time())
    write(path, json.dumps(found))
    counts = {kind: sum(item["kind"] == kind for item in found["differences"]) for kind in KINDS}
    lines = [
        "# TYPE smarteros_drifted_files gauge",
        f"smarteros_drifted_files {counts['file']}",
        "# TYPE smarteros_drifted gauge",
        *(f'smarteros_drifted{{kind="{kind}"}} {count}' for kind, count in counts.items()),
        "# TYPE smarteros_drift_checked_timestamp_seconds gauge",
        f"smarteros_drift_checked_timestamp_seconds {found['checked']}",
    ]
    write(METRICS / "drift.prom", "\n".join(lines) + "\n", 0o644)
    keys = [(item["kind"], item["name"], item["what"]) for item in found["differences"]]
    if keys and set(keys) - seen.keys() and TOLD.exists():
        texts = [
            f"{item['kind']} {item['name']}: {item['what']}, since {item['since']}"
            for item in found["differences"]
        ]
        write(NOTIFY / "new" / "drift", "\n".join(("drift changed", *texts)) + "\n")


if __name__ == "__main__":
    os.umask(0o077)
    if sys.argv[1] == "note":
        note(json.load(sys.stdin))
    elif sys.argv[1] == "watch":
        watch()
    else:
        sys.stdout.write(json.dumps(report()) + "\n")
