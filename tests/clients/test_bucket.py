"""The bucket, at a real server: objects come back, and what goes wrong says what to do."""

import socket
import ssl
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tasks.clients import bucket
from tasks.clients.bucket import Bucket, foreseen
from tasks.model.stack import Backup
from tasks.run import Refused
from tests.lab import s3
from tests.openbao import free_port


def place(server: s3.S3, **changes: Any) -> Backup:
    return Backup.model_validate({**server.setting, **changes})


def test_whom_it_trusts_leaves_no_file_even_where_the_process_is_killed(
    server: s3.S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    bucket._trusted.cache_clear()
    Bucket(place(server, bucket="trusted"), *s3.ADMIN).call("create_bucket")
    assert list(tmp_path.iterdir()) == []


def test_an_object_comes_back_with_its_version(server: s3.S3) -> None:
    store = Bucket(place(server, bucket="versioned"), *s3.ADMIN)
    store.call("create_bucket")
    store.call("put_bucket_versioning", VersioningConfiguration={"Status": "Enabled"})
    first, second = store.put("pg/a", b"one"), store.put("pg/a", b"\0two")
    store.put("b", b"")
    assert (store.get("pg/a"), store.get("pg/a", first), store.get("pg/a", second)) == (
        b"\0two",
        b"one",
        b"\0two",
    )
    assert store.keys("pg/") == ["pg/a"]
    assert store.folders() == {"pg/", "b"}


@pytest.mark.parametrize(
    ("key", "changes", "said"),
    [
        (
            ("AKIANOBODY", "hunter2"),
            {},
            "backup: s3.example.net does not know this access key or its secret (InvalidAccessKeyId: ",
        ),
        (
            (s3.ADMIN[0], "hunter2"),
            {},
            "backup: s3.example.net does not know this access key or its secret (SignatureDoesNotMatch: ",
        ),
        (
            s3.ADMIN,
            {"bucket": "not-made"},
            "backup.bucket: s3.example.net has no bucket not-made: `make bucket KIT=…` makes it",
        ),
        (
            s3.HOST,
            {"bucket": "not-its-own"},
            "backup: s3.example.net does not let this access key do that: listing (AccessDenied: Access Denied.)",
        ),
    ],
)
def test_a_refusal_says_what_to_do(
    server: s3.S3, key: tuple[str, str], changes: dict[str, str], said: str
) -> None:
    store = Bucket(place(server, **changes), *key)
    with pytest.raises(Refused) as refused, foreseen(store.place, "listing"):
        store.keys("")
    assert str(refused.value).startswith(said)
    assert key[1] not in str(refused.value)


def test_a_certificate_of_an_unknown_authority_is_named(server: s3.S3) -> None:
    store = Bucket(place(server, root=""), *s3.ADMIN)
    with pytest.raises(Refused, match=r"its authority in backup\.root where that is no public one"):
        store.keys("")


def test_where_nobody_listens_is_named(server: s3.S3) -> None:
    port = free_port()
    store = Bucket(place(server, endpoint=f"https://{s3.NAME}:{port}"), *s3.ADMIN)
    with pytest.raises(Refused, match=rf"nothing that speaks S3 answers at s3\.example\.net:{port}: "):
        store.keys("")


@contextmanager
def talking(server: s3.S3, text: bytes) -> Iterator[int]:
    """A port at which each request gets this text, over TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.folder / "server.crt", server.folder / "server.key")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    raw, _ = listener.accept()
                    with context.wrap_socket(raw, server_side=True) as connection:
                        connection.recv(65536)
                        connection.sendall(text)
                except OSError:
                    if listener.fileno() < 0:
                        return

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n<htm",
            "backup: s3.example.net refuses listing (500: ",
        ),
        (
            b"HTTP/1.1 301 M\r\nContent-Length: 0\r\n\r\n",
            "redirects to itself: that is no S3 server, or of another region",
        ),
        (
            b"HTTP/1.1 418 T\r\nContent-Length: 0\r\n\r\n",
            "backup: s3.example.net refuses listing (418: ",
        ),
    ],
)
def test_another_server_is_no_s3(server: s3.S3, text: bytes, said: str) -> None:
    with talking(server, text) as port:
        store = Bucket(place(server, endpoint=f"https://{s3.NAME}:{port}"), *s3.ADMIN)
        with pytest.raises(Refused) as refused, foreseen(store.place, "listing"):
            store.keys("")
    assert said in str(refused.value)


def test_what_the_server_refuses_can_be_told_apart(server: s3.S3) -> None:
    store = Bucket(place(server, bucket="not-its-own"), *s3.HOST)
    with pytest.raises(ClientError) as caught:
        store.keys("")
    assert bucket.denied(caught.value)
