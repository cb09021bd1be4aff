"""Tells people what has happened on this host; started by systemd (smarteros-notify.service), with Python's own library alone.

What is to be told lies in ``new``, a file for each event: ``event result subject``, then text. Whom to tell is the unit's credential.
What a channel has not taken is tried again for a day; why, stands in ``failed``, and how the last event went in ``last``.
Nothing that is written holds an address or a token.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
try:
    from channels import tried
    from words import worded
    from written import write
except ImportError as error:
    sys.exit(f"{error}: files of the active generation are gone, which a deploy writes anew; nobody is told")

STATE = Path("/var/lib/smarteros/notify")
MOST_SECONDS = 20
AGAIN, GIVEN_UP, MOST = 300, 86400, 50


def delivered(channels: dict, told: dict) -> dict:
    """Channel → why it has not taken it; all side by side, and nobody waits longer than MOST_SECONDS for the slowest."""
    answers: dict = {}

    def one(kind: str) -> None:
        answers[kind] = tried(kind, channels[kind], told)

    threads = [threading.Thread(target=one, args=(kind,), daemon=True) for kind in channels]
    for thread in threads:
        thread.start()
    until = time.monotonic() + MOST_SECONDS
    for thread in threads:
        thread.join(max(0, until - time.monotonic()))
    late = f"it has not answered within {MOST_SECONDS} s"
    return {kind: why for kind in channels if (why := answers.get(kind, late))}


def noted(state: Path, asked: dict, failed: dict) -> None:
    """For make status: what a channel said last, as long as it takes nothing."""
    for kind in asked:
        if kind in failed:
            write(state / "failed" / kind, f"{failed[kind]}\n")
        else:
            (state / "failed" / kind).unlink(missing_ok=True)


def waiting(state: Path) -> list:
    """What is to be tried again now; what has waited for too long is gone, and what nobody can take any more."""
    files = sorted((state / "later").glob("[!.]*"), key=lambda path: path.stat().st_mtime)
    for path in files[:-MOST]:
        path.unlink()
    now = time.time()
    return [path for path in files[-MOST:] if now - path.stat().st_mtime >= AGAIN]


def dropped(path: Path) -> None:
    """What a power cut has left empty or cut: nobody knows any more what it said."""
    sys.stdout.write(f"{path}: is empty or was cut short (a power cut does that): what it told is lost\n")
    path.unlink()


def main(state: Path) -> None:
    """Everything that is there, the oldest first. A channel that does not answer is asked once."""
    whom = json.loads((Path(os.environ["CREDENTIALS_DIRECTORY"]) / "channels").read_text())
    channels, down = whom["channels"], {}

    def told(message: dict, left: list, path: Path, since: float) -> dict:
        asked = {kind: channels[kind] for kind in left if kind in channels and kind not in down}
        failed = delivered(asked, message)
        down.update(failed)
        noted(state, asked, failed)
        still = [kind for kind in left if kind in down]
        if still and time.time() - since < GIVEN_UP:
            write(
                state / "later" / path.name,
                json.dumps({"left": still, "since": since, "message": message}),
            )
        elif path.parent.name == "later":
            path.unlink()
        return {kind: down.get(kind, "") for kind in left}

    for path in sorted((state / "new").glob("[!.]*")):
        text = path.read_text(errors="replace")
        if not text.strip("\0\n "):
            dropped(path)
            continue
        message = worded(text, whom["name"], whom["zone"])
        answers = told(message, list(channels), path, time.time())
        write(state / "last", "".join(f"{kind} {why or 'ok'}\n" for kind, why in answers.items()))
        path.unlink()
    for path in waiting(state):
        try:
            kept = json.loads(path.read_text())
            message, left, since = kept["message"], list(kept["left"]), float(kept["since"])
        except (ValueError, KeyError, TypeError):
            dropped(path)
            continue
        told(message, left, path, since)


if __name__ == "__main__":
    os.umask(0o077)
    main(Path(sys.argv[1]) if sys.argv[1:] else STATE)
    sys.stdout.flush()
    os._exit(0)  # who has not answered is not waited for
