"""Daemon: /etc/docker/daemon.json. What the host's people wrote there stays; ours is added where nothing of theirs speaks
against it, is tried before it is in place, and goes again when Docker does not come back with it.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from shlex import quote
from types import MappingProxyType
from typing import Any

from tasks.facts.engine import Engine
from tasks.facts.kept import DAEMON_JSON
from tasks.operations.kept import keep
from tasks.rendering.render import ROOT, SERVICE_LABEL
from tasks.run import Refused

FILE = DAEMON_JSON
# Settings of ours that the host's people have decided otherwise, one a line.
LEFT = f"{ROOT}/docker-left"

# Logs that cannot fill the disk; no process in any container that gains privileges or leaves its memory behind;
# no traffic between containers of the default network. Not live-restore, which a swarm does not allow. Not without
# the userland proxy: where containers have IPv4 alone, Docker publishes nothing on IPv6 without it.
OURS: Mapping[str, Any] = {
    "log-driver": "json-file",
    "log-opts": {"max-size": "10m", "max-file": "3"},
    "no-new-privileges": True,
    "icc": False,
    "default-ulimits": {
        "core": {"Name": "core", "Soft": 0, "Hard": 0},
        "nofile": {"Name": "nofile", "Soft": 16384, "Hard": 16384},
    },
}

# Flags of dockerd whose settings have another name.
_FLAGS = {
    "H": "hosts",
    "host": "hosts",
    "D": "debug",
    "b": "bridge",
    "g": "data-root",
    "l": "log-level",
    "p": "pidfile",
    "s": "storage-driver",
    "log-opt": "log-opts",
    "default-ulimit": "default-ulimits",
}


def parsed(text: str) -> dict[str, Any]:
    """The settings in the file. Raises Refused, with the line of the mistake."""
    if "\N{REPLACEMENT CHARACTER}" in text:
        raise Refused(f"{FILE} is no UTF-8: mend or remove it")
    try:
        have = json.loads(text) if text.strip() else {}
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}: {error.msg}"
        raise Refused(
            f"{FILE} is no JSON: {where} (it knows no comments, no comma after the last entry, no byte order mark): "
            "mend or remove it"
        ) from None
    except (ValueError, RecursionError) as error:
        raise Refused(f"{FILE} is no JSON: {error}: mend or remove it") from None
    if not isinstance(have, dict):
        raise Refused(f"{FILE} is no JSON object, which begins with {{: mend or remove it")
    return have


def flagged(flags: Iterable[str]) -> dict[str, str]:
    """Setting → the flag that makes it, of what dockerd is started with."""
    names = [word.lstrip("-").split("=")[0] for word in flags if word.startswith("-")]
    return {_FLAGS.get(name, name): name for name in names}


def left(have: Mapping[str, Any], found: Engine) -> set[str]:
    """Settings of ours that a host keeps to its own, when it meets us first."""
    if found.others:  # what runs there was made for the settings that there are
        return set(OURS)
    theirs = {key for key, value in OURS.items() if have.get(key, value) != value}
    if have.get("log-driver", "json-file") != "json-file":
        theirs.add("log-opts")
    return theirs | (set(OURS) & set(flagged(found.flags)))


def wanted(
    have: Mapping[str, Any], theirs: Iterable[str], more: Mapping[str, Any] = MappingProxyType({})
) -> str:
    """The file to write; empty when it is right. more: what the networks around need besides (daemon_ranges.py)."""
    merged = {**have, **{key: value for key, value in OURS.items() if key not in set(theirs)}, **more}
    return "" if have == merged else json.dumps(merged, indent=2, sort_keys=True)


def problems(have: Mapping[str, Any], flags: Iterable[str]) -> Iterator[str]:
    """What the stack cannot live with, or dockerd itself, which it only says when it starts. Pure."""
    given, words = flagged(flags), list(flags)
    for key, why in _NEEDED.items():
        if have.get(key) is False or f"--{key}=false" in words:
            where = FILE if have.get(key) is False else "the command line of docker.service"
            yield f'docker: "{key}": false in {where}: {why}: take it out, or take another host'
    if have.get("userns-remap") or "userns-remap" in given:
        yield (
            'docker: "userns-remap" gives containers other users than the host has, and this stack shares files with '
            "them by their numbers: take it out, or take another host"
        )
    if have.get("ip", "0.0.0.0") not in ("0.0.0.0", "::") or "ip" in given:  # noqa: S104  as Docker has it
        yield (
            f'docker: "ip" in {FILE} or the command line of docker.service binds what containers publish to one address, so '
            "that the world would not reach Caddy: take it out (the firewall of this stack lets in only what is meant to be)"
        )
    for key in sorted(set(have) & set(given)):
        flag = f"-{given[key]}" if len(given[key]) == 1 else f"--{given[key]}"
        yield (
            f'docker: "{key}" stands in {FILE}, and {flag} in the command line of docker.service: Docker does not start '
            "with both: take one out"
        )


_NEEDED = {
    "iptables": "containers could not reach the world, nor be reached",
    "ip-masq": "containers could not reach the world",
}


def write(flags: Iterable[str]) -> str:
    """Shell that puts its standard input in place, when dockerd takes it. What stood there stays beside it until
    Docker has come back (``RESTART``): an empty file where nothing stood.

    A run that is killed here sends nothing, or not all of it: the file ends with what an object ends with.
    """
    return f"""
set -e
umask 022
mkdir -p /etc/docker
cd /etc/docker
cat > .daemon.json
[ "$(tail -n 1 .daemon.json)" = "}}" ]
if command -v dockerd >/dev/null; then
    {_validate(flags)} .daemon.json >.said 2>&1 || {{ cat .said >&2; rm -f .said .daemon.json; exit 1; }}
    rm -f .said
fi
{keep([FILE])}
[ -e .daemon.json.before ] || {{ [ -e daemon.json ] && cp -p daemon.json .daemon.json.before; }} || : > .daemon.json.before
mv -f .daemon.json daemon.json
""".strip()


def _validate(flags: Iterable[str]) -> str:
    return " ".join(("dockerd", *map(quote, flags), "--validate --config-file"))


def note(keys: Iterable[str]) -> str:
    """Shell that remembers what is left to the host."""
    return f"mkdir -p {ROOT} && printf '%s\\n' {' '.join(sorted(keys))} >{LEFT}"


# What runs and is not ours, running again afterwards; oldest first, which newer ones may need. Docker restores those
# whose policy says so before it answers.
_OTHERS = (
    f"docker ps -q --no-trunc --filter status=running 2>/dev/null | "
    f'xargs -r docker inspect --type container --format \'{{{{if not (index .Config.Labels "{SERVICE_LABEL}")}}}}'
    "{{.Created}} {{.Id}}{{end}}' 2>/dev/null | sort | sed 's/.* //'"
)

# A run that is killed meanwhile leaves to the next one what there was.
_RUNNING = "/run/smarteros-others"
_ANSWERS = "timeout 10 docker version --format '{{.Server.Version}}' >/dev/null 2>&1"


def restarted(start: str) -> str:
    """Shell: ``start`` starts or restarts Docker. One that does not come back gets its old settings back."""
    return f"""
# One from the future, of a clock that was ahead, would be newer than Docker's start again and again.
find {FILE} -newermt now -exec touch {{}} + 2>/dev/null
{{ cat {_RUNNING} 2>/dev/null; {_OTHERS}; }} >{_RUNNING}.new
mv {_RUNNING}.new {_RUNNING}
answers() {{
    for second in $(seq "$1"); do
        {_ANSWERS} && return
        sleep 1
    done
    return 1
}}
cd /etc/docker 2>/dev/null || cd /
failed=
# systemd counts starts, and after three in a minute makes no more.
systemctl reset-failed docker.service docker.socket 2>/dev/null
if ! {{ {start} && answers 60; }} && ! answers 5; then
    failed=$(journalctl -u docker.service -n 100 -o cat 2>/dev/null | grep -E 'failed to|unable to|invalid' | tail -n 1)
    failed="Docker does not start: ${{failed:-see journalctl -u docker}}"
    if [ -e .daemon.json.before ]; then
        if [ -s .daemon.json.before ]; then mv -f .daemon.json.before daemon.json; else rm -f .daemon.json.before daemon.json; fi
        systemctl reset-failed docker.service docker.socket 2>/dev/null
        systemctl start docker.service
        answers 60 && failed="$failed; {FILE} is as it was before, and Docker runs again"
    fi
fi
for id in $(cat {_RUNNING}); do
    name=$(docker inspect --type container --format '{{{{slice .Name 1}}}} {{{{.State.Running}}}}' "$id" 2>/dev/null) || continue
    [ "${{name#* }}" = true ] && continue
    docker start "$id" >/dev/null && echo "started again: ${{name% *}}" || failed="${{name% *}} does not start again"
done
rm -f {_RUNNING}
[ -z "$failed" ] || {{ echo "$failed" >&2; exit 1; }}
rm -f .daemon.json.before
""".strip()


def stopped(found: Engine) -> tuple[list[str], list[str]]:
    """Containers of others that a restart of Docker stops and does not start again; and those it removes. Pure."""
    if found.live_restore:
        return [], []
    gone = [item.name for item in found.others if item.temporary]
    policies = ("no", "on-failure")
    return [item.name for item in found.others if item.policy in policies and item.name not in gone], gone
