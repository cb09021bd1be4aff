"""Making way: a host's own bridges go where all nodes have networks of their names, killed anywhere and run again."""

import json
from pathlib import Path

import pytest

from tasks.connection import drafts
from tasks.facts.node import MOVING
from tasks.model.effects import Network
from tasks.operations import making_way
from tests.fake import several, texts
from tests.operations.docker_networks import Docker, docker

NAMES = ("smarter-net", "tenants-net")
GROUPS = {"proxies": [0, 1], "data": [0], "apps": [2]}
BRIDGES = [f"n|{name}|bridge|false|10.207.{place}.0/24 ||br-{place}|yes|" for place, name in enumerate(NAMES)]
THEIRS = ("n|smarter-net|bridge|false|10.207.0.0/24 ||br-1||",)


def there(folder: Path) -> Docker:
    """Services of ours in one bridge or both, a proxy, a tenant, and somebody's who looks for Postgres."""
    inside = {
        "smarter-net": {"postgres": ["postgres"], "n8n": ["n8n", "flows"], "caddy": ["caddy"], "report": ["report"]},
        "tenants-net": {"n8n": ["n8n"], "caddy": ["caddy"], "shop": ["shop"]},
        "local-net": {},
    }  # fmt: skip
    ours = {name: name not in ("report", "shop") for name in ("postgres", "n8n", "caddy", "report", "shop")}
    return docker(folder, ours=ours, inside=inside)


def left(folder: Path) -> str:
    """The script, with a folder of the test's in the host's place."""
    return (
        making_way._left(NAMES)
        .replace(MOVING, f"{folder}/moving/members")
        .replace(MOVING.rpartition("/")[0], f"{folder}/moving")
    )


def entered(folder: Path) -> str:
    return making_way._entered(NAMES).replace(MOVING, f"{folder}/moving/members")


AFTER = {"local-net/postgres": ["postgres"], "local-net/n8n": ["n8n", "flows"], "local-net/caddy": ["caddy"]}


def test_ours_reach_one_another_and_others_come_into_what_has_the_name(tmp_path: Path) -> None:
    host = there(tmp_path)
    state = host.state
    for name in ("report", "shop"):  # docker run, which keeps the name
        state["containers"][name]["mode"] = ""
    (tmp_path / "state.json").write_text(json.dumps(state), "utf-8")
    assert host.shell(left(tmp_path)).returncode == 0
    assert (host.inside, [*host.state["networks"]]) == (AFTER, ["local-net"])
    for name in NAMES:
        assert host.shell(f"docker network create {name}").returncode == 0
    assert host.shell(entered(tmp_path)).returncode == 0
    assert host.inside == {**AFTER, "smarter-net/report": ["report"], "tenants-net/shop": ["shop"]}
    assert not (tmp_path / "moving/members").exists()


def test_killed_at_any_call_the_next_run_ends_it(tmp_path: Path) -> None:
    for call in range(1, 200):
        folder = tmp_path / str(call)
        folder.mkdir()
        host = there(folder)
        killed = host.shell(left(folder), killed_at=call)
        if killed.returncode == 0:
            break
        assert host.shell(left(folder)).returncode == 0, call
        assert [*host.state["networks"]] == ["local-net"], call
        # Who was out of one and not in the other yet is in none, and this run makes it anew.
        assert host.inside.items() <= AFTER.items(), call
        assert len(host.inside) >= len(AFTER) - 1, call
        noted = (folder / "moving/members").read_text("utf-8").split()
        assert {"report", "shop"} <= {*noted}, call
    assert call > 20


@pytest.mark.parametrize(
    ("data", "bridges", "goes"), [(0, BRIDGES, NAMES), (0, THEIRS, ()), (1, BRIDGES, ())]
)
def test_only_ours_make_way_and_only_where_the_data_is(
    data: int, bridges: list[str], goes: tuple[str, ...]
) -> None:
    answers = {"ip xfrm": ["encrypts", "{}"], "docker ps -aq": [*bridges]}
    with several({}, {}, {}, responses=answers, groups={**GROUPS, "data": [data]}):
        assert making_way.bridged(NAMES) == goes
        assert bool(texts(making_way.left, NAMES)) == bool(goes)
        assert bool(texts(making_way.entered, NAMES)) == bool(goes)


def test_a_run_that_was_cut_short_goes_on() -> None:
    answers = {"ip xfrm": ["encrypts", "moving", "{}"], "docker ps -aq": []}
    with several({}, {}, {}, responses=answers, groups=GROUPS):
        assert texts(making_way.left, NAMES) == []
        assert len(texts(making_way.entered, NAMES)) == 1


def test_a_plan_has_which_make_way() -> None:
    answers = {"ip xfrm": ["encrypts", "{}"], "docker ps -aq": [*BRIDGES]}
    with several({}, {}, {}, responses=answers, groups=GROUPS), drafts.drafting() as steps:
        making_way.left(NAMES, name="Networks")
    found = [item for item in steps[0].effects if isinstance(item, Network)]
    assert found == [Network("smarter-net", moved=True), Network("tenants-net", moved=True)]
