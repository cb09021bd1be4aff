"""Notify: which secrets the channels of the setting ``notify`` need, and what the host's sender is told."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from tasks.model import mail
from tasks.model.notify_types import unfit
from tasks.model.stack import Stack
from tasks.model.targets import target

# Vault's path of them; channel → the name of what it needs.
PATH = "notify"
SECRETS = {"ntfy": "NTFY_URL", "slack": "SLACK_URL", "webhook": "WEBHOOK_URL", "telegram": "TELEGRAM_TOKEN"}

Values = Callable[[str], Mapping[str, str]]


def places(stack: Stack) -> tuple[tuple[str, str], ...]:
    """Path and name of each secret that a person gives for them."""
    if stack.notify is None:
        return ()
    found = [(PATH, name) for channel, name in SECRETS.items() if getattr(stack.notify, channel)]
    if stack.notify.mail and stack.mail and stack.mail.user:
        found.append((mail.PATH, mail.NAME))
    return tuple(found)


def wrong(stack: Stack, values: Values) -> Iterator[str]:
    """Addresses that nothing can be sent to: path#name, and why. values: of a path of Vault's, what it holds. Pure."""
    for path, name in places(stack):
        if why := amiss(path, name, values(path)[name]):
            yield f"{path}#{name} {why}"


# What each looks like.
FORMS = {
    "NTFY_URL": "like https://ntfy.sh/a-long-topic",
    "SLACK_URL": "like https://host/path",
    "WEBHOOK_URL": "like https://host/path",
    "TELEGRAM_TOKEN": "like 123456:ABC-def",
}


def amiss(path: str, name: str, value: str) -> str:
    """Why nothing can be sent to it, without repeating it; empty where something can. Pure."""
    if path != PATH or not name.endswith("_URL"):
        return ""
    if why := unfit(value.strip()):
        return why
    topic = name != SECRETS["ntfy"] or value.strip().rpartition("/")[2]
    return "" if topic else f"ends without a topic ({FORMS[name]})"


def untold(said: Iterable[str]) -> Iterator[str]:
    """What ``untold CHANNEL WHY`` means for people. Pure."""
    for word, channel, why in (text.split(" ", 2) for text in said if text.count(" ") > 1):
        if word == "untold":
            yield f"notify: {channel} was not told: {why}; it is tried again for a day, and by {target('test-notify')}"


def channels(stack: Stack, values: Values) -> dict[str, dict[str, Any]]:
    """Channel → all that the sender needs for it (files/notify). Pure."""
    notify = stack.notify
    found: dict[str, dict[str, Any]] = {}
    if notify is None:
        return {}
    for channel in ("ntfy", "slack", "webhook"):
        if getattr(notify, channel):
            found[channel] = {"url": values(PATH)[SECRETS[channel]].strip()}
    if notify.telegram:
        token = values(PATH)[SECRETS["telegram"]].strip()
        found["telegram"] = {"token": token, "chat": notify.telegram.chat, "api": notify.telegram.api}
    if notify.mail and stack.mail:
        found["mail"] = _mail(stack, values)
    return found


def _mail(stack: Stack, values: Values) -> dict[str, Any]:
    relay, notify = stack.mail, stack.notify
    assert relay and notify and notify.mail  # noqa: S101, PT018  asked before
    return {
        "host": relay.host,
        "port": relay.at,
        "security": relay.security,
        "user": relay.user,
        "password": values(mail.PATH)[mail.NAME] if relay.user else "",
        "from": relay.sender,
        "to": list(notify.mail.to),
    }
