"""Which images of this host are outdated, asked weekly by systemd, with Python alone: newer tags, pins whose tags have moved on, ends of life.

Beside it lie ``images.json``, which says what is asked about, ``ask_registries.py`` and ``tags.py``, by which ``make outdated`` asks and
compares, too. What is found stays for ``make status``, with a metric and, where something is outdated that was not so the last time, an
event for who is told (files/notify). Of an image whose registry is silent what was found before still counts.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
try:
    import ask_registries
    import tags
    from written import write
except ImportError as error:
    sys.exit(
        f"{error}: files of the active generation are gone, which a deploy writes anew; which images are outdated is not known"
    )

HERE = Path(__file__).resolve().parent
ROOT = Path(os.environ.get("OUTDATED_ROOT", "/"))
FOUND = ROOT / "var/lib/smarteros/outdated/found.json"
METRICS = ROOT / "var/lib/smarteros/metrics"
NOTIFY = ROOT / "var/lib/smarteros/notify"
TOLD = ROOT / "etc/systemd/system/smarteros-notify.timer"
PAUSE, TRIES = float(os.environ.get("OUTDATED_PAUSE", "60")), 30
# As Docker has it.
LONGEST = 128
KINDS = ("newer", "moved", "ended", "unknown")


def answers(images: dict, socket: str) -> list:
    """What Docker and registries say; a Docker that restarts just now is waited for."""
    why = ""
    for attempt in range(TRIES):
        time.sleep(PAUSE if attempt else 0)
        try:
            return list(ask_registries.answers({"images": list(images), "socket": socket, "tags": True}))
        except ask_registries.Unknown as error:
            why = str(error)
    sys.exit(f"{why}: which images are outdated is not known")


def judged(known: dict, said: dict, before: dict, today: str) -> dict:
    """What there is to do for an image, each kind with its words. known: as in images.json. before: what was found the last time."""
    tag = said["image"].rpartition(":")[2]
    found = {kind: before[kind] for kind in ("newer", "moved") if kind in before}
    if "tags" in said:
        listed = [each for each in said["tags"] if isinstance(each, str) and len(each) <= LONGEST]
        newer = tags.newer(tag, listed, known["line"]).same
        found["newer"] = newer[0] if newer else ""
    if said.get("digest"):
        found["moved"] = said["digest"] if known["digest"] not in ("", said["digest"]) else ""
    if "unlisted" in said or (known["digest"] and "wrong" in said):
        found["unknown"] = "its registry does not say"
    ended = [on for line, on in known["ends"].items() if tags.is_of(tag, line) and on < today]
    found["ended"] = min(ended, default="")
    return {kind: text for kind, text in found.items() if text}


def last() -> dict:
    """Image → what was found the last time; none of a file that was cut short."""
    try:
        return json.loads(FOUND.read_text())["images"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def metric(images: dict, asked: int) -> str:
    """What Prometheus reads."""
    counts = {kind: sum(kind in found for found in images.values()) for kind in KINDS}
    lines = [
        "# TYPE smarteros_images gauge",
        f"smarteros_images {len(images)}",
        "# TYPE smarteros_outdated_images gauge",
        *(f'smarteros_outdated_images{{kind="{kind}"}} {count}' for kind, count in counts.items()),
        "# TYPE smarteros_outdated_asked_timestamp_seconds gauge",
        f"smarteros_outdated_asked_timestamp_seconds {asked}",
    ]
    return "\n".join(lines) + "\n"


def events(images: dict) -> set:
    """What people are told of, once: not each further tag of an image that has newer ones."""
    return {(image, kind) for image, found in images.items() for kind in found if kind != "unknown"}


def texts(images: dict) -> list:
    """A line for each image that is outdated."""
    words = {
        "newer": "{} is there",
        "moved": "its tag is another image than the pinned one",
        "ended": "upstream's support ended on {}",
    }
    said = {
        image: [words[kind].format(found[kind]) for kind in words if kind in found]
        for image, found in images.items()
    }
    return [f"{image}: {', '.join(parts)}" for image, parts in said.items() if parts]


def main() -> None:
    """Asks, and leaves what is found."""
    wanted = json.loads((HERE / "images.json").read_text())
    known, before, asked = wanted["images"], last(), int(time.time())
    today = time.strftime("%Y-%m-%d", time.gmtime(asked))
    found = {
        said["image"]: judged(known[said["image"]], said, before.get(said["image"], {}), today)
        for said in answers(known, wanted["socket"])
    }
    write(FOUND, json.dumps({"asked": asked, "images": found}))
    write(METRICS / "outdated.prom", metric(found, asked), 0o644)
    if events(found) - events(before) and TOLD.exists():
        write(NOTIFY / "new" / "images", "\n".join(("images outdated", *texts(found))) + "\n")


if __name__ == "__main__":
    os.umask(0o077)
    main()
