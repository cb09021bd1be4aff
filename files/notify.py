"""Tells people what has happened on this host; started by systemd (smarteros-notify.service), with Python's own library alone.

What is to be told lies in ``new``, a file for each event: ``event result subject``, then text. Whom to tell is the unit's credential.
What a channel has not taken is tried again for a day; why, stands in ``failed``, and how the last event went in ``last``.
Nothing that is written holds an address or a token.
"""

from __future__ import annotations

import base64
import html
import json
import os
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import SplitResult, quote, unquote, urlsplit, urlunsplit

sys.path.insert(0, str(Path(__file__).resolve().parent))
try:
    import send_mail
    from written import write
except ImportError as error:
    sys.exit(f"{error}: files of the active generation are gone, which a deploy writes anew; nobody is told")

STATE = Path("/var/lib/smarteros/notify")
SECONDS, MOST_SECONDS = 10, 20
AGAIN, GIVEN_UP, MOST = 300, 86400, 50
KINDS = {"ok": "success", "failed": "failure", "interrupted": "failure", "test": "info", "outdated": "info"}
SIGNS = {"success": "white_check_mark", "failure": "rotating_light", "warning": "warning", "info": "wave"}


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


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A POST that is sent elsewhere would arrive as a GET, with the token."""

    def redirect_request(self, *_: object) -> None:
        """None of them."""


def login(parts: SplitResult) -> tuple:
    """What stands before the host's name."""
    return unquote(parts.username or ""), unquote(parts.password or "")


def post(address: str, body: dict) -> None:
    """One request. Raises OSError and its like. What stands before the host's name is a login, or a token alone."""
    parts = urlsplit(address)
    where = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    headers = {"Content-Type": "application/json", "User-Agent": "SmarterOS"}
    user, password = login(parts)
    if password and not user:
        headers["Authorization"] = f"Bearer {password}"
    elif user:
        headers["Authorization"] = f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
    request = urllib.request.Request(where, json.dumps(body).encode(), headers)  # noqa: S310  checked by the deploy
    with urllib.request.build_opener(NoRedirect).open(request, timeout=SECONDS) as answer:
        answer.read(2000)


def webhook(channel: dict, told: dict) -> None:
    """All of it."""
    post(channel["url"], told)


def ntfy(channel: dict, told: dict) -> None:
    """https://docs.ntfy.sh/publish/#publish-as-json"""
    root, _, topic = channel["url"].rpartition("/")
    urgent = told["type"] in ("failure", "warning")
    body = {"topic": topic, "title": told["title"], "message": told["body"], "tags": [SIGNS[told["type"]]]}
    post(f"{root}/", {**body, "priority": 4 if urgent else 3})


def slack(channel: dict, told: dict) -> None:
    """https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks, with what is markup there escaped."""
    text = f"{told['title']}\n{told['body']}"
    for sign, written in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(sign, written)
    post(channel["url"], {"text": f":{SIGNS[told['type']]}: {text}"})


def telegram(channel: dict, told: dict) -> None:
    """https://core.telegram.org/bots/api#sendmessage, as plain text."""
    text = f"{told['title']}\n{told['body']}"[:4000]
    address = f"{channel['api']}/bot{channel['token']}/sendMessage"
    post(address, {"chat_id": channel["chat"], "text": text, "link_preview_options": {"is_disabled": True}})


def mail(channel: dict, told: dict) -> None:
    """One to each."""
    for to in channel["to"]:
        words = {"to": to, "subject": told["title"], "text": f"{told['body']}\n"}
        answer = send_mail.sent({**channel, **words})
        if answer["failed"]:
            said = f"{answer.get('code', answer.get('kind', ''))} {answer['said']}"
            raise OSError(f"{channel['host']}:{channel['port']}, {answer['failed']}: {said}")


SENDERS = {"webhook": webhook, "ntfy": ntfy, "slack": slack, "telegram": telegram, "mail": mail}


def tried(kind: str, channel: dict, told: dict) -> str:
    """Empty once it is taken, else why not, without what is secret."""
    try:
        SENDERS[kind](channel, told)
    except urllib.error.HTTPError as error:
        said = " ".join(error.read(10000).decode(errors="replace").split())
        return masked(f"it answers {error.code} {said or error.reason}", channel)
    except Exception as error:
        return masked(str(getattr(error, "reason", "") or error or type(error).__name__), channel)
    return ""


def masked(text: str, channel: dict) -> str:
    """Parts of an address's path and its login are as secret as a token, in whatever form a server sends them back."""
    parts = urlsplit(channel.get("url", ""))
    words = [channel.get("token", ""), channel.get("password", ""), *login(parts)]
    words += [word for pair in parts.query.split("&") for word in (pair, pair.partition("=")[2])]
    for user, password in (login(parts), (channel.get("user", ""), channel.get("password", ""))):
        words += [f"{user}:{password}", f"\0{user}\0{password}"]  # of HTTP's Basic, of SMTP's PLAIN
    secrets = {form for word in (*words, *parts.path.split("/")) for form in forms(word)}
    for secret in sorted((item for item in secrets if len(item) > 3), key=len, reverse=True):
        text = text.replace(secret, "***")
    return "".join(sign if sign.isprintable() else " " for sign in text)[:300]


def forms(word: str) -> set:
    """As it is, as a header has it, as an address does, and as JSON and HTML do."""
    plain = unquote(word)
    found = {word, plain, encoded := base64.b64encode(plain.encode()).decode(), encoded.rstrip("=")}
    found |= {quote(each, safe=safe) for each in (word, plain, encoded) for safe in ("/", "")}
    return {*found, json.dumps(plain)[1:-1], html.escape(plain)}


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
