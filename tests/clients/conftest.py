"""A real S3 server that makes keys, one for the whole folder."""

from collections.abc import Iterator

import pytest

from tests.lab import s3


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.S3]:
    """Running, and found under its name."""
    with s3.running_s3(tmp_path_factory.mktemp("s3"), iam=True) as server, s3.reached():
        yield server
