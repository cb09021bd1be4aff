"""What the host has of ours: files, units, the firewall, kernel settings, who can log in, packages; and Redis, over its container."""

from __future__ import annotations

import hashlib
import re
import stat
from pathlib import Path

from ground import ROOT, said, told

NO_LOGIN = ("/usr/sbin/nologin", "/sbin/nologin", "/bin/false", "/usr/bin/false", "/bin/sync")


def files(what: dict) -> dict:
    """Path → content, mode, owner; of a link where it leads."""
    found = {}
    for pattern in what["files"]:
        for path in ROOT.glob(pattern.lstrip("/")):
            if path.is_dir() and (not path.is_symlink() or pattern.endswith("/")):
                real = path.resolve()
                for inner in real.rglob("*"):
                    if inner.is_symlink() or inner.is_file():
                        add(found, inner, path / inner.relative_to(real))
            else:
                add(found, path, path)
    return found


def add(found: dict, path: Path, name: Path) -> None:
    """One that goes away meanwhile is none. name: its path as it was asked for, through links."""
    try:
        info = path.lstat()
        if stat.S_ISLNK(info.st_mode):
            values = {"link": str(path.readlink())}
        else:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            values = {
                "content": content,
                "mode": f"{stat.S_IMODE(info.st_mode):o}",
                "owner": f"{info.st_uid}:{info.st_gid}",
            }
    except OSError:
        return
    found[f"/{name.relative_to(ROOT)}"] = {**values, "_since": info.st_ctime}


def units(what: dict) -> dict:
    """Those that start by themselves: name → enabled, active."""
    names = [*what["units"], *(path.name for path in (ROOT / "etc/systemd/system").glob("smarteros-*.timer"))]
    lines = told("systemctl", "show", "--property=Id,ActiveState,UnitFileState,StateChangeTimestamp", *names)
    found, values = {}, {}
    for line in [*lines, ""]:
        key, _, value = line.partition("=")
        values[key] = value
        if not line and values.get("Id"):
            if values.get("UnitFileState"):
                found[values["Id"]] = {"enabled": values["UnitFileState"], "state": values["ActiveState"]}
            values = {}
    return found


def rules(what: dict) -> dict:
    """Table of the firewall → digest of its rules, without their counters and the ports that a deploy holds for a moment."""
    lines = {name: said("nft", "-s", "list", "table", *name.split()) for name in what["tables"]}
    lasting = {
        name: [line for line in found if not re.search(r"\b(80|443) timeout ", line)]
        for name, found in lines.items()
    }
    return {
        name: {"rules": hashlib.sha256("\n".join(found).encode()).hexdigest()}
        for name, found in lasting.items()
        if found
    }


def kernel(what: dict) -> dict:
    """Setting of the kernel's that our file names → value."""
    found = {}
    for pattern in what["kernel"]:
        for path in (ROOT / "proc/sys").glob(pattern.removeprefix("/proc/sys/")):
            try:
                value = " ".join(path.read_text().split())
            except OSError:
                continue
            found[str(path.relative_to(ROOT / "proc/sys")).replace("/", ".")] = {"value": value}
    return found


def users(what: dict) -> dict:
    """Who can log in → number, shell, digest of the keys, unless these are a deploy's."""
    found = {}
    for line in (ROOT / "etc/passwd").read_text().splitlines():
        name, _, uid, gid, _, home, shell = (line.split(":") + [""] * 7)[:7]
        if shell in NO_LOGIN or not name:
            continue
        keys = ROOT / home.lstrip("/") / ".ssh/authorized_keys"
        text = keys.read_bytes() if keys.is_file() else b""
        found[name] = {
            "account": f"{uid}:{gid} {shell}",
            "keys": hashlib.sha256(text).hexdigest() if text else "none",
        }
        if name in what.get("keys", ()):
            del found[name]["keys"]
        elif text:
            found[name]["_since"] = keys.stat().st_ctime
    return found


def packages(what: dict) -> dict:
    """Of those that we install, the ones that are there, whatever their version."""
    lines = said("dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *what["packages"]) or said(
        "dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n"
    )
    names = (line.split(" ")[0] for line in lines if line.endswith(" installed"))
    return {name: {"state": "installed"} for name in names if name in what["packages"]}


def redis(what: dict) -> dict:
    """Whose replica it is, its settings and its users; of one that does not answer nothing is known, or that its password is another."""
    found = {}
    for line in said("sh", "-c", what["redis"]) if what.get("redis") else []:
        kind, _, rest = line.partition("|")
        if kind == "refused":
            found["password"] = {"state": "refused"}
        elif kind in ("master", "follows"):
            found["password"] = {"state": "accepted"}
            found["role"] = {"value": rest.replace("|", ":") or kind}
        elif kind == "is":
            name, _, value = rest.partition("|")
            found[name] = {"value": value}
        elif kind == "user":
            name, _, rights = rest.partition(" ")
            # Redis adds the one by itself, and has them in another order after each start.
            found[f"user {name}"] = {"rules": " ".join(sorted({*rights.split()} - {"sanitize-payload"}))}
    return found
