"""Redis that somebody has changed: what of it is said and put back, and by what; no password or hash is in it."""

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api import DeployError

from tasks import data
from tasks.connection import drafts
from tasks.facts import RedisState
from tasks.operations import containers, redis
from tasks.operations.described import digests
from tasks.run import services
from tests.fake import fake, texts

RIGHTS = ("~*", "&*", "+@all", "-@admin", "-flushall", "-swapdb")
WELL = RedisState(
    users={"default": ("on", "#given", "~*", "&*", "+@all"), "chatwoot": ("on", "#given", *RIGHTS)},
    settings={"appendonly": "yes", "maxmemory": "201326592", "bind": "* -::*"},
    wanted={"appendonly": "yes", "maxmemory": "192mb", "bind": "* -::*", "dir": "/data"},
    named=("chatwoot",),
)


def changed(**users: tuple[str, ...] | None) -> RedisState:
    """One whose users are as it was started with them, but for these."""
    found = {**WELL.users, **users}
    return replace(WELL, users={name: rules for name, rules in found.items() if rules is not None})


AGAIN = (
    """say 'ACL SETUSER chatwoot reset on #'"$REDIS_USER_chatwoot"' ~* &* +@all -@admin -flushall -swapdb'"""
)
DEFAULT = """say 'ACL SETUSER default reset on #'"$SUM"' ~* &* +@all'"""


@pytest.mark.parametrize(
    ("state", "lines"),
    [
        (WELL, {}),
        (changed(chatwoot=("on", "sanitize-payload", "#given", *reversed(RIGHTS))), {}),
        (changed(chatwoot=None), {"the user chatwoot is gone: it is made again": AGAIN}),
        (changed(chatwoot=("off", "#given", *RIGHTS)), {"the user chatwoot is shut: it is as it was": AGAIN}),
        (
            changed(chatwoot=("on", "#other", *RIGHTS)),
            {"the user chatwoot has another password: it is as it was": AGAIN},
        ),
        (
            changed(chatwoot=("on", "#given", "#other", *RIGHTS)),
            {"the user chatwoot has a second password: it is as it was": AGAIN},
        ),
        (
            changed(chatwoot=("on", "#given", *RIGHTS[:-2])),
            {
                "the user chatwoot has other rights (nothing instead of -flushall -swapdb): it is as it was": AGAIN
            },
        ),
        (
            changed(default=("on", "nopass", "~*", "&*", "+@all")),
            {"the user default needs no password: it is as it was": DEFAULT},
        ),
        (
            changed(**{r"e\"vil'": ("on", "nopass", "~*", "+@all")}),
            {r"the user e\"vil' is not ours: it goes": """say 'ACL DELUSER "e\\"vil'"'"'"'"""},
        ),
        (
            replace(WELL, follows="192.0.2.1:6379"),
            {
                "it has become a replica of 192.0.2.1:6379, and takes what that holds for its own: it is its own master again": "say 'REPLICAOF NO ONE'"
            },
        ),
        (
            replace(WELL, settings={"appendonly": "no", "maxmemory": "0", "bind": "* -::*"}),
            {
                "appendonly is no instead of yes: it is put back": "say 'CONFIG SET appendonly \"yes\"'",
                "maxmemory is 0 instead of 192mb: it is put back": "say 'CONFIG SET maxmemory \"192mb\"'",
            },
        ),
    ],
)
def test_each_difference_is_named_and_put_back_alone(state: RedisState, lines: dict[str, str]) -> None:
    assert dict(redis.differences(state)) == lines


def test_who_may_put_all_back_comes_first() -> None:
    state = replace(changed(default=("on", "#given", "#other"), evil=("off",)), follows="192.0.2.1:1")
    words = [each.partition(" ")[0] + each.partition(" ")[2] for _, each in redis.differences(state)]
    assert [word.split()[1] for word in words] == ["SETUSER", "DELUSER", "NO"]


def lines(state: RedisState) -> list[str]:
    """What the fact prints for it."""
    found = ["silent"] * state.silent + ["refused"] * state.refused + ["appends"] * state.appends
    found += [f"follows|{state.follows.replace(':', '|')}"] if state.follows else []
    found += [f"user|{name} {' '.join(rules)}" for name, rules in state.users.items()]
    found += [f"is|{name}|{value}" for name, value in state.settings.items()]
    found += [f"wanted|{name}|{value}" for name, value in state.wanted.items()]
    return [*found, *(f"named|{name}" for name in state.named)]


def run(
    state: RedisState, *, status: str = "running|healthy", digest: str = "", executing: bool = True
) -> list[Any]:
    """The commands of a run, or why it fails."""
    with fake({}):
        service = next(item for item in services() if item.name == "redis")
        described = digests(service)
    there = f"c|/redis|redis|{digest or described['redis']}|s|{status}|0|{service.main.image}|smarter-net "
    with fake({"acl list": lines(state), "docker ps -aq": [there]}, executing=executing):
        return texts(redis.put_back, service, described)


def test_nothing_is_done_to_one_that_is_as_it_was_started() -> None:
    assert run(WELL) == []


def test_all_that_differs_is_put_back_at_once_and_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    first, second = run(changed(evil=("on", "nopass", "~*", "+@all"), chatwoot=None))
    assert "docker exec redis sh -c" in first
    assert "ACL DELUSER" in first
    assert "ACL SETUSER chatwoot" in first
    assert "redis: the user chatwoot is gone: it is made again" in caplog.text
    assert "redis: the user evil is not ours: it goes" in caplog.text
    # The fake one stays as it is.
    assert "function" in str(second).lower()


def test_a_plan_says_it_and_does_nothing() -> None:
    with fake({}):
        service = next(item for item in services() if item.name == "redis")
        described = digests(service)
    there = f"c|/redis|redis|{described['redis']}|s|running|healthy|0|{service.main.image}|smarter-net "
    state = replace(WELL, follows="192.0.2.1:6379")
    with (
        fake({"acl list": lines(state), "docker ps -aq": [there]}, executing=False),
        drafts.drafting() as steps,
    ):
        redis.put_back(service, described, name="Data | Redis: what was changed by hand")
    (step,) = steps
    assert step.name == "Data | Redis: what was changed by hand"
    assert step.effects == (
        "redis: it has become a replica of 192.0.2.1:6379, and takes what that holds for its own: it is its own master again",
    )


def test_users_of_one_that_is_made_anew_go_with_it_and_what_the_next_one_reads_does_not() -> None:
    """A release may give them other rights; what was not written down would be lost with the container."""
    state = changed(chatwoot=("on", "#given", "~*"))
    assert run(state, digest="0" * 12) == []
    (command, *_) = run(
        replace(state, settings={**WELL.settings, "appendonly": "no"}), digest="0" * 12, executing=False
    )
    assert "CONFIG SET appendonly" in command
    assert "chatwoot" not in command


def test_one_that_refuses_its_own_password_is_started_again() -> None:
    assert run(RedisState(refused=True, appends=True), status="running|unhealthy") == [
        "docker restart redis >/dev/null"
    ]


def test_one_that_would_lose_what_it_holds_is_not() -> None:
    with pytest.raises(DeployError, match=r"writes down nothing of what it holds \(appendonly\)"):
        run(RedisState(refused=True), status="running|unhealthy", executing=False)


def test_one_that_does_not_answer_is_said_where_docker_takes_it_for_healthy() -> None:
    """What starts, or is unhealthy, is waited for by its start, which shows its log."""
    with pytest.raises(
        DeployError, match="Redis runs and does not answer its own redis-cli: see `docker logs redis`"
    ):
        run(RedisState(silent=True), executing=False)
    for status in ("running|starting", "running|unhealthy", "paused|healthy", "exited|"):
        assert run(RedisState(silent=True), status=status) == []
    assert run(RedisState()) == []  # it went away meanwhile


@pytest.fixture
def inside(tmp_path: Path) -> Any:
    """Runs what goes into the container, with a redis-cli that notes what it is told; answers: what it prints for INFO, one by one."""
    cli = f"""#!/bin/sh
if [ $# = 0 ]; then cat >>{tmp_path}/told; else sed 1q {tmp_path}/answers; sed -i 1d {tmp_path}/answers; fi
"""
    for name, text in (("redis-cli", cli), ("sleep", f"#!/bin/sh\necho >>{tmp_path}/slept\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)

    def run(state: RedisState, answers: str) -> tuple[int, str]:
        (tmp_path / "answers").write_text(answers)
        environment = {
            "PATH": f"{tmp_path}:/usr/bin:/bin",
            "REDIS_PASSWORD": "x",
            "REDIS_USER_chatwoot": "ab",
        }
        text = redis.script(dict(redis.differences(state)).values())
        return subprocess.run(["sh", "-c", text], env=environment, check=False).returncode, (
            tmp_path / "told"
        ).read_text()

    return run


def test_hashes_come_from_the_containers_own_environment(inside: Any) -> None:
    state = changed(default=("on", "nopass"), chatwoot=None)
    own = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    code, told = inside(state, "")
    assert (code, told.splitlines()) == (
        0,
        [
            f"ACL SETUSER default reset on #{own} ~* &* +@all",
            "ACL SETUSER chatwoot reset on #ab ~* &* +@all -@admin -flushall -swapdb",
        ],
    )


def test_what_is_only_in_memory_is_written_before_anything_else_is_done(inside: Any, tmp_path: Path) -> None:
    state = replace(WELL, settings={**WELL.settings, "appendonly": "no"})
    assert inside(state, "aof_rewrite_in_progress:1\naof_rewrite_scheduled:1\naof_enabled:1\n")[0] == 0
    assert (tmp_path / "slept").read_text() == "\n\n"
    assert inside(state, "aof_rewrite_in_progress:1\n" * 121)[0] == 1


def test_it_is_put_right_before_it_may_be_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(redis, "put_back", lambda service, *_, **__: done.append(f"put back {service.name}"))
    monkeypatch.setattr(containers, "start", lambda service, *_, **__: done.append(f"start {service.name}"))
    monkeypatch.setattr(data, "databases", lambda **_: done.append("databases"))
    with fake({}):
        data.run()
    assert done == ["start postgres", "put back redis", "start redis", "databases"]
