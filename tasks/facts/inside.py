"""Inside: what Docker says where it cannot start a program in a container (docker exec), which is no answer of that program's; and
whether Vault is sealed, as it says within its own. Asked within StatusFact; PostgresFact and RedisFact look for the words.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from tasks.model.shapes import shown

# Docker prints it where the program's output would be, and its runtime needs room for files of its own.
_UNSTARTED = re.compile(r"(?:vault )?OCI runtime exec failed: (.*)")
# A sealed one answers, too.
VAULT = 'echo "vault $(docker exec vault wget -q -T 10 -O - http://127.0.0.1:8200/v1/sys/seal-status 2>/dev/null)"'
LOOK = "`df -h /tmp /run` and `df -i /tmp /run` there say whether there is room for that"


def unstarted(lines: Iterable[str]) -> str:
    """The runtime's words; empty where it has started what it was to."""
    found = (_UNSTARTED.fullmatch(line.strip()) for line in lines)
    return next((shown(match[1]) for match in found if match), "")


def cannot(container: str, words: str) -> str:
    """The same, for an operator to read."""
    return f"docker exec cannot start a program in {container}: {words}: {LOOK}"


def vault(values: Mapping[str, Sequence[str]]) -> Mapping[str, Any] | None:
    """What it says of its seal; None for what is no answer of its own."""
    with suppress(ValueError, LookupError, TypeError, RecursionError):
        return {"sealed": bool(json.loads(values["vault"][0])["sealed"])}
    return None
