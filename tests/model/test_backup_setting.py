"""The setting ``backup``: what it takes, what it is refused with, and that a stored one is read again."""

import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.samples import refusals, stack

BACKUP = {"endpoint": "https://s3.example.com", "bucket": "smarteros-backup"}


def test_nothing_is_backed_up_by_default() -> None:
    assert stack().backup is None


@pytest.mark.parametrize(
    ("endpoint", "host", "port"),
    [
        ("https://s3.example.com", "s3.example.com", 443),
        ("https://s3.example.com:8443", "s3.example.com", 8443),
        ("https://10.0.0.5:9000", "10.0.0.5", 9000),
    ],
)
def test_an_endpoint_is_a_name_and_a_port(endpoint: str, host: str, port: int) -> None:
    found = stack(backup={**BACKUP, "endpoint": endpoint}).backup
    assert found is not None
    assert (found.host, found.port, found.bucket, found.region, found.root) == (
        host,
        port,
        "smarteros-backup",
        "us-east-1",
        "",
    )


@pytest.mark.parametrize(
    ("backup", "lines"),
    [
        ({}, ["backup.bucket: is required", "backup.endpoint: is required"]),
        ("https://s3.x.cl", ["backup: has to be a table like {…: …}, and is text"]),
        ({**BACKUP, "buckett": 1}, ["backup.buckett: unknown setting (did you mean 'bucket'?)"]),
        (
            {**BACKUP, "endpoint": "s3.example.com/backup"},
            [
                "backup.endpoint: 's3.example.com/backup' is no address of an S3 server (did you mean 'https://s3.example.com'?)"
            ],
        ),
        (
            {**BACKUP, "endpoint": "https://s3.example.com:0"},
            [
                "backup.endpoint: 'https://s3.example.com:0' is no address of an S3 server (did you mean 'https://s3.example.com'?)"
            ],
        ),
        (
            {**BACKUP, "endpoint": "http://s3.example.com"},
            [
                "backup.endpoint: 'http://s3.example.com' is not encrypted, and pgBackRest speaks S3 over TLS alone: use https://"
            ],
        ),
        (
            {**BACKUP, "endpoint": "https://127.0.0.1:8333"},
            [
                "backup.endpoint: 'https://127.0.0.1:8333' is each container itself: name the server as containers reach it"
            ],
        ),
        (
            {**BACKUP, "bucket": "My_Backups"},
            ["backup.bucket: 'My_Backups' is no name of a bucket (did you mean 'my-backups'?)"],
        ),
        (
            {**BACKUP, "bucket": "10.0.0.5"},
            ["backup.bucket: '10.0.0.5' is no name of a bucket (like smarteros-backup)"],
        ),
        (
            {**BACKUP, "region": "EU-1"},
            ["backup.region: 'EU-1' is no name of a region (did you mean 'eu-1'?)"],
        ),
        (
            {**BACKUP, "root": "/no/pem"},
            ["backup.root: '/no/pem' cannot be read: No such file or directory"],
        ),
        (
            {**BACKUP, "root": "-----BEGIN CERTIFICATE-----\nnone"},
            ["backup.root: the text holds no certificate in PEM form"],
        ),
    ],
)
def test_what_is_refused(backup: Any, lines: list[str]) -> None:
    assert refusals(backup=backup) == lines


def test_a_root_is_a_file_or_what_it_holds(tmp_path: Path) -> None:
    pem = tmp_path / "ca.pem"
    made = f"openssl req -x509 -newkey ed25519 -nodes -subj /CN=root -keyout {tmp_path}/key.pem -out {pem}"
    subprocess.run(shlex.split(made), check=True, capture_output=True)
    for root in (str(pem), pem.read_text()):
        found = stack(backup={**BACKUP, "root": root}).backup
        assert found is not None
        assert found.root == pem.read_text()
