"""Mail: one message sent from the services' network, and what to do where the server does not take it."""

import json
from dataclasses import dataclass
from shlex import quote
from typing import Any

from typing_extensions import TypedDict

from tasks.connection.line import Line
from tasks.model.catalogue import CORE
from tasks.model.shapes import Misshapen, parsed, shown
from tasks.model.stack import Mail
from tasks.model.targets import target
from tasks.run import Refused, host

_MARK = "smarteros-mail "


class _Answer(TypedDict, total=False):
    failed: str
    code: int
    kind: str
    said: str
    auth: str


@dataclass(frozen=True)
class Outcome:
    """Which step failed, empty when none did; the server's code and words, or which error; the logins it offers."""

    failed: str
    said: str
    code: int = 0
    kind: str = ""
    auth: str = ""


def send(image: str, program: str, mail: Mail, password: str, to: str) -> Outcome:
    """Sent by the image's Python in a container beside the services: by their route, their resolver, their authorities."""
    confined = "--read-only --cap-drop ALL --security-opt no-new-privileges --user 65534 --memory 128m"
    run = f"docker run --rm -i --pull never --network {CORE} {confined} --entrypoint python3 {quote(image)}"
    line = Line(host(), f"{run} -c {quote(program)}")
    line.send(json.dumps(_told(mail, password, to)))
    printed = []
    while (text := line.receive()) is not None:
        printed.append(text)
        if text.startswith(_MARK):
            return _read(text.removeprefix(_MARK))
    raise Refused(f"mail: no container could be started to send it: {shown(' '.join(printed[-3:]))}")


def _told(mail: Mail, password: str, to: str) -> dict[str, Any]:
    return {
        "host": mail.host,
        "port": mail.at,
        "security": mail.security,
        "user": mail.user,
        "password": password,
        "from": mail.sender,
        "to": to,
        "subject": "SmarterOS sends mail",
        "text": f"Sent from {host().name} as the services send theirs, through {mail.host}:{mail.at}.\n",
    }


def _read(text: str) -> Outcome:
    try:
        return Outcome(**parsed(_Answer, text))
    except (Misshapen, TypeError) as error:
        raise Refused(f"mail: the answer of its container is not understood ({error})") from None


def problem(mail: Mail, outcome: Outcome) -> str:
    """What is wrong and what to do, empty when the server took the mail. Pure."""
    if not outcome.failed:
        return ""
    where = f"{mail.host}:{mail.at}"
    said = shown(f"{outcome.code} {outcome.said}" if outcome.code else outcome.said or outcome.kind)
    return _PROBLEMS[_kind(outcome)].format(where=where, said=said, mail=mail, again=target("give-secrets"))


def _kind(outcome: Outcome) -> str:
    if outcome.kind == "SMTPNotSupportedError":
        return "no login" if outcome.failed == "login" else "no starttls"
    if outcome.kind == "SSLError":
        return "no tls"
    if outcome.failed == "connect" and outcome.code:
        return "turned away"
    if outcome.code == 530:
        return "wants a login"
    return outcome.failed if outcome.failed in _PROBLEMS else "data"


_PROBLEMS = {
    "name": "mail.host: nobody knows {mail.host} ({said}): look for a misspelling",
    "connect": (
        "mail: nothing answers at {where} ({said}): see mail.host and mail.port; where they are right, this host's "
        "provider may block that port (most block 25, some 465 and 587 until they are asked): ask there, or take "
        "another port of the server's"
    ),
    "turned away": "mail: {where} turns this host away: {said}",
    "certificate": (
        "mail.host: the certificate at {where} is not good for that name ({said}): name the server as its certificate "
        "does; it has to come from an authority that everybody trusts"
    ),
    "no starttls": "mail.security: {where} offers no STARTTLS: 'tls' (port 465) may be what it speaks",
    "no tls": "mail.security: {where} does not speak {mail.security!r} ({said}): 465 is for 'tls', 587 for 'starttls'",
    "no login": "mail.user: {where} offers no login that we know ({said}): leave user out, or take its other port",
    "wants a login": "mail.user: {where} takes mails only after a login: {said}",
    "login": (
        "mail.user: {where} refuses the login {mail.user!r}: {said}. {again} writes another password, and "
        "the next deploy brings it to the services"
    ),
    "sender": "mail.from: {where} takes no mail from {mail.sender}: {said}. Use an address that it knows as yours",
    "recipient": "mail: {where} does not take it for that recipient: {said}",
    "data": "mail: {where} refuses the message: {said}",
}


def remarks(mail: Mail, outcome: Outcome) -> list[str]:
    """What works here and not for every service. Pure."""
    if mail.user and outcome.auth and "PLAIN" not in outcome.auth.upper().split():
        override = '{"chatwoot": {"environment": {"SMTP_AUTHENTICATION": "login"}}}'
        return [
            f"{mail.host} offers the logins {outcome.auth}, not PLAIN: Chatwoot needs overrides = {override}"
        ]
    return []
