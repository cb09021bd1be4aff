"""The Engine API's client: how it ends where Docker, or its answer, is not there. What a real Docker says: tests/e2e/test_swarm_spec.py."""

from pathlib import Path

import pytest

from tasks.clients.engine_api import Api, Stale
from tasks.run import Refused
from tests.fake import fake

ANSWERS = {
    "right": ("200 OK", '{"ID": "x"}'),
    "nothing": ("204 No Content", ""),
    "missing": ("404 Not Found", '{"message": "no such service"}'),
    "stale": ("500 Internal Server Error", '{"message": "rpc error: update out of sequence"}'),
    "wild": ("500 Internal Server Error", "<html>\x1b[2J"),
    "no JSON": ("200 OK", "yes"),
}


@pytest.fixture(autouse=True)
def _docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program of that name which gives one answer, the one in the file."""
    program = tmp_path / "docker"
    program.write_text(
        f'#!/bin/sh\n[ "$*" = "system dial-stdio" ] && head -n 1 >/dev/null && cat {tmp_path}/answer 2>/dev/null\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")


def answers(folder: Path, name: str) -> None:
    status, body = ANSWERS[name]
    text = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
    (folder / "answer").write_text(text, newline="")


def test_what_is_right_is_taken(tmp_path: Path) -> None:
    with fake({}) as host:
        answers(tmp_path, "right")
        assert Api(host).post("/services/create", {"Name": "x"}) == {"ID": "x"}
        answers(tmp_path, "nothing")
        assert Api(host).post("/services/create", {}) is None
        answers(tmp_path, "missing")
        assert Api(host).get("/services/x") is None
        Api(host).delete("/services/x")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("missing", "refuses POST /x (404): no such service"),
        ("wild", "refuses POST /x (500): no reason given; see `journalctl -u docker`"),
        ("no JSON", "does not answer POST /x: it is no JSON"),
    ],
)
def test_what_is_not_is_said_with_dockers_words(name: str, said: str, tmp_path: Path) -> None:
    answers(tmp_path, name)
    with fake({}) as host, pytest.raises(Refused, match="docker: ") as raised:
        Api(host).post("/x", {})
    assert str(raised.value).endswith(said)


def test_somebody_elses_change_is_told_apart(tmp_path: Path) -> None:
    answers(tmp_path, "stale")
    with fake({}) as host, pytest.raises(Stale):
        Api(host).post("/services/x/update", {}, version=3)


def test_a_docker_that_is_not_there(tmp_path: Path) -> None:
    assert not (tmp_path / "answer").exists()
    with fake({}) as host, pytest.raises(Refused, match=r"docker: its API on .* does not answer GET /info"):
        Api(host).get("/info")


def test_a_log_is_both_streams_without_what_docker_puts_between(tmp_path: Path) -> None:
    parts = ((1, b"one\ntw"), (2, b"o\xff\x1b[2J\n"), (1, b"three\n"))
    body = b"".join(bytes([number, 0, 0, 0]) + len(part).to_bytes(4, "big") + part for number, part in parts)
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
    (tmp_path / "answer").write_bytes(head + body)
    with fake({}) as host:
        assert Api(host).log("/services/x/logs", 2) == ["two\ufffd\\x1b[2J", "three"]
        answers(tmp_path, "missing")
        assert Api(host).log("/services/x/logs", 2) == []
