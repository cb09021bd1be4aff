"""The bucket, over S3 to any server: objects and their versions, with errors as Refused that say what to do.

boto3 is heavy: whoever needs it loads this module lazily.
"""

import atexit
import base64
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004  botocore's own
    HTTPClientError,
    SSLError,
)
from certifi import where

from tasks.model.shapes import shown
from tasks.model.stack import Backup
from tasks.model.targets import target
from tasks.run import Refused

# Patience with a server, in seconds to connect and to answer; each call is tried three times.
_CONFIG = Config(
    s3={"addressing_style": "path"},
    retries={"mode": "standard", "total_max_attempts": 3},
    connect_timeout=10,
    read_timeout=60,
    # Checksums that not every server knows are sent where S3 itself asks for them, and nowhere else.
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)


class Bucket:
    """A bucket, with one credential for it."""

    def __init__(self, place: Backup, access_key: str, secret_key: str) -> None:
        self.place = place
        self.access_key = access_key
        self._login = {"aws_access_key_id": access_key, "aws_secret_access_key": secret_key}
        self.s3 = self.client("s3", place.endpoint)

    def client(self, service: str, endpoint: str | None) -> Any:
        """A client of boto3's; without an endpoint at Amazon's own."""
        trusted = _trusted(self.place.root) if endpoint == self.place.endpoint else None
        region, login = self.place.region, self._login
        with foreseen(self.place, "starting"):
            return boto3.session.Session(region_name=region).client(
                service, endpoint_url=endpoint, verify=trusted, config=_CONFIG, **login
            )

    def call(self, name: str, **options: Any) -> dict[str, Any]:
        """One call about the bucket, by boto3's name. Raises ClientError where the server refuses it, else Refused."""
        with reachable(self.place):
            found: dict[str, Any] = getattr(self.s3, name)(Bucket=self.place.bucket, **options)
            return found

    def put(self, key: str, text: bytes, **options: Any) -> str:
        """Stores an object; its version, empty where there are none."""
        # A bucket with Object Lock takes nothing without a sum of it.
        md5 = base64.b64encode(hashlib.md5(text, usedforsecurity=False).digest()).decode()
        answer = self.call("put_object", Key=key, Body=text, ContentMD5=md5, **options)
        return str(answer.get("VersionId", ""))

    def get(self, key: str, version: str = "") -> bytes:
        """What is stored there now, or was in that version."""
        chosen = {"VersionId": version} if version else {}
        with reachable(self.place):
            text: bytes = self.call("get_object", Key=key, **chosen)["Body"].read()
            return text

    def since(self, key: str) -> float:
        """When what is stored there now came there for the first time, by the server's clock: where a bucket was rewound it is a
        copy. As new as that copy where the server knows no versions.
        """
        with reachable(self.place):
            pages = self.s3.get_paginator("list_object_versions").paginate(
                Bucket=self.place.bucket, Prefix=key
            )
            try:
                found = [item for page in pages for item in page.get("Versions", []) if item["Key"] == key]
            except ClientError as error:
                if code(error) != "NotImplemented":
                    raise
                return float(self.call("head_object", Key=key)["LastModified"].timestamp())
        now = [(item["ETag"], item["Size"]) for item in found if item["IsLatest"]]
        return min(
            float(item["LastModified"].timestamp()) for item in found if (item["ETag"], item["Size"]) in now
        )

    def keys(self, prefix: str) -> list[str]:
        """The first thousand objects below a prefix."""
        found = self.call("list_objects_v2", Prefix=prefix).get("Contents", [])
        return [str(item["Key"]) for item in found]

    def folders(self) -> set[str]:
        """What there is at the top: ``pg/`` for all that is below it."""
        found = self.call("list_objects_v2", Delimiter="/")
        below = {str(item["Prefix"]) for item in found.get("CommonPrefixes", [])}
        return below | {str(item["Key"]) for item in found.get("Contents", [])}


@cache
def _trusted(root: str) -> str | None:
    """A file with the public authorities and that one, there until the process ends; None: the public ones are enough."""
    if not root:
        return None
    number, path = _passing()
    with os.fdopen(number, "w", encoding="utf-8", closefd=False) as file:
        file.write(f"{Path(where()).read_text('utf-8')}\n{root}\n")
    return path


def _passing() -> tuple[int, str]:
    """A file that nobody has to remove; where the system has none without a name, one that goes with the process unless that is killed."""
    if hasattr(os, "memfd_create"):
        number = os.memfd_create("trusted")
        return number, f"/proc/self/fd/{number}"
    number, path = tempfile.mkstemp(suffix=".pem")
    atexit.register(Path(path).unlink)
    return number, path


@contextmanager
def reachable(place: Backup) -> Iterator[None]:
    """What goes wrong on the way is Refused; what the server answers stays ClientError."""
    where = f"{place.host}:{place.port}"
    try:
        yield
    except SSLError as error:
        raise Refused(
            f"backup.endpoint: the certificate at {where} is not good for that name ({_said(error)}): name the server as "
            "its certificate does, and its authority in backup.root where that is no public one"
        ) from None
    except (ConnectionError, HTTPClientError) as error:
        raise Refused(f"backup.endpoint: nothing that speaks S3 answers at {where}: {_said(error)}") from None
    except ClientError:
        raise
    except RecursionError:  # boto3 follows a redirection to itself for ever
        raise Refused(
            f"backup.endpoint: {where} redirects to itself: that is no S3 server, or of another region"
        ) from None
    except (BotoCoreError, ValueError) as error:
        raise Refused(f"backup: {where} answers nothing that can be read: {_said(error)}") from None


@contextmanager
def foreseen(place: Backup, doing: str) -> Iterator[None]:
    """The same, and a refusal of the server's is Refused, too. doing: what was asked of it."""
    with reachable(place):
        try:
            yield
        except ClientError as error:
            raise Refused(problem(place, doing, error)) from None


def code(error: ClientError) -> str:
    """Which refusal it is: ``AccessDenied``."""
    return str(error.response.get("Error", {}).get("Code", ""))


def denied(error: ClientError) -> bool:
    """Whether the server knows who asks, and does not let them."""
    return code(error) in ("AccessDenied", "403", "Forbidden", "AllAccessDisabled", "AccessForbidden")


def problem(place: Backup, doing: str, error: ClientError) -> str:
    """What the server's refusal means, with what to do."""
    said = shown(f"{code(error)}: {error.response.get('Error', {}).get('Message', '')}")
    line = _PROBLEMS.get(code(error), "backup: {place.host} refuses {doing} ({said})")
    if denied(error):
        line = _PROBLEMS["AccessDenied"]
    return line.format(place=place, doing=doing, said=said)


_KEY = "backup: {place.host} does not know this access key or its secret ({said}): look for a miscopied one"
_REGION = "backup.region: {place.host} serves the bucket {place.bucket} in another region than {place.region} ({said})"
_PROBLEMS = {
    "AccessDenied": "backup: {place.host} does not let this access key do that: {doing} ({said})",
    "InvalidAccessKeyId": _KEY,
    "SignatureDoesNotMatch": _KEY,
    "AuthorizationHeaderMalformed": _REGION,
    "PermanentRedirect": _REGION,
    "IllegalLocationConstraintException": _REGION,
    "301": _REGION,
    "RequestTimeTooSkewed": "backup: the clock of this machine and that of {place.host} differ ({said}): set them",
    "NoSuchBucket": "backup.bucket: {place.host} has no bucket {place.bucket}: "
    + target("bucket KIT=…")
    + " makes it",
    "BucketAlreadyExists": "backup.bucket: {place.bucket} is somebody else's at {place.host}: choose another name",
    "SlowDown": "backup: {place.host} is too busy: {doing} ({said}); try again later",
}


def _said(error: Exception) -> str:
    return shown(str(error).rpartition("(Caused by ")[2] or str(error))
