"""record.sh, for real below a folder of the test's, with a docker that knows some images: what it notes, keeps and lets go."""

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tasks import drift, lock, record
from tasks.commands import generations
from tasks.facts.generations import SHELL, GenerationsFact, RecordedFilesFact, hashes
from tasks.model.generations import Generations, NoSuch, chosen
from tasks.operations import files
from tasks.rendering import render
from tests.fake import commands as yielded
from tests.fake import fake
from tests.samples import ROOT

# images: a file for each that is there, holding its number; a container has those in `used`.
DOCKER = """#!/bin/sh
cd {folder}
case "$1 $2" in
"image inspect")
    for name; do :; done
    cat "images/$(echo "$name" | tr / _)" 2>/dev/null || {{ (cat down 2>/dev/null || echo "Error: No such image: $name") >&2; false; }} ;;
"image ls") for each in images/*; do echo "$(cat $each) ${{each#images/}}"; done ;;
"image rm") rm "images/$(echo "$3" | tr / _)" ;;
"volume ls") cat volumes 2>/dev/null ;;
"ps -aq") grep -sxF "$4" used || true ;;
"exec -i") sed -n 's/^.connect "\\(.*\\)"$/\\1 0123/p' ;;
esac
"""
MADE = json.dumps({"operator": "ann@laptop", "version": "0.1.0 abc", "of": 0, "settings": {"zone": "a.cl"}})


class Host:
    """``opt`` stands for /opt/smarteros."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.opt = folder, folder / "opt"
        (folder / "bin").mkdir()
        (folder / "images").mkdir()
        docker = folder / "bin" / "docker"
        docker.write_text(DOCKER.format(folder=folder))
        docker.chmod(0o755)

    def activate(self, tree: str, image: str, *, brought: bool = True) -> None:
        """A generation of this image is what is active; the image is there, and came by us or not."""
        (self.folder / "images" / image).write_text(f"sha256:{image}\n")
        if brought:
            (self.opt / "records").mkdir(parents=True, exist_ok=True)
            with (self.opt / "records" / ".brought").open("a") as file:
                file.write(f"{image} sha256:{image}\n")
            (self.opt / "records" / ".brought").chmod(0o600)
        folder = self.opt / "generations" / tree / "dkcompose"
        folder.mkdir(parents=True)
        (folder / "n8n-deploy.yaml").write_text(
            f'services:\n  n8n:\n    image: "{image}"\n# {tree.rstrip("+")}\n'
        )
        (self.opt / "current").unlink(missing_ok=True)
        (self.opt / "current").symlink_to(f"generations/{tree}")

    def run(self, script: str, shell: str = "sh") -> str:
        """What it prints; it has to succeed and complain of nothing. Facts are asked for by sh, the lock's script is bash's."""
        text = f'set -u\numask 077\nsay() {{ echo "$*"; }}\n{script}'.replace("/opt/smarteros", str(self.opt))
        path = {**os.environ, "PATH": f"{self.folder}/bin:{os.environ['PATH']}"}
        done = subprocess.run([shell, "-c", text], env=path, capture_output=True, text=True, check=True)
        assert done.stderr == ""
        return done.stdout

    def record(self, *marks: str) -> list[str]:
        """What the lock's line says of it."""
        made = json.dumps({**json.loads(MADE), **dict.fromkeys(marks, True)})
        return self.run(f"{SHELL}\nrecord 'n8n,odoo {made}' '{{}}'", "bash").splitlines()

    def images(self) -> list[str]:
        """Those that are there."""
        return sorted(path.name for path in (self.folder / "images").iterdir())

    def found(self) -> Generations:
        """As a run reads it."""
        return GenerationsFact().process(self.run(GenerationsFact().command()).splitlines())


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_host_without_records_says_nothing(host: Host) -> None:
    assert host.run(GenerationsFact().command()) == ""


def test_what_a_deploy_has_made_is_noted_for_root_alone_and_read_again(host: Host) -> None:
    host.activate("d1", "n8n:1")
    assert host.record() == ["noted 1"]
    text = (host.opt / "current/dkcompose/n8n-deploy.yaml").read_bytes()
    [item] = host.found().all
    assert (item.number, item.tree, item.operator, item.version, item.of, item.whole) == (
        1,
        "d1",
        "ann@laptop",
        "0.1.0 abc",
        0,
        True,
    )
    assert item.settings == {"zone": "a.cl"}
    assert item.files == {"dkcompose/n8n-deploy.yaml": hashlib.sha256(text).hexdigest()}
    assert item.images == {"n8n:1": "sha256:n8n:1"}
    assert item.schemas == {"n8n": "0123", "odoo": "0123"}
    assert host.found().current == item
    assert host.found().lacking(item) == ()
    modes = {
        oct(path.stat().st_mode & 0o777)
        for path in [host.opt / "records", *(host.opt / "records").rglob("*")]
    }
    assert modes == {"0o700", "0o600"}


def test_the_same_files_are_no_other_generation_and_their_newest_copy_counts(host: Host) -> None:
    host.activate("d1", "n8n:1")
    assert host.record() == host.record() == ["noted 1"]
    host.activate("d1+", "n8n:1")
    assert host.record() == ["noted 1"]
    assert [item.tree for item in host.found().all] == ["d1+"]


def test_what_somebody_has_edited_is_no_generation_of_a_rotations(host: Host) -> None:
    host.activate("d1", "n8n:1")
    assert host.record("rotation") == ["noted 1"]  # of a deploy that ended before it had noted it
    file = host.opt / "current/dkcompose/n8n-deploy.yaml"
    text = file.read_text()
    file.write_text(f"{text}# by hand\n")
    assert host.record("rotation") == ["noted 1"]
    (item,) = host.found().all
    assert item.files == {"dkcompose/n8n-deploy.yaml": hashlib.sha256(text.encode()).hexdigest()}
    assert host.record() == ["noted 2"]


@pytest.mark.parametrize("part", ["made", "time", "tree"])
def test_a_copy_beside_them_and_what_a_power_cut_has_emptied_are_no_records(host: Host, part: str) -> None:
    host.activate("d1", "n8n:1")
    host.record()
    host.activate("d2", "n8n:2")
    host.record()
    shutil.copytree(host.opt / "records" / "2", host.opt / "records" / "2.bak")
    (host.opt / "records" / "2" / part).write_text("")
    assert [item.number for item in host.found().all] == [1]
    assert host.record() == ["noted 2"]
    assert [(item.number, item.tree) for item in host.found().all] == [(1, "d1"), (2, "d2")]
    for number in range(3, 8):
        host.activate(f"d{number}", "n8n:2")
        assert host.record()[-1] == f"noted {number}"
    assert [item.number for item in host.found().all] == [3, 4, 5, 6, 7]
    assert (host.opt / "records" / "2.bak").exists()


@pytest.mark.parametrize(
    ("part", "left"),
    [("made", ""), ("made", '{"operator": "ann'), ("made", "[]"), ("time", ""), ("files", "")],
)
def test_what_a_power_cut_has_left_of_a_record_is_named_and_holds_up_no_other(
    host: Host, part: str, left: str
) -> None:
    for number in range(1, 4):
        host.activate(f"d{number}", f"n8n:{number}")
        host.record()
    (host.opt / "records" / "2" / part).write_text(left)
    found = host.found()
    assert ([item.number for item in found.all], found.broken) == ([1, 3], (2,))
    assert list(generations.table(found))[-1] == (
        "    2  what was noted of it is empty or was cut short (a power cut does that), so nothing goes back to it"
    )
    assert next(generations.table(Generations(broken=(1,)))).startswith(
        "    1  what was noted of it is empty"
    )
    with pytest.raises(NoSuch) as refused:
        chosen(found, "2")
    assert str(refused.value).startswith("TO=2: what was noted of it is empty or was cut short")


def failed_updates(host: Host, *numbers: int) -> None:
    """Each comes to its record, is marked, and what was there before comes back."""
    good = host.found().all[-1].tree
    for number in numbers:
        host.activate(f"d{number}", f"n8n:{number}")
        host.record("unproven")
        (host.opt / "records" / str(host.found().all[-1].number) / "failed").write_text(
            "update of n8n to 2.31.0\n"
        )
        (host.opt / "current").unlink()
        (host.opt / "current").symlink_to(f"generations/{good}")
        host.record()


def test_updates_that_failed_take_no_good_generations_place_and_have_a_bound_as_well(host: Host) -> None:
    for number in range(1, 6):
        host.activate(f"d{number}", f"n8n:{number}")
        host.record()
    failed_updates(host, 6, 8)
    found = host.found()
    assert [(item.number, bool(item.failed), found.same(item)) for item in found.all] == [
        (1, False, 0),
        (2, False, 0),
        (3, False, 0),
        (4, False, 0),
        (5, False, 0),
        (6, True, 0),
        (7, False, 5),
        (8, True, 0),
        (9, False, 5),
    ]
    lines = [line for line in generations.table(found) if not line.startswith("      ")]
    assert lines[0].startswith("*   9 ")
    assert lines[0].endswith("ann@laptop, the same as 5")
    assert lines[1].endswith("ann@laptop; the update of n8n to 2.31.0 went back from it")
    assert chosen(found, "previous").number == 4
    assert chosen(found, "8").number == 8
    failed_updates(host, 10, 12, 14, 16, 18)
    assert [item.number for item in host.found().all] == [1, 2, 3, 4, 14, 15, 16, 17, 18, 19]


def test_five_are_kept_and_images_that_came_by_us_go_where_no_record_and_no_container_has_them(
    host: Host,
) -> None:
    for number in range(1, 7):
        host.activate(f"d{number}", f"n8n:{min(number, 5)}")
        said = host.record()
    assert said == ["removed n8n:1", "noted 6"]
    assert [item.number for item in host.found().all] == [2, 3, 4, 5, 6]
    assert host.images() == ["n8n:2", "n8n:3", "n8n:4", "n8n:5"]
    (host.folder / "used").write_text("ancestor=sha256:n8n:2\n")
    host.activate("d7", "n8n:5")
    assert host.record() == ["noted 7"]
    host.activate("d8", "n8n:4")
    assert host.record() == ["removed n8n:3", "noted 8"]
    assert host.images() == ["n8n:2", "n8n:4", "n8n:5"]
    # Its container is gone: then it goes, too, though its record has long gone.
    (host.folder / "used").unlink()
    assert host.record() == ["removed n8n:2", "noted 8"]
    assert host.images() == ["n8n:4", "n8n:5"]


def test_an_image_that_tasks_had_goes_with_its_record(host: Host) -> None:
    for number in range(1, 7):
        host.activate(f"d{number}", "n8n:1")
        (host.folder / "images" / f"validator:{number}").write_text(f"sha256:{number}\n")
        with (host.opt / "records/.brought").open("a") as file:
            file.write(f"validator:{number} sha256:{number}\n")
        (host.opt / "current/tasks").mkdir()
        (host.opt / "current" / render.TASKS_IMAGES).write_text(f"validator:{number}\n")
        said = host.record()
    assert said == ["removed validator:1", "noted 6"]
    assert host.images() == ["n8n:1", *(f"validator:{number}" for number in range(2, 7))]


def test_an_image_of_the_operators_stays_by_whatever_name(host: Host) -> None:
    """One was there before us, one took our name since, and of one of ours a record that is kept has another name."""
    host.activate("d1", "n8n:1", brought=False)
    host.record()
    host.activate("d2", "n8n:2")
    host.record()
    host.activate("d3", "n8n:3")
    host.record()
    (host.folder / "images" / "n8n:2").write_text("sha256:built\n")
    for number in range(4, 9):
        host.activate(f"d{number}", "n8n:same")
        (host.folder / "images" / "n8n:same").write_text("sha256:n8n:3\n")
        assert host.record() == [f"noted {number}"]
    assert host.images() == ["n8n:1", "n8n:2", "n8n:3", "n8n:same"]
    assert "n8n:2" not in (host.opt / "records" / ".brought").read_text()


@pytest.mark.parametrize("fails", ["image", "ps"])
def test_where_docker_does_not_answer_no_image_goes(host: Host, fails: str) -> None:
    for number in range(1, 6):
        host.activate(f"d{number}", f"n8n:{number}")
        host.record()
    host.activate("d6", "n8n:6")
    docker = host.folder / "bin" / "docker"
    docker.write_text(
        docker.read_text().replace(
            'case "$1 $2" in',
            f'[ "$1 $2" != "{fails} -aq" ] || exit 1\n[ "$1 $2 $3" != "{fails} rm n8n:1" ] || exit 1\ncase "$1 $2" in',
        )
    )
    assert host.record() == ["noted 6"]
    assert "n8n:1" in host.images()
    docker.write_text(DOCKER.format(folder=host.folder))
    assert host.record() == ["removed n8n:1", "noted 6"]


@pytest.mark.parametrize(
    ("reference", "listed"),
    [
        ("n8nio/n8n:2.30", "n8nio/n8n:2.30"),
        ("n8nio/n8n:2.30@sha256:0", "n8nio/n8n@sha256:0"),
        ("here:5000/n8n@sha256:0", "here:5000/n8n@sha256:0"),
        ("here:5000/n8n:2@sha256:0", "here:5000/n8n@sha256:0"),
    ],
)
def test_an_image_that_came_by_its_digest_goes_by_that(host: Host, reference: str, listed: str) -> None:
    assert host.run(f"{SHELL}\nlisted {reference}") == f"{listed}\n"


def test_a_restore_point_is_that_of_the_generation_it_was_made_for(host: Host) -> None:
    host.activate("d1", "n8n:1")
    host.record()
    point = host.opt / "records" / ".point"
    point.write_text("1700000000 failed\n")
    host.activate("d2", "n8n:2")
    host.record()
    point.write_text("1700000001 d3\n")
    host.activate("d3", "n8n:3")
    host.record()
    assert [item.point for item in host.found().all] == [0, 0, 1700000001]
    assert not point.exists()


# Where a function of record.sh begins a command.
CUTS = [
    number
    for number, text in enumerate(SHELL.splitlines())
    if text.startswith("    ") and text[4] != " " and not text[4:].startswith(("done", "else", "fi"))
]


@pytest.mark.parametrize("line", CUTS)
def test_a_record_that_is_cut_short_is_made_by_the_next_one(host: Host, line: int) -> None:
    """Six, so that one is dropped, and its image; a seventh is cut short."""
    for number in range(1, 7):
        host.activate(f"d{number}", f"n8n:{number}")
        host.record()
    host.activate("d7", "n8n:7")
    lines = SHELL.splitlines()
    cut = "\n".join([*lines[:line], "    kill -9 $$", *lines[line:]])
    subprocess.run(
        [
            "bash",
            "-c",
            f"umask 077; say() {{ :; }}\n{cut}\nrecord 'n8n {MADE}' '{{}}'".replace(
                "/opt/smarteros", str(host.opt)
            ),
        ],
        env={**os.environ, "PATH": f"{host.folder}/bin:{os.environ['PATH']}"},
        capture_output=True,
        check=False,
    )
    assert host.record()[-1] == "noted 7"
    assert [item.tree for item in host.found().all] == [f"d{number}" for number in range(3, 8)]
    assert sorted(path.name for path in (host.opt / "records").iterdir()) == [".brought", ".left", *"34567"]
    assert host.images() == [f"n8n:{number}" for number in range(3, 8)]


def test_the_files_of_one_come_back_byte_for_byte(host: Host) -> None:
    host.activate("d1", "n8n:1")
    (host.opt / "current" / "odd").write_bytes("ñ\r\n no end".encode())
    host.record()
    files = RecordedFilesFact().process(host.run(RecordedFilesFact().command("d1")).splitlines())
    assert files["odd"] == "ñ\r\n no end"
    assert hashes(files) == host.found().all[0].files
    assert host.run(RecordedFilesFact().command("gone")) == ""


def test_the_activation_of_another_keeps_what_is_recorded(host: Host) -> None:
    host.activate("recorded", "n8n:1")
    host.record()
    for number in range(8):
        text = files._activate(f"d{number}").replace("/opt/smarteros", str(host.opt))
        data = files.archive({"a": str(number)})
        subprocess.run(["bash", "-c", text], input=data, text=True, check=True, capture_output=True)
    left = {path.name for path in (host.opt / "generations").iterdir()}
    assert "recorded" in left
    assert len(left - {".previous"}) == 6


class Line:
    """The host's side of the lock: answers, and keeps what it is sent."""

    def __init__(self, *answers: str) -> None:
        self.answers, self.sent = [*answers], list[str]()

    def send(self, text: str) -> None:
        """Kept."""
        self.sent.append(text)

    def receive(self) -> str | None:
        """The next answer."""
        return self.answers.pop(0) if self.answers else None


def test_the_end_of_a_deploy_costs_no_command_and_says_what_went_and_what_is_meant_from_now_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    line = Line(
        "motd",
        "smarteros-lock removed n8n:1",
        "smarteros-lock drifted user eve is new",
        "smarteros-lock drifted edited /opt/smarteros/current/caddy/Caddyfile: other content",
        "smarteros-lock noted 3",
    )
    monkeypatch.setattr(lock, "held", lambda: line)
    caplog.set_level("INFO")
    cut = '{"started": "2026-11-23T04:00:00Z", "seconds": 6, "operator": "ann@laptop", "command": "rotate", "about": "n8n", '
    cut += '"generation": "", "result": "failed", "at": "Rotate | new values", "changed": []}'
    with fake({"runs.log": [f"rotation {cut}"]}):
        assert yielded(record.noted, rotation=False) == []
        look, made = (text.partition(" ")[::2] for text in line.sent)
        assert (look[0], json.loads(look[1])) == ("look", drift.wanted())
    databases, _, text = made[1].partition(" ")
    assert made[0] == "made"
    assert {"n8n", "odoo"} < set(databases.split(","))
    assert {"operator", "version", "of", "settings"} == json.loads(text).keys()
    assert "the image n8n:1, which a deploy had brought, is removed" in caplog.text
    assert "drift: user eve is new; from now on that is how it is meant to be" in caplog.text
    edited = "drift: /opt/smarteros/current/caddy/Caddyfile: other content, by hand, and left so: `make deploy` puts it back"
    assert edited in caplog.text
    left = 'rotate: that of n8n (ann@laptop, 2026-11-23 04:00:00Z) has failed at "Rotate | new values", and the old values may still open things: '
    assert f"{left}`make rotate SERVICE=n8n` once more ends it" in caplog.text


@pytest.mark.parametrize(
    "answers", [("mkdir: no space left", "smarteros-lock unnoted"), ("mkdir: no space left",)]
)
def test_what_cannot_be_noted_fails_the_run_with_what_the_host_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, answers: tuple[str, ...]
) -> None:
    line = Line(*answers)
    monkeypatch.setattr(lock, "held", lambda: line)
    with fake({}) as host:
        [failure] = yielded(record.noted, rotation=False)
        assert failure.function(host.state, host) is False
    assert (
        "could not be noted there (mkdir: no space left), without which nothing goes back to it"
        in caplog.text
    )


def test_the_lock_calls_what_stands_before_it() -> None:
    assert 'made) record "$value" "$look" || say unnoted ;;' in (ROOT / "files" / "run-lock.sh").read_text()


def test_a_docker_that_does_not_answer_is_no_host_without_images(host: Host) -> None:
    host.activate("d1", "n8n:1")
    there, down = host.folder / "images" / "n8n:1", host.folder / "down"
    there.rename(host.folder / "kept")
    down.write_text("Cannot connect to the Docker daemon\n")
    text = f"{SHELL}\nrecord 'n8n {MADE}' '{{}}' 2>&1 || echo unnoted"
    assert host.run(text, "bash").splitlines() == [
        "whether the image n8n:1 is there: Cannot connect to the Docker daemon",
        "unnoted",
    ]
    assert not [*(host.opt / "records").glob("[0-9]*")]
    down.unlink()
    assert host.record() == ["noted 1"]  # somebody has removed the image by then
    assert host.found().all[0].images == {}
    (host.folder / "kept").rename(there)
    assert host.record() == ["noted 1"]
    assert host.found().all[0].images == {"n8n:1": "sha256:n8n:1"}


def test_volumes_of_the_active_generation_are_noted_where_docker_says_which_there_are(host: Host) -> None:
    host.activate("d1", "n8n:1")
    with (host.opt / "current/dkcompose/n8n-deploy.yaml").open("a") as file:
        file.write('volumes:\n  n8n_data:\n    name: n8n_data\n  n8n_files:\n    name: "n8n_files"\n')
    (host.folder / "volumes").write_text("n8n_data\nn8n_data_of_somebody\nsomebody\n")
    noted = host.opt / "records/.volumes"
    host.record()
    assert noted.read_text() == "n8n_data\n"
    (host.folder / "volumes").write_text("n8n_files\nn8n_data\n")
    host.record()
    assert noted.read_text() == "n8n_data\nn8n_files\n"
    (host.folder / "volumes").unlink()  # Docker does not answer
    host.record()
    assert noted.read_text() == "n8n_data\nn8n_files\n"
    (host.folder / "volumes").write_text("")
    host.record()
    assert noted.read_text() == ""
