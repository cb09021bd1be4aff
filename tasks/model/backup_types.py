"""The setting ``backup``: what its fields may hold."""

import re
from ipaddress import IPv4Address
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from tasks.model.domain_types import DOMAIN, bare
from tasks.model.setting_types import matching
from tasks.model.words import meant

_PORT = re.compile(r"[1-9]\d{0,4}")


def _endpoint(text: str) -> str:
    """Without a path: a bucket is a path of its own there."""
    found = re.fullmatch(r"https://([a-z0-9.-]+)(?::(\d+))?", text)
    name, port = (found[1], found[2]) if found else ("", None)
    if found and (name == "localhost" or _here(name)):
        raise ValueError(f"{text!r} is each container itself: name the server as containers reach it")
    if found and (DOMAIN.fullmatch(name) or _address(name)) and (port is None or _port(port)):
        return text
    if text.startswith("http://"):
        raise ValueError(f"{text!r} is not encrypted, and pgBackRest speaks S3 over TLS alone: use https://")
    better = bare(text)
    raise ValueError(
        f"{text!r} {meant('is no address of an S3 server (like https://s3.example.com)', better and f'https://{better}')}"
    )


def _port(text: str) -> bool:
    return _PORT.fullmatch(text) is not None and int(text) <= 65535


def _address(text: str) -> IPv4Address | None:
    try:
        return IPv4Address(text)
    except ValueError:
        return None


def _here(text: str) -> bool:
    found = _address(text)
    return found is not None and (found.is_loopback or found.is_unspecified)


def parts(endpoint: str) -> tuple[str, int]:
    """Name and port of an endpoint that was found good."""
    split = urlsplit(endpoint)
    return split.hostname or "", split.port or 443


# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html, which other servers take, too.
_BUCKET = re.compile(r"(?!\d+\.\d+\.\d+\.\d+$)(?!.*\.[.-])(?!.*-\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_REGION = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")

Endpoint = Annotated[str, AfterValidator(_endpoint)]
Bucket = Annotated[
    str,
    matching(
        _BUCKET,
        "is no name of a bucket (like smarteros-backup)",
        lambda text: re.sub(r"[\s_]+", "-", text.strip().lower().removeprefix("s3://").strip("/")),
    ),
]
Region = Annotated[
    str, matching(_REGION, "is no name of a region (like eu-central-1)", lambda text: text.strip().lower())
]
