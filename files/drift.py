"""What differs on this host from what the last deploy made; run by the deploy, by people and daily by systemd, with Python alone.

``note`` reads from standard input what counts, and keeps how that is now in the newest record of a generation (record.sh); of what
differs it says what no deploy makes good. ``look`` says as JSON what is otherwise since; it writes nothing. ``watch`` looks, and leaves
a metric and, when it is not what it was the last time, an event for who is told (notify.py). Of contents there are only digests.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import stat
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(os.environ.get("DRIFT_ROOT", "/"))
RECORDS = ROOT / "opt/smarteros/records"
STATE = ROOT / "var/lib/smarteros/drift"
METRICS = ROOT / "var/lib/smarteros/metrics"
NOTIFY = ROOT / "var/lib/smarteros/notify"
TOLD = ROOT / "etc/systemd/system/smarteros-notify.timer"
LOCK = ROOT / "run/smarteros/lock"
CURRENT = "/opt/smarteros/current"
NO_LOGIN = ("/usr/sbin/nologin", "/sbin/nologin", "/bin/false", "/usr/bin/false", "/bin/sync")
INSPECT = (
    '{{json .Name}} {{json .Image}} {{json .State}} {{json .Created}} {{json (index .Config.Labels "smarteros.digest")}} '
    '{{json (index .Config.Labels "com.docker.compose.config-hash")}} {{json (index .Config.Labels "com.docker.compose.oneoff")}} '
    "{{with .HostConfig}}{{json .RestartPolicy.Name}} {{json .Memory}} {{json .NanoCPUs}} {{json .PidsLimit}}{{end}}"
)
# What ``docker update`` changes, by the words for it.
LIMITS = ("restart", "bytes of memory", "billionths of a core", "processes")


def said(*command: str) -> list:
    """The lines that a program prints; none where it is not there or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return []
    return done.stdout.splitlines()


def told(*command: str) -> list:
    """The same of a program without which nothing is known."""
    return (
        said(*command)
        or said(*command)
        or sys.exit(f"{command[0]} does not answer, so what differs is not known")
    )


def described() -> list:
    """A line for each container of ours. Which there are is asked anew where one has gone since: copies for the bucket come and go."""
    told("docker", "version", "--format", "{{.Server.Version}}")
    for _ in range(10):
        ids = said("docker", "ps", "-aq", "--filter", "label=smarteros.service")
        lines = said("docker", "inspect", "--format", INSPECT, *ids) if ids else []
        if lines or not ids:
            return lines
    sys.exit("docker does not say how its containers are, so what differs is not known")


def stamp(seconds: float) -> str:
    """UTC, as everywhere."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


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


def containers(_: dict) -> dict:
    """Those that run for good: name → image, what compose made it from, whether it runs."""
    found = {}
    for line in described():
        name, image, state, created, digest, config, oneoff, *limits = decoded(line)
        running = state["Status"] == "running"
        # What stands in for one that is replaced is left there where a deploy was cut short (rolling.py); others are an operator's.
        if oneoff == "True" and not name.endswith("-second"):
            continue
        when = created if running else state["FinishedAt"]
        found[name.lstrip("/")] = {
            "image": image,
            "definition": f"{digest} {config}",
            "state": state["Status"],
            **dict(zip(LIMITS, limits, strict=False)),
            "_done": state["Status"] == "exited" and state["ExitCode"] == 0,
            "_since": seconds(when),
        }
    return found


def volumes(_: dict) -> dict:
    """Those that we made. One that is new is no drift."""
    return {name: {} for name in told("docker", "volume", "ls", "-q", "--filter", "label=smarteros.service")}


def decoded(line: str) -> list:
    """JSON values in a row."""
    decoder, values, at = json.JSONDecoder(), [], 0
    while at < len(line):
        value, at = decoder.raw_decode(line, at)
        values.append(value)
        at += 1
    return values


def seconds(when: str) -> float:
    """Docker's times."""
    return time.mktime(time.strptime(when[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone


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


KINDS = {
    "file": files,
    "container": containers,
    "volume": volumes,
    "unit": units,
    "firewall": rules,
    "kernel": kernel,
    "user": users,
    "package": packages,
    "redis": redis,
}


def now(what: dict) -> dict:
    """Kind → name → values, as all of it is."""
    return {kind: look(what) for kind, look in KINDS.items()}


def differences(made: dict, there: dict) -> list:
    """What is otherwise, with what of it, and since when where the host knows."""
    found = []
    for kind in KINDS:
        # A release that looks at less has noted none of this kind.
        was, is_ = made.get(kind, there[kind]), there[kind]
        if kind == "redis" and not ("role" in was and "role" in is_):  # it has not answered all, then or now
            was, is_ = ({name: each[name] for name in was.keys() & is_.keys()} for each in (was, is_))
        for name in sorted(was.keys() | is_.keys()):
            if passing(kind, was.get(name), is_.get(name)):
                continue
            if what := words(was.get(name), is_.get(name)):
                since = known(was.get(name), is_.get(name)) or gone(kind, name, is_.get(name))
                found.append(
                    {"kind": kind, "name": name, "what": what, "since": stamp(since) if since else None}
                )
    return found


def known(was: dict | None, is_: dict | None) -> float:
    """When it came to be as it is: other limits leave no trace of that."""
    if is_ is None or (
        was
        and all(was.get(key) == value for key, value in is_.items() if key[0] != "_" and key not in LIMITS)
    ):
        return 0
    return is_.get("_since", 0)


def passing(kind: str, was: dict | None, is_: dict | None) -> bool:
    """Jobs that have ended come and go, and so do containers' interfaces, with settings of their own; a volume may come."""
    ended = all(item is None or item.get("_done") for item in (was, is_))
    return (
        (kind == "container" and ended)
        or (kind == "volume" and was is None)
        or (kind == "kernel" and None in (was, is_))
    )


def words(was: dict | None, is_: dict | None) -> str:
    """How the one differs from the other; empty where it does not."""
    if was is None:
        return "is new"
    if is_ is None:
        return "is gone"
    if ("link" in was) != ("link" in is_):
        return f"{thing(is_)} instead of {thing(was)}"
    # Whose keys are a deploy's from now on, or are no more, has no others by that; a release of before looked at less.
    keys = [key for key in sorted(was.keys() & is_.keys()) if key[0] != "_" and was[key] != is_[key]]
    secret = ("content", "rules", "keys", "definition", "image")
    return ", ".join(
        f"other {key}" if key in secret else f"{key} {is_.get(key)} instead of {was.get(key)}" for key in keys
    )


def thing(values: dict) -> str:
    """What stands at a path."""
    return f"a link to {values['link']}" if "link" in values else "a file"


def gone(kind: str, name: str, is_: dict | None) -> float:
    """When a file went away, its folder changed at the latest."""
    folder = (ROOT / name.lstrip("/")).parent
    return folder.stat().st_mtime if kind == "file" and is_ is None and folder.is_dir() else 0


def records() -> list:
    """Folders of the generations that are recorded (record.sh), the newest first."""
    found = [path for path in RECORDS.glob("*") if path.name.isdigit() and holds(path / "tree")]
    return sorted(found, key=lambda path: -int(path.name))


def kept(record: Path) -> dict | None:
    """What was noted there."""
    path = record / "state"
    return json.loads(path.read_text()) if holds(path) else None


def holds(path: Path) -> bool:
    """A power cut may leave a file empty."""
    return path.exists() and path.stat().st_size > 0


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


def write(path: Path, text: str, mode: int = 0o600) -> None:
    """As a whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}")
    beside.touch(mode=mode)
    beside.chmod(mode)
    beside.write_text(text)
    beside.replace(path)


def stays(item: dict) -> bool:
    """Whether no deploy makes it good: it knows of no drop-in of somebody's, nor of another image below the same tag."""
    drop_in = (
        item["kind"] == "file" and ".d/" in item["name"] and item["name"].startswith("/etc/systemd/system/")
    )
    other = (item["kind"], item["what"]) == ("container", "other image")
    return item["kind"] in ("user", "package") or drop_in or other


def unmade(was: dict, is_: dict) -> dict:
    """The files of the generation that was active then, too, as they were then: a run writes each generation once, as another one, so
    that what differs in it was done by hand.
    """
    if was.get(CURRENT, {}).get("link") != is_.get(CURRENT, {}).get("link"):
        return is_
    inner = f"{CURRENT}/"
    others = {name: values for name, values in is_.items() if not name.startswith(inner)}
    return others | {name: values for name, values in was.items() if name.startswith(inner)}


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
    before = json.loads(path.read_text())["differences"] if path.exists() else []
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
