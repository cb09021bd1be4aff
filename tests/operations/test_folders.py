"""Folders: whose one is, and what comes into it from the volume of an earlier release; the shell run for real."""

import json
import subprocess
from pathlib import Path

import pytest

from tasks.facts import DockerFact
from tasks.facts.kept import Before
from tasks.model.catalogue import Service
from tasks.model.folder import Folder
from tasks.model.objects import names
from tasks.operations import adoption, folders, namesakes
from tasks.run import services
from tests.facts.test_facts import MACHINE
from tests.fake import fake, texts
from tests.operations.test_namesakes import ABOUT, other
from tests.samples import container

DATA = Folder("/etc/shop", "it is looked for there", was="shop_data", made=("compose",))
SHOP = Service("shop", "Shop", (container("shop", folders=(DATA,)),))
OLD = 'v|{"name":"shop_data","service":"shop","project":"","part":""}'
FOREIGN = "folder /etc/shop: is not ours (it holds traefik, ssh)"


def lines(entries: list[str], *docker: str) -> list[str]:
    """What is said of a folder that holds these, and is not marked."""
    found = namesakes.found(
        DockerFact().process(list(docker)),
        names((SHOP,)),
        [f"/etc/shop {name}" for name in entries],
        deployed=True,
    )
    return [item.line for item in found]


def test_a_folder_of_somebody_elses_is_named_with_both_ways_out() -> None:
    assert lines(["traefik", "ssh"]) == [
        (
            f'{FOREIGN}: move it away (mv /etc/shop /etc/shop.before), or set adopt = ["folder:/etc/shop"]: '
            "shop uses it: what it holds is used as it is"
        )
    ]


def test_one_that_is_at_work_or_is_to_be_filled_cannot_be_adopted() -> None:
    against = f"{FOREIGN}, and cannot be adopted:"
    running = other("their-shop", binds=["/etc/shop", None])
    assert lines(["traefik", "ssh"], running) == [
        (
            f"{against} their-shop would write to it, too: stop that (docker stop their-shop) and move it away "
            "(mv /etc/shop /etc/shop.before)"
        )
    ]
    assert lines(["traefik", "ssh"], OLD) == [
        f"{against} what the volume shop_data holds has to come there: move it away (mv /etc/shop /etc/shop.before)"
    ]
    assert ABOUT  # who is at work is named as elsewhere


def test_what_docker_has_made_for_an_earlier_release_is_nobody_elses() -> None:
    assert lines(["compose"], OLD) == []
    assert lines([]) == []
    assert len(lines(["compose"])) == 1  # without that release it is


@pytest.fixture
def box(tmp_path: Path) -> Path:
    """Docker's volume, and a docker that knows where it is."""
    (tmp_path / "docker").write_text(f"#!/bin/sh\necho {tmp_path}/volume\n")
    (tmp_path / "docker").chmod(0o755)
    for path, text in {
        "compose/crm/code/a.yml": "new",
        "compose/crm/files/x.conf": "x",
        "ssh/key": "k",
    }.items():
        file = tmp_path / "volume" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (tmp_path / "volume/ssh").chmod(0o700)
    (tmp_path / "volume/.hidden").symlink_to("ssh/key")
    return tmp_path


def home(box: Path, volume: str = "shop_data") -> list[str]:
    """Runs the shell for that folder; what it says."""
    shell = "\n".join(["set -eu", *folders.made(SHOP, {"/etc/shop": volume} if volume else {})])
    done = subprocess.run(
        ["sh", "-c", shell.replace("/etc/shop", str(box / "etc/shop"))],
        env={"PATH": f"{box}:/usr/bin:/bin"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stderr.splitlines()


def content(folder: Path) -> dict[str, str]:
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_text() for path in found}


WHOLE = {
    ".hidden": "k",
    ".smarteros": "",
    "compose/crm/code/a.yml": "new",
    "compose/crm/files/x.conf": "x",
    "ssh/key": "k",
}


def test_what_the_volume_holds_comes_once_and_the_volume_stays(box: Path) -> None:
    before = content(box / "volume")
    assert (home(box), content(box / "etc/shop")) == ([], WHOLE)
    modes = [(box / "etc/shop" / path).stat().st_mode & 0o777 for path in (".", "ssh")]
    assert (modes, (box / "etc/shop/.hidden").is_symlink()) == ([0o700, 0o700], True)
    assert content(box / "volume") == before
    (box / "etc/shop/ssh/key").unlink()
    assert (home(box), content(box / "etc/shop").get("ssh/key")) == ([], None)


def test_what_containers_have_left_there_stays_and_dockers_empty_folders_make_way(box: Path) -> None:
    there = box / "etc/shop/compose/crm"
    (there / "files/x.conf").mkdir(parents=True)
    (there / "data").mkdir()
    (there / "data/row").write_text("kept")
    (there / "code").mkdir()
    (there / "code/a.yml").write_text("written by a container")
    assert home(box) == [f"{there}/code/a.yml was there before, and stays"]
    assert content(box / "etc/shop") == {
        **WHOLE,
        "compose/crm/code/a.yml": "written by a container",
        "compose/crm/data/row": "kept",
    }


def test_one_that_was_killed_meanwhile_goes_on(box: Path) -> None:
    (box / "etc/shop/.smarteros-new/half").mkdir(parents=True)
    (box / "etc/shop/ssh").mkdir()
    (box / "etc/shop/ssh/key").write_text("k")
    (box / "etc/shop/.smarteros").write_text("unfinished\n")
    home(box)
    assert content(box / "etc/shop") == WHOLE
    assert not (box / "etc/shop/.smarteros-new").exists()


def test_a_new_one_is_empty_and_one_of_ours_is_left_as_it_is(box: Path) -> None:
    assert (home(box, ""), content(box / "etc/shop")) == ([], {".smarteros": ""})
    (box / "etc/shop").chmod(0o755)
    home(box)
    assert content(box / "etc/shop") == {".smarteros": ""}
    assert (box / "etc/shop").stat().st_mode & 0o777 == 0o755


VOLUME = 'v|{"name":"dokploy_data","service":"%s","project":"","part":""}'


@pytest.mark.parametrize(
    ("docker", "machine", "found"),
    [
        (VOLUME % "dokploy", [], {"/etc/dokploy": "dokploy_data"}),
        (VOLUME % "dokploy", ["before_homes /etc/dokploy"], {}),
        (VOLUME % "", [], {}),  # somebody else's of that name
        ("", [], {}),
    ],
)
def test_only_a_volume_of_ours_is_carried_over(
    docker: str, machine: list[str], found: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    answers = {"docker ps -aq": [docker], "/etc/os-release": [*MACHINE, *machine]}
    with fake(answers), caplog.at_level("INFO"):
        (service,) = [item for item in services() if item.name == "dokploy"]
        assert adoption.carried(service) == found
    said = "/etc/dokploy: what the volume dokploy_data holds comes there; the volume is kept"
    assert (said in caplog.text) == bool(found)


def test_an_adopted_one_is_marked_and_nothing_comes_there() -> None:
    answers = {"docker ps -aq": [], "/etc/os-release": [*MACHINE, "before_entries /etc/dokploy traefik"]}
    with fake(answers, adopt=["folder:/etc/dokploy"]):
        assert list(adoption.refusals()) == []
        (text,) = texts(adoption.noted)
        assert text.splitlines()[-2:] == ["shut /etc/dokploy 700", ": >/etc/dokploy/.smarteros"]
        assert list(adoption.warnings()) == [
            (
                "adopt: folder /etc/dokploy (it holds traefik): dokploy uses it: its projects are found there where the database "
                "knows them"
            )
        ]
    with fake(answers):
        (line,) = adoption.refusals()
        assert line.startswith("folder /etc/dokploy: is not ours (it holds traefik): move it away")


def test_a_volume_that_was_ours_may_still_be_named() -> None:
    with fake({}, adopt=["volume:dokploy_data"]):
        assert services()


def test_without_the_service_the_folder_is_anybodys() -> None:
    assert Before().homes == ()
    answers = {"docker ps -aq": [], "/etc/os-release": [*MACHINE, "before_entries /etc/dokploy traefik"]}
    with fake(answers, services=["vault", "postgres"]):
        assert list(adoption.refusals()) == []
    assert json.loads(other("x")[2:])["binds"] == [None]
