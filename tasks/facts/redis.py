"""Redis: its role, its settings and its users, without a password or a hash in sight, and what its container was started with."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from shlex import quote

from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError

from tasks.facts import inside
from tasks.services.redis import CONFIG

# A user's own password, as its container was started with it, and any other.
GIVEN, OTHER = "#given", "#other"


@dataclass(frozen=True)
class RedisState:
    """What one Redis says; all of it empty where none runs.

    silent: it runs, and does not answer. refused: not even its own password opens it. appends: whether it writes down what it holds, asked
    only then. follows: the server (``host:port``) whose replica it is. users: name (as redis-cli quotes it) → rules as it has them, GIVEN for the
    right password, OTHER for any other; settings: name → value. wanted, named: the settings and the users that its container was started
    with.
    """

    silent: bool = False
    refused: bool = False
    appends: bool = False
    follows: str = ""
    users: dict[str, tuple[str, ...]] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    wanted: dict[str, str] = field(default_factory=dict)
    named: tuple[str, ...] = ()


class RedisFact(FactBase[RedisState]):
    """RedisState. One that does not answer in ten seconds is silent."""

    def command(self) -> str:
        """Prints ``kind|…`` lines."""
        return f"{QUESTION} || [ $? != 124 ] || echo silent"

    @staticmethod
    def default() -> RedisState:
        """No Redis."""
        return RedisState()

    def process(self, output: list[str]) -> RedisState:
        """Lines → RedisState. Raises FactProcessError for what the question never prints."""
        found: dict[str, list[list[str]]] = {kind: [] for kind in _FIELDS}
        if words := inside.unstarted(output):
            raise FactProcessError(inside.cannot("redis", words))
        for line in filter(None, output):
            kind, *rest = line.split("|", _FIELDS.get(line.partition("|")[0], 0))
            if len(rest) != _FIELDS.get(kind, -1):
                raise FactProcessError(f"cannot read what redis-cli prints: {kind!r} begins no line of it")
            found[kind].append(rest)
        users = (line.split() for (line,) in found["user"])
        return RedisState(
            silent=bool(found["silent"]),
            refused=bool(found["refused"]),
            appends=bool(found["appends"]),
            follows=next((f"{host}:{port}" for host, port in found["follows"]), ""),
            users={name: tuple(rules) for name, *rules in filter(None, users)},
            settings=_pairs(found["is"]),
            wanted=_pairs(found["wanted"]),
            named=tuple(name for (name,) in found["named"]),
        )


def _pairs(rows: Iterable[list[str]]) -> dict[str, str]:
    return dict(rows)


# Kind of a line → what follows it.
_FIELDS = {
    "silent": 0,
    "refused": 0,
    "appends": 0,
    "master": 0,
    "follows": 2,
    "user": 1,
    "is": 2,
    "wanted": 2,
    "named": 1,
}
# Within the container: SUM is the hash of its own password, ``ask`` puts a question as whom everything is allowed.
ASKING = r"""
set -f
SUM=$(printf %s "$REDIS_PASSWORD" | sha256sum)
SUM=${SUM%% *}
ask() { REDISCLI_AUTH="$REDIS_PASSWORD" timeout 10 redis-cli "$@" 2>/dev/null; }
""".strip()
# Hashes are compared there, by the shell alone, and go nowhere: a weak password could be found by its own.
_INSIDE = rf"""
[ -r {CONFIG} ] || exit 0
{ASKING}
known() {{
    case $1 in
    "") echo silent; exit 0 ;;
    NOAUTH* | NOPERM* | "(error) NO"*)
        echo refused
        set +f
        ls -l /proc/[0-9]*/fd 2>/dev/null | grep -q 'appendonlydir/.*\.incr\.aof' && echo appends
        exit 0 ;;
    esac
}}
role=$(ask role); known "$role"
users=$(ask --no-raw acl list); known "$users"
settings=$(ask config get $(sed -n 's/^\([a-z][a-z-]*\) .*/\1/p' {CONFIG})); known "$settings"
set -- $role
case $1 in
master) echo master ;;
slave) echo "follows|$2|$3" ;;
*) echo silent; exit 0 ;;
esac
sed -n 's/^\([a-z][a-z-]*\) \(.*\)/wanted|\1|\2/p' {CONFIG}
env | sed -n 's/^REDIS_USER_\([a-z0-9]*\)=.*/named|\1/p'
printf '%s\n' "$settings" | while read -r name && IFS= read -r value; do printf 'is|%s|%s\n' "$name" "$value"; done
printf '%s\n' "$users" | sed -n 's/^ *[0-9]*) "user \(.*\)"$/\1/p' | while read -r name rules; do
    case $name in
    default) given=$SUM ;;
    *[!a-z0-9]*) given= ;;
    *) eval "given=\$REDIS_USER_$name" ;;
    esac
    line=$name
    for word in $rules; do
        case $word in "#$given") word='{GIVEN}' ;; '#'*) word='{OTHER}' ;; esac
        line="$line $word"
    done
    printf 'user|%s\n' "$line"
done
""".strip()
# Also where Docker itself does not end; what is hung is told within a minute.
QUESTION = f"timeout 60 docker exec redis sh -c {quote(_INSIDE)} 2>/dev/null"
