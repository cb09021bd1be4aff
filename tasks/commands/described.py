"""Described: which host and which settings a bootstrap is about, from what its files say already and what was answered.

Files that somebody has edited are right: they stay as they are, and an answer that contradicts them is refused.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tasks.commands import answers, written
from tasks.commands.answers import LOCAL, Answers, login
from tasks.model import settings as outside
from tasks.model.stack import BadSettings
from tasks.run import Refused
from tasks.services import every

Ask = Callable[[str, str], str]
_USERS = "~/.ssh/known_hosts"


@dataclass(frozen=True)
class Described:
    """files: the texts to write, by path; none that stays as it is. known_hosts: where the host's key is, or is to be."""

    host: str
    login: Mapping[str, Any]
    settings: Mapping[str, Any]
    files: Mapping[Path, str]
    known_hosts: Path


def described(home: Path, given: Answers, ask: Ask) -> Described:
    """Writes nothing. home: of this repository. Raises Refused."""
    hosts, data = (home / folder / f"{given.name}.py" for folder in ("inventories", "group_data"))
    host, told, files = _host(hosts, given, ask)
    settings, more = _settings(data, given, ask)
    # Where nobody has written otherwise, pyinfra goes by what ssh does.
    named = told.get("ssh_known_hosts_file", hosts.with_suffix(".known_hosts") if files else _USERS)
    return Described(host, told, settings, {**more, **files}, Path(named).expanduser())


def changed(home: Path, name: str, found: Described, **settings: Any) -> Described:
    """With another setting, that the host itself has asked for. Raises Refused where it is not ours to write."""
    path = home / "group_data" / f"{name}.py"
    merged = {**found.settings, **settings}
    if written.standing(path) not in ("ours", "absent"):
        lines = ", ".join(f"{key} = {written.value(item)}" for key, item in settings.items())
        raise Refused(f"group_data/{name}.py was edited, and lacks this: {lines}: write it there")
    return Described(found.host, found.login, merged, {path: _text(path, merged)}, found.known_hosts)


def _host(path: Path, given: Answers, ask: Ask) -> tuple[str, Mapping[str, Any], dict[Path, str]]:
    if written.standing(path) in ("absent", "example"):
        host = given.host or answers.right(
            ask, "HOST", "Which VPS (root@203.0.113.7, or @local for this machine)", _no_host
        )
        told = login(host)
        return host, told, {path: written.inventory(given.name, told)}
    name, told = written.node(path)
    if given.host and _place(*_named(given.host)) != _place(name, told):
        raise Refused(
            f"inventories/{path.name} is about {_said(name, told)}, and HOST is {given.host}: another name for another host "
            f"(NAME=…); or remove inventories/{path.name}, if that one is gone for good"
        )
    return _said(name, told), told if name == LOCAL else {"ssh_hostname": name, **told}, {}


def _no_host(host: str) -> str:
    try:
        login(host)
    except Refused as error:
        return str(error)
    return ""


def _named(host: str) -> tuple[str, Mapping[str, Any]]:
    return host, login(host)


def _place(name: str, told: Mapping[str, Any]) -> tuple[str, int, str]:
    return told.get("ssh_hostname", name), int(told.get("ssh_port", 22)), told.get("ssh_user", "root")


def _said(name: str, told: Mapping[str, Any]) -> str:
    if name == LOCAL:
        return name
    address, port, user = _place(name, told)
    return f"{user}@{address}" + (f":{port}" if port != 22 else "")


def _settings(path: Path, given: Answers, ask: Ask) -> tuple[Mapping[str, Any], dict[Path, str]]:
    defaults = written.assigned(path.with_name("all.py"))
    whose = written.standing(path)
    there = written.assigned(path) if whose in ("ours", "theirs") else {}
    if whose == "theirs":
        settings = {**defaults, **there}
        _agrees(path, there, defaults, _meant(given.settings, settings, defaults))
        return settings, {}
    # What is as all.py has it stands in no other file.
    known = {key: defaults[key] for key in ("zone", "mirror_zones")} if whose == "ours" else {}
    merged = {**known, **there, **given.settings}
    for key, variable, question in _NEEDED:
        if key not in merged:
            wrong = partial(_wrong, {**defaults, **merged}, key)
            merged[key] = answers.right(ask, variable, question, wrong)
    merged.setdefault("mirror_zones", [])
    merged |= _meant({key: merged[key] for key in given.settings}, {**defaults, **merged}, defaults)
    if "backup" in given.settings:
        merged["backup"] = {**there.get("backup", {}), **given.settings["backup"]}
    checked({**defaults, **merged})
    return {**defaults, **merged}, {path: _text(path, merged)}


_NEEDED = (
    ("zone", "ZONE", "Your domain, below which the services answer (example.com)"),
    ("acme_email", "EMAIL", "Your address, for the certificate authority and the first logins"),
)


def _wrong(settings: Mapping[str, Any], key: str, answer: str) -> str:
    """What is wrong with this one, whatever is with others."""
    lines = mistakes({**settings, key: answer})
    return "; ".join(line for line in lines if line.startswith(f"{key}: "))


def _text(path: Path, settings: Mapping[str, Any]) -> str:
    defaults = written.assigned(path.with_name("all.py"))
    differ = {key: settings[key] for key in defaults if settings.get(key, defaults[key]) != defaults[key]}
    return written.settings(path.stem, differ)


def checked(settings: Mapping[str, Any]) -> None:
    """Raises Refused with every mistake."""
    if found := mistakes(settings):
        lines = "\n".join(f"    {line}" for line in found)
        raise Refused(f"these settings cannot be deployed:\n{lines}")


def mistakes(settings: Mapping[str, Any]) -> Sequence[str]:
    """Each, with its path."""
    try:
        outside.read(settings, every())
    except BadSettings as error:
        return error.lines
    return ()


def _meant(
    answers: Mapping[str, Any], settings: Mapping[str, Any], defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """The answers, services with what they stand on."""
    if "services" not in answers:
        return dict(answers)
    checked({**settings, "services": defaults["services"]})
    stack = outside.read({**settings, "services": defaults["services"]}, every())
    needs = {name: describe(stack).needs for name, describe in every().items()}
    return {**answers, "services": needed(answers["services"], needs, defaults["services"])}


def needed(wanted: Sequence[str], needs: Mapping[str, Sequence[str]], order: Sequence[str]) -> list[str]:
    """The services with all that they stand on, Vault and the proxy among it, in the order of all.py; unknown ones last. Pure."""
    found = {"vault", "caddy", *wanted}
    while more := {need for name in found for need in needs.get(name, ())} - found:
        found |= more
    return [name for name in order if name in found] + [name for name in wanted if name not in order]


def _agrees(
    path: Path, there: Mapping[str, Any], defaults: Mapping[str, Any], answers: Mapping[str, Any]
) -> None:
    """there: what the file says, which goes before the defaults. Raises Refused for answers that neither has."""
    differ = {key: item for key, item in answers.items() if not _same({**defaults, **there}.get(key), item)}
    told = [
        f"    {key} = {written.value(there[key])} there, and {written.value(item)} was said"
        for key, item in differ.items()
        if key in there
    ]
    untold = [f"        {key} = {written.value(item)}" for key, item in differ.items() if key not in there]
    if told:
        told = ["It says otherwise:", *told, "    Change it there or say nothing of it."]
    if untold:
        told += ["It says nothing of what was said; all.py has something else. Write into it:", *untold]
    if told:
        lines = "\n".join(told)
        raise Refused(
            f"group_data/{path.name} was edited, or never written by this command, and is left alone. {lines}\n"
            "    For another host name another inventory (NAME=…)"
        )


def _same(there: Any, said: Any) -> bool:
    if isinstance(said, dict):
        return isinstance(there, dict) and said.items() <= there.items()
    if isinstance(said, list):
        return isinstance(there, list | tuple) and sorted(there) == sorted(said)
    return bool(there == said)
