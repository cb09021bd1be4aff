"""Redis: what somebody has changed in one that runs, as against what its container was started with, is put back.

Nothing restarts for it, unless not even its own password opens it. It comes before a container that is made anew: what an earlier one has
not written down would not be there for the next.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from shlex import quote

from pyinfra.api import StringCommand

from tasks.connection.drafts import note
from tasks.facts import DockerFact, RedisFact, RedisState
from tasks.facts.redis import ASKING, GIVEN, OTHER
from tasks.model.catalogue import Service
from tasks.model.shapes import shown
from tasks.run import Commands, Refused, executing, host, known, operation
from tasks.services.redis import RIGHTS

_OPEN = "~* &* +@all"
# What Redis adds by itself to a user that is made while it runs.
_USUAL = "sanitize-payload"
_UNITS = {"": 1, "b": 1, "k": 1000, "kb": 1 << 10, "m": 10**6, "mb": 1 << 20, "g": 10**9, "gb": 1 << 30}


@operation
def put_back(service: Service, digests: Mapping[str, str]) -> Commands:
    """Role, settings and users are those that it was started with; users are not looked at where its container is made anew as another."""
    container = known(DockerFact).containers.get(service.main.name)
    if container is None or container.status != "running":
        return
    found = known(RedisFact)
    if found.silent and container.health == "healthy":
        raise Refused(
            "Redis runs and does not answer its own redis-cli: see `docker logs redis`, and `docker restart redis` if nothing there leads on"
        )
    if found.refused:
        yield from _started_again(found)
        return
    same = container.digest == digests[service.main.name]
    changes = dict(differences(found, users=same))
    for line in changes:
        _say(f"redis: {line}")
    if not changes:
        return
    yield StringCommand(f"docker exec redis sh -c {quote(script(changes.values()))}")
    if executing() and (left := [*dict(differences(known(RedisFact), users=same))]):
        raise Refused(f"Redis stays as somebody has changed it: {'; '.join(left)}: see `docker logs redis`")


def differences(found: RedisState, *, users: bool = True) -> Iterator[tuple[str, str]]:
    """What differs and what becomes of it, with the shell that says it to redis-cli. Pure."""
    if users and found.users:
        yield from _users(found)
    if found.follows:
        yield (
            f"it has become a replica of {shown(found.follows)}, and takes what that holds for its own: it is its own master again",
            _said("REPLICAOF NO ONE"),
        )
    for name, wanted in found.wanted.items():
        has = found.settings.get(name)
        if has is not None and _plain(has) != _plain(wanted):
            words = f"{name} is {shown(has) or 'empty'} instead of {wanted}: it is put back"
            yield words, _said(f"CONFIG SET {name} {_quoted(wanted)}")


def _users(found: RedisState) -> Iterator[tuple[str, str]]:
    """The one that puts all this back comes first."""
    wanted = {"default": _OPEN, **dict.fromkeys(found.named, RIGHTS)}
    for name, rights in wanted.items():
        has = found.users.get(name)
        right = ("on", GIVEN, *rights.split())
        if has is None:
            how = "is gone: it is made again"
        elif rules := _differ(sorted(word for word in has if word != _USUAL), sorted(right)):
            how = f"{rules}: it is as it was"
        else:
            continue
        own = "$SUM" if name == "default" else f"$REDIS_USER_{name}"
        yield f"the user {name} {how}", f"say 'ACL SETUSER {name} reset on #'\"{own}\"' {rights}'"
    for name in found.users:
        if name not in wanted:
            yield f"the user {shown(name)} is not ours: it goes", _said(f'ACL DELUSER "{name}"')


def _differ(has: Sequence[str], right: Sequence[str]) -> str:
    """How, without a password or a hash; empty where it does not. Redis 7.0 has them in another order after each start."""
    if has == right:
        return ""
    if "on" not in has:
        return "is shut"
    if "nopass" in has:
        return "needs no password"
    if GIVEN not in has:
        return "has another password"
    if OTHER in has:
        return "has a second password"
    more, less = (sorted({*each} - {*other}) for each, other in ((has, right), (right, has)))
    return f"has other rights ({shown(' '.join(more)) or 'nothing'} instead of {' '.join(less) or 'nothing'})"


def _plain(value: str) -> str:
    """Sizes in bytes."""
    found = re.fullmatch(r"(\d+)([a-z]*)", value.lower())
    return str(int(found[1]) * _UNITS[found[2]]) if found and found[2] in _UNITS else value


def _quoted(value: str) -> str:
    """As one word of redis-cli's."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _said(text: str) -> str:
    return f"say {quote(text)}"


def script(lines: Iterable[str]) -> str:
    """Within the container; the end is waited for of what a container that ends before would not keep."""
    return f"""
{ASKING}
say() {{ printf '%s\\n' "$1"; }}
{{
{chr(10).join(lines)}
}} | ask >/dev/null
for _ in $(seq 120); do
    ask info persistence | grep -qE '^aof_rewrite_(in_progress|scheduled):1' || exit 0
    sleep 1
done
echo 'redis still writes down what it holds: see `docker logs redis`, and run again' >&2
exit 1
""".strip()


def _started_again(found: RedisState) -> Commands:
    """Only its start gives it its own password again."""
    if not found.appends:
        raise Refused(
            "Redis refuses its own password, and writes down nothing of what it holds (appendonly), which would be lost if it started anew: set both "
            "right with the password that it has now, by `redis-cli` in its container"
        )
    _say("redis: its own password is refused, or its rights are not its own: it starts anew")
    yield StringCommand("docker restart redis >/dev/null")


def _say(line: str) -> None:
    if executing():
        host().log(line)
    else:
        note(line)
