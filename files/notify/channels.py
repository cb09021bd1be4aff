"""Channels: how each is told, with one request or mail."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from urllib.parse import urlsplit, urlunsplit

import send_mail
from masks import login, masked

SECONDS = 10
SIGNS = {"success": "white_check_mark", "failure": "rotating_light", "warning": "warning", "info": "wave"}


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A POST that is sent elsewhere would arrive as a GET, with the token."""

    def redirect_request(self, *_: object) -> None:
        """None of them."""


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
