"""What a double demands before it starts: variables, folders, files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

URL = r"https?://[^\s/?#]+(/\S*)?"
POSTGRES_URL = r"postgres(ql)?://[^\s:@/]+:[^\s@/]+@[^\s:@/]+(:\d+)?/[^\s/?]+(\?\S*)?"
REDIS_URL = r"rediss?://([^\s:@/]*(:[^\s@/]*)?@)?[^\s:@/]+(:\d+)?(/\d+)?"
BOOLEAN = r"true|false|1|0|yes|no"
NUMBER = r"\d+"
ANYTHING = r"(?s).+"

Environment = Mapping[str, str]


class Refused(Exception):
    """The double does not start: the message says all that is wrong, the status is the one it ends with."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Rule:
    """A variable, the whole form of its value, and that form in words."""

    name: str
    pattern: str
    form: str
    required: bool = True

    def problem(self, environment: Environment) -> str:
        """What is wrong with the variable; never its value, which may be a secret."""
        value = environment.get(self.name, "")
        if not value:
            return f"{self.name} is missing: {self.form}" if self.required else ""
        if not re.fullmatch(self.pattern, value):
            return f"{self.name} is malformed: {self.form}"
        return ""


def demand(environment: Environment, rules: Iterable[Rule], extra: Iterable[str] = ()) -> None:
    """All problems at once, one a line."""
    problems = [*(rule.problem(environment) for rule in rules), *extra]
    if found := [problem for problem in problems if problem]:
        raise Refused("\n".join(found))


def writable(folder: str | Path) -> Path:
    """A folder in which the program can leave files, made when it is missing."""
    path = Path(folder)
    probe = path / ".writable"
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        raise Refused(f"{path} is not writable: {error.strerror}") from None
    return path


def secret_file(environment: Environment, name: str) -> str:
    """The value of NAME, or of the file that NAME_FILE names; nothing when neither is set."""
    path = environment.get(f"{name}_FILE", "")
    if environment.get(name) or not path:
        return environment.get(name, "")
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise Refused(f"cannot read {path}, the value of {name}_FILE: {error.strerror}") from None
