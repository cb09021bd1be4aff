"""Pulling: proxies and programs for credentials that people have set, asked for real below a folder, and judged."""

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.facts.pulling import ANSWERS, QUESTION, Pulling
from tasks.operations.pulling import problems, registry

DROP_IN = "/etc/systemd/system/docker.service.d/proxy.conf"
CONFIG = "/root/.docker/config.json"


@pytest.fixture
def port() -> Iterator[int]:
    """Something listens there."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def asked(root: Path) -> list[str]:
    shell = QUESTION
    for place in ("/etc/", "/root/"):
        shell = shell.replace(place, f"{root}{place}")
    env = {"PATH": f"{root}/bin:/usr/bin:/bin", "HOME": f"{root}/root"}
    done = subprocess.run(["sh", "-c", shell], env=env, capture_output=True, text=True, check=True)
    return done.stdout.replace(str(root), "").splitlines()


def write(root: Path, path: str, text: str) -> None:
    file = root / path[1:]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_a_host_without_any_has_none(tmp_path: Path) -> None:
    assert asked(tmp_path) == []


def test_proxies_that_do_not_answer_are_found_wherever_they_stand(tmp_path: Path, port: int) -> None:
    write(
        tmp_path,
        DROP_IN,
        f'[Service]\n# Environment=HTTP_PROXY=http://127.0.0.1:7\nEnvironment="HTTP_PROXY=http://127.0.0.1:{port}" '
        '"https_proxy=http://me:secret@127.0.0.1:9/" "NO_PROXY=localhost"\n',
    )
    write(
        tmp_path,
        "/etc/docker/daemon.json",
        f'{{"proxies": {{"http-proxy": "http://127.0.0.1:8", "https-proxy": "http://127.0.0.1:{port}", "no-proxy": "x"}}}}',
    )
    assert asked(tmp_path) == [
        "pull_proxy http://127.0.0.1:8|/etc/docker/daemon.json",
        f"pull_proxy http://127.0.0.1:9/|{DROP_IN}",
    ]


def test_an_address_is_asked_as_it_is_written(tmp_path: Path, port: int) -> None:
    for address, there in (
        (f"http://127.0.0.1:{port}", 0),
        (f"127.0.0.1:{port}", 0),
        (f"socks5://a:b@127.0.0.1:{port}/x", 0),
    ):
        assert subprocess.run(["sh", "-c", f"{ANSWERS}\nanswers {address}"], check=False).returncode == there
    for address, wanted in (
        ("http://proxy", "proxy 80"),
        ("https://proxy/", "proxy 443"),
        ("proxy.lan:3128", "proxy.lan 3128"),
        ("http://[::1]:3128", "::1 3128"),
        ("http://[::1]", "::1 80"),
    ):
        write(tmp_path, "/timeout", '#!/bin/sh\nshift $(($# - 2))\necho "$@"\n')
        (tmp_path / "timeout").chmod(0o755)
        shell = f"PATH={tmp_path}:$PATH\n{ANSWERS}\nanswers '{address}'"
        done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=True)
        assert done.stdout == f"{wanted}\n", address


def test_programs_for_credentials_that_are_missing_are_found(tmp_path: Path) -> None:
    write(tmp_path, "/bin/docker-credential-pass", "#!/bin/sh\n")
    (tmp_path / "bin/docker-credential-pass").chmod(0o755)
    write(
        tmp_path,
        CONFIG,
        '{\n  "auths": {"ghcr.io": {"auth": "c2VjcmV0"}},\n  "credsStore": "pass",\n  "credHelpers": {\n    "ghcr.io": "nonesuch",\n    "eu.gcr.io": "pass"\n  }\n}\n',
    )
    assert asked(tmp_path) == [f"pull_helper ghcr.io|nonesuch|{CONFIG}"]
    write(tmp_path, CONFIG, '{"credsStore": "desktop"}')
    assert asked(tmp_path) == [f"pull_helper |desktop|{CONFIG}"]


def test_what_keeps_images_away_is_said() -> None:
    found = Pulling(
        (f"http://127.0.0.1:9|{DROP_IN}",),
        (f"|desktop|{CONFIG}", f"ghcr.io|nonesuch|{CONFIG}", f"docker.io|ecr|{CONFIG}"),
    )
    assert list(problems(found, ["redis:7"])) == [
        f"docker: its proxy http://127.0.0.1:9 ({DROP_IN}) does not answer, so that no image could be pulled: start it, or take it out",
        (
            f"docker: docker-credential-desktop, which {CONFIG} names, is not installed, so that no image could be pulled: "
            'install it, or take "credsStore" out'
        ),
        f'docker: docker-credential-ecr, which {CONFIG} names for docker.io, is not installed: install it, or take docker.io out of "credHelpers"',
    ]
    assert list(problems(Pulling(), ["redis:7"])) == []


def test_an_image_comes_from_the_registry_that_it_names() -> None:
    assert [registry(name) for name in ("redis:7", "n8nio/n8n:2", "ghcr.io/a/b:1", "localhost/a:1", "r:5000/a")] == [
        "docker.io", "docker.io", "ghcr.io", "localhost", "r:5000",
    ]  # fmt: skip
