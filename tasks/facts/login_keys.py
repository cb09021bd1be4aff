"""Login keys: whose keys sshd lets in as the users whom login_keys names, from which files, and how these are.

Asked only where the setting names somebody, and in one command with what else is quickly found.
"""

import re
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError

from tasks.facts.access import ARMED, CAME
from tasks.facts.logins import FILLED

# Keys that a run has taken away and has not proven refused yet: ``USER KIND BASE64 COMMENT``, one a line.
UNPROVEN = f"{ARMED}/login-keys-gone"


@dataclass(frozen=True)
class Folder:
    """On the way to a file. owner: ``uid:gid``."""

    path: str
    mode: str
    owner: str


@dataclass(frozen=True)
class KeyFile:
    """One that sshd reads for a user. pattern: as AuthorizedKeysFile has it. real: where links lead. text: None where there is none.

    folders: from the file's own up to the home, or to /.
    """

    pattern: str
    path: str
    real: str = ""
    text: str | None = None
    mode: str = ""
    owner: str = ""
    folders: tuple[Folder, ...] = ()

    @property
    def shared(self) -> bool:
        """Whether it is read for everybody."""
        return self.pattern.startswith("/") and not re.search(r"%[uUh]", self.pattern)


@dataclass(frozen=True)
class Login:
    """A user. base: the home without links. elsewhere: what lets in beside files, ``key value``."""

    number: str
    group: str
    home: str
    base: str
    files: tuple[KeyFile, ...] = ()
    elsewhere: tuple[str, ...] = ()


@dataclass(frozen=True)
class LoginKeys:
    """users: those of them that there are. unproven: lines of UNPROVEN by user. A host without sshd has neither."""

    users: Mapping[str, Login] = field(default_factory=dict)
    unproven: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


_QUESTION = rf"""
[ -x /usr/sbin/sshd ] || exit 0
{CAME}
set -f
set -- ${{way:-127.0.0.1 1 127.0.0.1 22}}
way=host=$1,addr=$1,laddr=$3,lport=$4
sed 's/^/unproven /' {UNPROVEN} 2>/dev/null
said() {{ /usr/sbin/sshd -T -C "user=$1,$way" 2>/dev/null; }}
filled() {{ awk -v path="$1" -v name="$2" -v number="$3" -v home="$4" '
            {FILLED}
            BEGIN {{ print filled(path) }}'; }}
for name in NAMES; do
    entry=$(getent passwd "$name") || continue
    home=$(echo "$entry" | cut -d: -f6)
    number=$(echo "$entry" | cut -d: -f3)
    base=$(readlink -m -- "$home")
    echo "user $name $number $(echo "$entry" | cut -d: -f4) $home"
    echo "base $base"
    # Between the end of an sshd and the start of the next it refuses to say anything.
    says=$(said "$name" || {{ sleep 1; said "$name"; }})
    printf '%s\n' "$says" | sed -n '/ none$/!s/^\(authorizedkeyscommand\|trustedusercakeys\) /elsewhere &/p'
    for pattern in $(printf '%s\n' "$says" | sed -n 's/^authorizedkeysfile //p'); do
        [ "$pattern" != none ] || continue
        path=$(filled "$pattern" "$name" "$number" "$home")
        real=$(readlink -m -- "$path")
        echo "file $pattern $path"
        echo "real $real"
        [ -f "$path" ] && echo "state $(stat -Lc '%a %u:%g' -- "$path") $(base64 -w0 <"$path")"
        folder=$real
        while folder=${{folder%/*}}; do
            [ ! -e "${{folder:-/}}" ] || echo "folder $(stat -c '%a %u:%g' -- "${{folder:-/}}") ${{folder:-/}}"
            [ -n "$folder" ] && [ "$folder" != "$base" ] || break
        done
    done
done
true
""".strip()


class LoginKeysFact(FactBase[LoginKeys]):
    """LoginKeys of these users."""

    def command(self, names: Sequence[str]) -> str:
        """Prints ``key value`` lines, each about the last ``user`` and ``file`` before it. names: as the setting may have them."""
        return _QUESTION.replace("NAMES", " ".join(names))

    @staticmethod
    def default() -> LoginKeys:
        """Nothing is known."""
        return LoginKeys()

    def process(self, output: list[str]) -> LoginKeys:
        """Lines → LoginKeys. Raises FactProcessError for what no host prints."""
        try:
            return _found([line.partition(" ")[::2] for line in output if line])
        except (ValueError, IndexError, KeyError) as error:
            raise FactProcessError(f"cannot read whose keys let in: {error}") from None


def _found(lines: Sequence[tuple[str, str]]) -> LoginKeys:
    unproven: dict[str, tuple[str, ...]] = {}
    for user, _, rest in (value.partition(" ") for key, value in lines if key == "unproven"):
        unproven[user] = (*unproven.get(user, ()), rest)
    return LoginKeys(dict(_users(lines)), unproven)


def _users(lines: Sequence[tuple[str, str]]) -> Iterator[tuple[str, Login]]:
    for (_, first), rest in _parts(lines, "user"):
        name, number, group, home = first.split(" ", 3)
        base = dict(rest)["base"]
        elsewhere = tuple(value for key, value in rest if key == "elsewhere")
        files = tuple(_file(value, inner) for (_, value), inner in _parts(rest, "file"))
        yield name, Login(number, group, home, base, files, elsewhere)


def _file(first: str, rest: Sequence[tuple[str, str]]) -> KeyFile:
    pattern, path = first.split(" ", 1)
    values = dict(rest)
    mode, owner, text = values.get("state", "  ").split(" ", 2)
    folders = [value.split(" ", 2) for key, value in rest if key == "folder"]
    return KeyFile(
        pattern,
        path,
        values["real"],
        b64decode(text).decode(errors="replace") if "state" in values else None,
        mode,
        owner,
        tuple(Folder(name, bits, whose) for bits, whose, name in folders),
    )


def _parts(
    lines: Sequence[tuple[str, str]], first: str
) -> Iterator[tuple[tuple[str, str], list[tuple[str, str]]]]:
    """What begins with a line of that key, as (this line, those up to the next)."""
    begins = [place for place, (key, _) in enumerate(lines) if key == first]
    for place, end in zip(begins, [*begins, len(lines)][1:], strict=True):
        yield lines[place], [*lines[place + 1 : end]]
