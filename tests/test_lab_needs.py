"""What doubles need of their container as the real programs do: read from the limits that a container sees."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.lab.images import FOLDER


@pytest.fixture
def needs(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module, as the images have it."""
    monkeypatch.syspath_prepend(FOLDER / "double")
    return importlib.import_module("double.needs")


def container(needs: Any, monkeypatch: pytest.MonkeyPatch, path: Path, text: str) -> None:
    """The files of a container of one kind: the other kind's file is not there."""
    path.write_text(f"{text}\n")
    monkeypatch.setattr(needs, "LIMITS", (path.parent / "absent", path))


def refused(need: Callable[..., None], *arguments: object) -> tuple[int, str]:
    """The status that the double ends with, and what it says."""
    with pytest.raises(Exception, match=r"\w") as caught:
        need(*arguments)
    error: Any = caught.value
    return error.status, str(error)


@pytest.mark.parametrize(
    ("text", "limit"), [("max", None), ("536870912", 512), ("9223372036854771712", 8796093022207)]
)
def test_the_limit_is_read(
    needs: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, limit: int | None
) -> None:
    container(needs, monkeypatch, tmp_path / "limit", text)
    assert needs.limit() == limit


def test_too_little_memory_is_a_kill(needs: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    container(needs, monkeypatch, tmp_path / "limit", str(1024 * 2**20))
    needs.memory(1024)
    assert refused(needs.memory, 1025) == (137, "Killed: it needs 1025 MB of memory and is given 1024 MB")


@pytest.mark.parametrize(
    ("options", "heap"),
    [("", 512), ("--max-old-space-size=700", 700), ("--max-old-space-size=9 --max_old_space_size=600", 600)],
)
def test_v8_takes_half_of_the_container_unless_told(
    needs: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, options: str, heap: int
) -> None:
    container(needs, monkeypatch, tmp_path / "limit", str(1024 * 2**20))
    needs.node_heap(heap, {"NODE_OPTIONS": options})
    status, text = refused(needs.node_heap, heap + 1, {"NODE_OPTIONS": options})
    assert (status, text.splitlines()[1]) == (134, f"it needs {heap + 1} MB of heap and has {heap} MB")


def test_code_is_loaded_from_a_folder_unless_it_is_noexec(
    needs: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    needs.executable(tmp_path)
    assert list(tmp_path.iterdir()) == []

    def noexec(*_arguments: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(needs.mmap, "mmap", noexec)
    status, text = refused(needs.executable, tmp_path)
    assert (status, text.partition(": ")[2]) == (
        1, "failed to map segment from shared object: Operation not permitted",
    )  # fmt: skip
