"""What Postgres is told: a lock that somebody holds is waited for with a limit, and said."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from tasks.rendering import psql

# As Docker's: the one who is told, and the one who is asked who holds what that waits for.
DOCKER = r"""#!/bin/sh
case "$*" in
"exec -i -e PGAPPNAME=smarteros -e PGOPTIONS=-c lock_timeout=10s -c statement_timeout=600s -c log_min_error_statement=panic -c default_transaction_read_only=off postgres psql -wqX -v ON_ERROR_STOP=1 -v VERBOSITY=terse -U postgres -d crm")
    cat >"${0%/*}/said"; sleep $WAITS; exit $CODE ;;
"exec postgres psql -wqAtX -U postgres -d postgres -c SELECT "*) echo "process 7 holds it" ;;
*) echo "unexpected: $*" >&2; exit 99 ;;
esac
"""


def told(root: Path, shell: str, *, waits: float = 0, code: int = 0) -> subprocess.CompletedProcess[str]:
    """A statement, with a docker that takes so long."""
    (root / "docker").write_text(DOCKER)
    (root / "docker").chmod(0o755)
    env = {"PATH": f"{root}:{os.environ['PATH']}", "WAITS": str(waits), "CODE": str(code)}
    text = f"set -e\n{psql.told('crm')}\necho on".replace("sleep 4", "sleep 3" if not waits else "sleep 0.1")
    return subprocess.run(
        [shell, "-c", text], env=env, input="SELECT 1;\n\\q\n", capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_where_nothing_is_in_the_way_nothing_is_said_and_nothing_waits(tmp_path: Path, shell: str) -> None:
    begun = time.monotonic()
    done = told(tmp_path, shell)
    assert (done.returncode, done.stdout, done.stderr) == (0, "on\n", "")
    assert (tmp_path / "said").read_text() == "SELECT 1;\n\\q\n"
    assert time.monotonic() - begun < 2.5


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_whom_a_statement_waits_for_is_said_and_its_end_is_the_commands(tmp_path: Path, shell: str) -> None:
    done = told(tmp_path, shell, waits=0.6, code=3)
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "process 7 holds it\n")


def test_of_others_statements_nothing_is_shown() -> None:
    assert "query" in psql.WAITS
    assert psql.WAITS.count("query") == psql.WAITS.count("substring(ltrim(waiting.query) from '^[A-Z ]+(?:")
