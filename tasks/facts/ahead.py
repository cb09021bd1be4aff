"""Ahead: what a plan shows besides: texts of files that will change, how long services took to be replaced, where new domains lead;
of env files no more than which lines differ. All in one command.
"""

import re
import secrets
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from shlex import quote

from pyinfra.api.host import Host

from tasks.connection.answer import NoAnswer, asked
from tasks.facts.names import Names, NamesFact

# Service → seconds that its last replacement took, until it was healthy (tasks/operations/rollout.py).
TIMES = "/var/lib/smarteros/replaced"

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")


@dataclass(frozen=True)
class Ahead:
    """texts: path → what is there, but for files that hold what is no text. seconds: service → what its last replacement took.
    lines: env file → its variables, each with what tells its values apart, under a key that nobody else has.
    """

    texts: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, int] = field(default_factory=dict)
    lines: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    names: Names = field(default_factory=Names)
    key: str = ""

    def wanted(self, text: str) -> dict[str, str]:
        """The same of the text that an env file is to have."""
        return {
            line.partition("=")[0]: sha256(f"{self.key}{line}\n".encode()).hexdigest()
            for line in text.splitlines()
            if _VARIABLE.match(line)
        }


def look(target: Host, paths: Sequence[str], envs: Sequence[str], domains: Sequence[str]) -> Ahead:
    """Changes nothing. Raises NoAnswer. The key goes there over standard input, which no verbosity shows."""
    key = secrets.token_hex(32)
    state = target.state
    shown = {"print_output": state.print_fact_output, "print_input": state.print_fact_input}
    lines = asked(target, question(paths, envs, domains), _stdin=key, **shown)
    try:
        return parsed(lines, key)
    except (ValueError, IndexError) as error:
        raise NoAnswer(f"cannot read what the host shows of its files: {error}") from None


def question(paths: Sequence[str], envs: Sequence[str], domains: Sequence[str]) -> str:
    """Prints ``text <path> <base64>``, ``took <service> <seconds>``, ``line <path> <name> <sum>``, and after ``names`` NamesFact's lines."""
    return f"""
read -r key || true
for path in {" ".join(map(quote, paths))}; do
    [ -f "$path" ] && echo "text $(base64 -w0 <"$path") $path"
done
for path in {TIMES}/*; do
    [ -f "$path" ] && took=$(grep -xE '[0-9]+' "$path") && echo "took $took ${{path##*/}}"
done
for path in {" ".join(map(quote, envs))}; do
    [ -f "$path" ] && while IFS= read -r line; do
        name=${{line%%=*}}
        # What is no variable has no name to show, and may be all secret.
        case $line in [A-Za-z_]*=*) ;; *) continue ;; esac
        case $name in *[!A-Za-z0-9_]*) continue ;; esac
        sum=$({{ printf %s "$key"; printf '%s\\n' "$line"; }} | sha256sum)
        echo "line ${{sum%% *}} $name $path"
    done <"$path"
done
{f"echo names{chr(10)}{NamesFact().command(tuple(domains))}" if domains else ""}
true
""".strip()


def parsed(lines: Sequence[str], key: str = "") -> Ahead:
    """Raises ValueError, IndexError for what no host prints. Pure."""
    end = lines.index("names") if "names" in lines else len(lines)
    rows = [line.split(" ", 1) for line in lines[:end]]
    envs: dict[str, dict[str, str]] = {}
    for total, name, path in (row[1].split(" ", 2) for row in rows if row[0] == "line"):
        envs.setdefault(path, {})[name] = total
    return Ahead(
        texts=dict(_texts(row[1] for row in rows if row[0] == "text")),
        seconds={
            name: int(took) for took, name in (row[1].split(" ", 1) for row in rows if row[0] == "took")
        },
        lines=envs,
        names=NamesFact().process(list(lines[end + 1 :])) if end < len(lines) else Names(),
        key=key,
    )


def _texts(rows: Iterator[str]) -> Iterator[tuple[str, str]]:
    for row in rows:
        text, path = row.split(" ", 1)
        yield path, b64decode(text, validate=True).decode(errors="replace")
