"""Answers: what ``make bootstrap`` and ``make recover`` are told: by variables, else by who sits at the terminal. Nobody is asked twice."""

import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tasks.connection import confirm
from tasks.run import Refused

LOCAL = "@local"
# Inventories of another kind.
_TAKEN = ("all", "lab", "recovered")


@dataclass(frozen=True)
class Answers:
    """What was given. name: of the inventory. host: empty where it was not said. settings: those that variables name; services
    as they were said, without what they need.
    """

    name: str = "prod"
    host: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)


def given(environment: Mapping[str, str]) -> Answers:
    """Raises Refused for what cannot be meant."""
    words = {name: value.strip() for name, value in environment.items()}
    name = words.get("NAME") or "prod"
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,30}", name) or name in _TAKEN:
        raise Refused(
            f"NAME={name!r} cannot name an inventory: small letters, digits and dashes, and none of {', '.join(_TAKEN)}"
        )
    host = words.get("HOST", "")
    if host:
        login(host)
    settings: dict[str, Any] = {
        setting: words[variable]
        for variable, setting in (("ZONE", "zone"), ("EMAIL", "acme_email"))
        if words.get(variable)
    }
    for variable, setting in (("MIRRORS", "mirror_zones"), ("SERVICES", "services")):
        if words.get(variable):
            settings[setting] = words[variable].replace(",", " ").split()
    if words.get("BUCKET"):
        settings["backup"] = _bucket(words)
    return Answers(name, host, settings)


def login(host: str) -> dict[str, Any]:
    """What pyinfra is told of the host, empty for this machine. Raises Refused."""
    return {} if host == LOCAL else login_of(host)


def login_of(address: str) -> dict[str, Any]:
    """How pyinfra reaches it. Raises Refused."""
    if re.fullmatch(r"(?:[^@]*@)?\[?[0-9a-f:]*:[0-9a-f]*:[0-9a-f:]*(?:\]:\d+|\])?", address, re.IGNORECASE):
        raise Refused(
            f"HOST={address!r} is an address of IPv6: give its IPv4 address, or its name (containers reach the world over IPv4 alone)"
        )
    found = re.fullmatch(
        r"(?:([A-Za-z_][\w.-]*)@)?([A-Za-z0-9][A-Za-z0-9.-]*)(?::(\d{1,5}))?", address, re.ASCII
    )
    if not found or int(found[3] or 22) not in range(1, 65536):
        raise Refused(
            f"HOST={address!r}: say which VPS it is, as root@203.0.113.7, or as admin@203.0.113.7:2222 where its port is another"
        )
    login: dict[str, Any] = {"ssh_hostname": found[2], "ssh_user": found[1] or "root"}
    if found[3]:
        login["ssh_port"] = int(found[3])
    return login if login["ssh_user"] == "root" else {**login, "_sudo": True}


def _bucket(words: Mapping[str, str]) -> dict[str, str]:
    found = re.fullmatch(r"(https?://[^/]+)/([^/]+)/?", words["BUCKET"])
    if not found:
        raise Refused(
            f"BUCKET={words['BUCKET']!r}: say server and bucket in one, as https://s3.example.com/smarteros-backup"
        )
    root = os.path.expanduser(words.get("BUCKET_ROOT", ""))  # noqa: PTH111  a path that is not there is said later
    more = {"region": words.get("BUCKET_REGION", ""), "root": root}
    return {"endpoint": found[1], "bucket": found[2], **{key: value for key, value in more.items() if value}}


def asked(variable: str, question: str) -> str:
    """The answer. Raises Refused where nobody can give it."""
    answer = None if confirm.beforehand() else _line(f"{question}: ")
    if answer is None:
        raise Refused(f"{variable} is missing, and nobody can be asked: {question}")
    return answer.strip()


def right(ask: Callable[[str, str], str], variable: str, question: str, wrong: Callable[[str], str]) -> str:
    """The answer, asked for again as long as there is something wrong with it, which is said; what was right before is not."""
    while why := wrong(answer := ask(variable, question)):
        say(why)
    return answer


def _line(prompt: str) -> str | None:
    """What is typed, None where nobody does. No more of it is read: the rest is for who asks next, pyinfra perhaps."""
    sys.stderr.write(prompt)
    sys.stderr.flush()
    typed = b""
    while not typed.endswith(b"\n"):
        sign = os.read(0, 1)
        if not sign:
            sys.stderr.write("\n")
            return typed.decode(errors="replace") or None
        typed += sign
    return typed.decode(errors="replace")


def say(line: str, command: str = "bootstrap") -> None:
    """One line for the operator, beside what pyinfra says."""
    sys.stderr.write(f"{command}: {line}\n")
    sys.stderr.flush()
