#!/usr/bin/env python3
"""Plan: what a deploy to the inventory that INVENTORY names would do, for a pull request.

``.ci/plan.py PLAN.md`` runs the command below ``make plan``, writes what it says as Markdown, and ends with its exit code: 0 nothing to do,
2 something, 1 refused. 1 as well where Vault would be initialised: its keys would be lost with the machine that this runs on.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

# By name in the job's environment; the SSH key is in an agent by now.
SECRETS = ("VAULT_TOKEN", "VAULT_ROLE_ID", "VAULT_SECRET_ID", "TOKEN")
# A forge takes 65536 characters in a comment.
MOST = 60_000
VAULT = "Vault | initialised and unsealed"
_SAYS = {0: "nothing to do", 2: "something to do"}


def command(inventory: str) -> list[str]:
    """That of ``make plan``; a host is known by the key that is committed, whatever its settings say."""
    strict = ["--data", "ssh_strict_host_key_checking=yes"]
    return [".venv/bin/pyinfra", "-y", *strict, inventory, "tasks.commands.plan.run"]


def keyless(found: str) -> list[str]:
    """Names of the hosts whose Vault would be initialised or unsealed. found: the plan as JSON, empty where there was none."""
    hosts = json.loads(found)["hosts"] if found.strip() else {}
    return [name for name, made in hosts.items() if VAULT in {step["name"] for step in made.get("steps", ())}]


def readable(said: str, environment: Mapping[str, str]) -> str:
    """Without colours and without what the job was given in secret."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said).replace("\r", "\n")
    for value in filter(None, map(environment.get, SECRETS)):
        text = text.replace(value, "***")
    return text.strip()


def marker(inventory: str) -> str:
    """By which the comment is found again."""
    return f"<!-- plan of {inventory} -->"


def markdown(inventory: str, code: int, text: str) -> str:
    """One comment. Nothing in the text ends its fence."""
    fence = "~" * (max([2, *map(len, re.findall("~+", text))]) + 1)
    shown = text if len(text) <= MOST else f"{text[:MOST]}\n… the rest is in the job's log"
    head = f"{marker(inventory)}\n### Plan of `{inventory}`: {_SAYS.get(code, 'refused')}"
    return f"{head}\n\n<details><summary>all of it</summary>\n\n{fence}\n{shown}\n{fence}\n</details>\n"


def main(path: Path) -> int:
    """Exit code."""
    inventory = os.environ["INVENTORY"]
    done = subprocess.run(
        command(inventory), env={**os.environ, "JSON": "1"}, capture_output=True, text=True, check=False
    )
    code, said = done.returncode if done.returncode in _SAYS else 1, done.stderr
    if code and (names := keyless(done.stdout)):
        code = 1
        said += (
            f"\n{', '.join(names)}: Vault has to be initialised or unsealed, and its keys have to be kept: deploy once from a machine "
            "of yours that keeps them\n"
        )
    text = readable(said, os.environ)
    sys.stdout.write(f"{text}\n")
    path.write_text(markdown(inventory, code, text), "utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
