"""RedisFact: what is asked within the container, by its real shell, and what it makes of any answer; a hash leaves it never."""

import hashlib
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api.exceptions import FactProcessError

from tasks.facts import RedisFact, RedisState
from tasks.services.redis import CONFIG

PASSWORD, CLIENT = 'it\'s $(id) a "secret"', hashlib.sha256(b"client's").hexdigest()
OWN = hashlib.sha256(PASSWORD.encode()).hexdigest()
CONF = "# A comment.\nappendonly yes\nbind * -::*\nmaxmemory 192mb\n"
SETTINGS = "bind\n* -::*\nappendonly\nno\nmaxmemory\n201326592"
# As redis-cli quotes it.
USERS = rf"""1) "user chatwoot on sanitize-payload #{CLIENT} ~* &* +@all -@admin"
 2) "user default on #{OWN} #{"0" * 64} ~* &* +@all"
10) "user b\xff\"$(touch,x)|y\\ on nopass ~* +@all"
"""
ROLE = "master\n0\n"
# For the answers of one that stands for redis-cli: which is asked for is its first words; a wrong password is as Redis has it.
CLI = """#!/bin/sh
[ "$REDISCLI_AUTH" = "$(cat "$ANSWERS/password")" ] || { echo "NOAUTH Authentication required."; exit 0; }
case "$*" in
role) cat "$ANSWERS/role" ;;
"--no-raw acl list") cat "$ANSWERS/users" ;;
"config get appendonly bind maxmemory") cat "$ANSWERS/settings" ;;
*) exit 9 ;;
esac
"""


def asked(tmp_path: Path, *, docker: str = 'shift 2; exec "$@"', cli: str = CLI, **answers: str) -> list[str]:
    """What the question prints where Redis answers so."""
    given = {
        "role": ROLE,
        "users": USERS,
        "settings": SETTINGS,
        "password": PASSWORD,
        "conf": CONF,
        **answers,
    }
    for name, text in given.items():
        (tmp_path / name).write_text(text)
    for name, text in (("docker", f"#!/bin/sh\n{docker}\n"), ("redis-cli", cli)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "ANSWERS": str(tmp_path),
        "REDIS_PASSWORD": PASSWORD,
        "REDIS_USER_chatwoot": CLIENT,
    }
    text = RedisFact().command().replace(CONFIG, str(tmp_path / "conf"))
    # Of all that runs on this machine only what this test has open.
    text = text.replace("appendonlydir", f"{tmp_path}/appendonlydir")
    done = subprocess.run(
        ["sh", "-c", text],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=25,
    )
    return done.stdout.splitlines()


def test_what_it_has_and_was_started_with_is_told_without_a_hash(tmp_path: Path) -> None:
    lines = asked(tmp_path)
    assert [line for line in lines if OWN in line or CLIENT in line or PASSWORD in line] == []
    assert RedisFact().process(lines) == RedisState(
        users={
            "chatwoot": ("on", "sanitize-payload", "#given", "~*", "&*", "+@all", "-@admin"),
            "default": ("on", "#given", "#other", "~*", "&*", "+@all"),
            r"b\xff\"$(touch,x)|y\\": ("on", "nopass", "~*", "+@all"),
        },
        settings={"bind": "* -::*", "appendonly": "no", "maxmemory": "201326592"},
        wanted={"appendonly": "yes", "bind": "* -::*", "maxmemory": "192mb"},
        named=("chatwoot",),
    )
    assert not (tmp_path / "x").exists()


def test_whose_replica_it_is_is_told(tmp_path: Path) -> None:
    found = RedisFact().process(asked(tmp_path, role="slave\n192.0.2.1\n6379\nconnect\n-1\n"))
    assert found.follows == "192.0.2.1:6379"


@pytest.mark.parametrize(
    ("answers", "lines"),
    [
        ({"password": "another"}, ["refused"]),
        (
            {"users": "(error) NOPERM User default has no permissions to run the 'acl|list' command"},
            ["refused"],
        ),
        ({"settings": "NOPERM User default has no permissions"}, ["refused"]),
        ({"role": "BUSY Redis is busy running a script."}, ["silent"]),
        ({"cli": "#!/bin/sh\nexit 1\n"}, ["silent"]),  # starting: nothing listens yet
        ({"docker": "exit 1"}, []),  # paused, or gone
        ({"docker": "exit 124"}, ["silent"]),
    ],
    ids=["another password", "no rights", "some rights", "a script", "starting", "paused", "docker hangs"],
)
def test_one_that_gives_no_answer_says_why(tmp_path: Path, answers: dict[str, Any], lines: list[str]) -> None:
    assert asked(tmp_path, **answers) == lines


def test_one_that_hangs_is_waited_for_ten_seconds(tmp_path: Path) -> None:
    docker = 'shift 4; exec sh -c "$(printf %s "$1" | sed "s/timeout 10/timeout 0.2/")"'
    assert asked(tmp_path, docker=docker, cli="#!/bin/sh\nsleep 30\n") == ["silent"]


def test_whether_one_that_refuses_writes_down_what_it_holds_is_seen(tmp_path: Path) -> None:
    folder = tmp_path / "appendonlydir"
    folder.mkdir()
    with (folder / "appendonly.aof.1.incr.aof").open("w") as held:
        docker = f'exec 7>{held.name}; shift 2; "$@"'
        assert asked(tmp_path, docker=docker, password="another") == ["refused", "appends"]


def test_a_redis_that_is_not_ours_is_asked_nothing(tmp_path: Path) -> None:
    assert asked(tmp_path, docker=f'rm "{tmp_path}/conf"; shift 2; exec "$@"') == []


def test_any_other_line_is_an_error() -> None:
    for line in ("Welcome", "follows|192.0.2.1", "is|appendonly", "user", "master|x"):
        with pytest.raises(FactProcessError, match="cannot read what redis-cli prints"):
            RedisFact().process(["master", line])
