"""What asks on a host which images are outdated (files/outdated.py), run for real as it is rendered; Docker and registry are servers of ours."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tasks.rendering import outdated_files
from tests.registries import Daemon, Registry, serving
from tests.samples import stack

ONE, TWO = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
STATE, METRIC = "var/lib/smarteros/outdated/found.json", "var/lib/smarteros/metrics/outdated.prom"
EVENT = "var/lib/smarteros/notify/new/images"


@dataclass
class Box:
    """A host's folders, below one, with its registry and what Docker says."""

    root: Path
    registry: Registry
    address: str
    images: dict[str, dict[str, Any]] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)

    def image(self, tag: str, **known: Any) -> str:
        """One that is asked about; its tag stands for ONE."""
        name = f"{self.address}/acme/crm:{tag}"
        self.images[name] = {"line": 0, "ends": {}, "digest": "", **known}
        self.digests[name] = ONE
        return name

    def program(self) -> subprocess.Popen[str]:
        """As its unit starts it."""
        files = {**outdated_files.files(stack()), "outdated/images.json": self._images()}
        for path, text in files.items():
            file = self.root / "current" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", str(self.root / "current/outdated/outdated.py")],
            env={
                **os.environ,
                "OUTDATED_ROOT": str(self.root),
                "OUTDATED_PAUSE": "0.1",
                "HOME": str(self.root),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _images(self) -> str:
        return json.dumps({"socket": str(self.root / "docker.sock"), "images": self.images})

    def ask(self) -> dict[str, dict[str, str]]:
        """Image → what is found."""
        with serving(Daemon(self.digests), self.root / "docker.sock"):
            done = self.program()
            said = done.communicate(timeout=60)
        (self.root / "docker.sock").unlink()
        assert (done.returncode, *said) == (0, "", "")
        return dict(json.loads((self.root / STATE).read_text())["images"])

    def counts(self) -> dict[str, int]:
        """What the metric says, by kind."""
        lines = (self.root / METRIC).read_text().splitlines()
        found = [line.partition('{kind="')[2].split('"} ') for line in lines if "{" in line]
        return {kind: int(count) for kind, count in found if count != "0"}


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    registry = Registry({"acme/crm": ["16.1.0", "16.1.2", "16.2.0", "17.0.0", "16.1.2-alpine", "latest"]})
    with serving(registry) as address:
        registry.address = address
        yield Box(tmp_path, registry, address)


def test_what_is_outdated_is_kept_for_root_and_counted_for_everybody(box: Box) -> None:
    newest, older = box.image("16.2.0"), box.image("16.1.0", ends={"16": "2026-01-01"})
    fixed = box.image("16.1.2-alpine", line=2, digest=TWO, ends={"16.1": "2100-01-01"})
    assert box.ask() == {
        newest: {},
        older: {"newer": "16.2.0", "ended": "2026-01-01"},
        fixed: {"moved": ONE},
    }
    assert box.counts() == {"newer": 1, "ended": 1, "moved": 1}
    assert "\nsmarteros_images 3\n" in (box.root / METRIC).read_text()
    modes = [(box.root / path).stat().st_mode & 0o777 for path in (STATE, METRIC)]
    assert modes == [0o600, 0o644]
    asked = json.loads((box.root / STATE).read_text())["asked"]
    assert f"smarteros_outdated_asked_timestamp_seconds {asked}\n" in (box.root / METRIC).read_text()
    assert abs(asked - time.time()) < 60
    # Nobody is told anything on this host.
    assert not (box.root / EVENT).exists()


def test_a_line_has_as_many_numbers_as_its_program_says(box: Box) -> None:
    image = box.image("16.1.0", line=2)
    assert box.ask() == {image: {"newer": "16.1.2"}}


def test_a_registry_that_is_silent_is_no_failure_and_what_was_known_before_counts_on(box: Box) -> None:
    older, fixed = box.image("16.1.0"), box.image("16.1.2", digest=TWO)
    before = {older: {"newer": "16.2.0"}, fixed: {"newer": "16.2.0", "moved": ONE}}
    assert box.ask() == before
    box.registry.tags, box.digests = {}, {}
    unknown = {"unknown": "its registry does not say"}
    assert box.ask() == {image: {**found, **unknown} for image, found in before.items()}
    assert box.counts() == {"newer": 2, "moved": 1, "unknown": 2}


def test_people_are_told_once_of_each_image_that_becomes_outdated(box: Box) -> None:
    timer = box.root / "etc/systemd/system/smarteros-notify.timer"
    timer.parent.mkdir(parents=True)
    timer.write_text("")
    older, event = box.image("16.1.0"), box.root / EVENT
    box.registry.tags = {"acme/crm": ["16.1.0"]}
    box.ask()
    assert not event.exists()
    box.registry.tags = {"acme/crm": ["16.1.0", "16.1.1"]}
    box.ask()
    assert event.read_text() == f"images outdated\n{older}: 16.1.1 is there\n"
    event.unlink()
    # Another tag of the same line is no news, and an end of life is.
    box.registry.tags = {"acme/crm": ["16.1.0", "16.1.1", "16.1.2"]}
    assert box.ask() == {older: {"newer": "16.1.2"}}
    assert not event.exists()
    box.image("16.1.0", ends={"16": "2026-01-01"})
    box.ask()
    assert event.read_text() == (
        f"images outdated\n{older}: 16.1.2 is there, upstream's support ended on 2026-01-01\n"
    )


def test_a_docker_that_comes_a_little_later_is_waited_for(box: Box) -> None:
    image = box.image("16.2.0")
    program = box.program()
    time.sleep(0.5)
    with serving(Daemon(box.digests), box.root / "docker.sock"):
        assert program.communicate(timeout=60) == ("", "")
    assert (program.returncode, json.loads((box.root / STATE).read_text())["images"]) == (0, {image: {}})


def test_where_docker_never_answers_what_was_found_before_stays(box: Box) -> None:
    box.image("16.2.0")
    box.ask()
    before = (box.root / STATE).read_text()
    program = box.program()
    _, said = program.communicate(timeout=60)
    assert program.returncode == 1
    assert said.startswith("Docker does not answer: ")
    assert said.endswith(": which images are outdated is not known\n")
    assert (box.root / STATE).read_text() == before


def test_a_file_that_was_cut_short_is_written_anew(box: Box) -> None:
    image = box.image("16.2.0")
    (box.root / STATE).parent.mkdir(parents=True)
    for text in ("", '{"asked": 1', "[]", "null"):
        (box.root / STATE).write_text(text)
        assert box.ask() == {image: {}}


def test_what_a_registry_lists_beside_tags_is_left_out(box: Box) -> None:
    image = box.image("16.2.0")
    listed: list[Any] = [None, "9" * 5000]
    box.registry.tags = {"acme/crm": listed}
    assert box.ask() == {image: {}}


@pytest.mark.parametrize("gone", ["ask_registries", "tags", "written"])
def test_where_a_part_of_it_is_gone_it_says_what_writes_it_anew(gone: str, tmp_path: Path) -> None:
    for path, text in outdated_files.files(stack()).items():
        if Path(path).stem != gone:
            (tmp_path / Path(path).name).write_text(text)
    program = [sys.executable, "-I", "-S", "-B", str(tmp_path / "outdated.py")]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (
        1,
        "",
        f"No module named '{gone}': files of the active generation are gone, which a deploy writes anew; which images are outdated is not known\n",
    )
