"""Names of images, as Docker reads them (distribution/reference): registry/name:tag@digest."""

import re

from tasks.model.words import meant

_WORD = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST = rf"(?:{_WORD}(?:\.{_WORD})*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?"
_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
# 64 hexadecimal digits alone are an image's own number.
_NAME = re.compile(rf"(?![0-9a-f]{{64}}$)({_HOST}/)?{_PART}(/{_PART})*")
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LONGEST_NAME = 255
_REPEATABLE = "so that a run is repeatable"


def checked(text: str) -> str:
    """The reference in Docker's own short form. Raises ValueError for what no run could repeat."""
    if why := _wrong(*parted(text)):
        better = _mended(text)
        good = better != text and not _wrong(*parted(better))
        raise ValueError(f"{text!r} {meant(why, better if good else '')}")
    return familiar(text)


def parted(reference: str) -> tuple[str, str, str]:
    """Name, tag and digest, each empty where there is none. A colon before the last slash is a registry's port."""
    rest, _, digest = reference.partition("@")
    path = rest.rfind("/") + 1
    last, _, tag = rest[path:].partition(":")
    return rest[:path] + last, tag, digest


def present(reference: str) -> str:
    """What Docker lists when the image is there: of one with a digest no tag."""
    name, _, digest = parted(reference)
    return f"{name}@{digest}" if digest else reference


def is_tag(text: str) -> bool:
    """Whether an image may have it."""
    return bool(_TAG.fullmatch(text))


def is_digest(text: str) -> bool:
    """Whether it is one of those that images go by."""
    return bool(_DIGEST.fullmatch(text))


def short(reference: str) -> str:
    """With no more of a digest than tells it from others, for tables."""
    return re.sub(r"(@sha256:[0-9a-f]{12})[0-9a-f]+$", r"\1", reference)


def familiar(reference: str) -> str:
    """docker.io/library/redis:7 → redis:7, as Docker itself shows it."""
    short = re.sub(r"^(index\.)?docker\.io/", "", reference)
    return re.sub(r"^library/(?!.*/)", "", short)


def _wrong(name: str, tag: str, digest: str) -> str:
    """Why Docker would not take it, or another day another program by it; empty when neither."""
    reasons = {
        "is no image: the repository's name has to be in small letters": _capitals(name),
        "is no name of an image (like n8nio/n8n:2.30.4)": not _NAME.fullmatch(name),
        f"is no image: its name has more than {_LONGEST_NAME} characters": len(name) > _LONGEST_NAME,
        "is no image: its digest has to be sha256: and 64 hexadecimal digits in small letters": digest
        and not _DIGEST.fullmatch(digest),
        "is no image: its tag has to be 1 to 128 letters, digits, _, . and -, the last two not as its first": tag
        and not _TAG.fullmatch(tag),
        f"names no tag and no digest: write repository:tag or repository@sha256:…, {_REPEATABLE}": not tag
        and not digest,
        f"is another program tomorrow: name a version's tag or the digest, {_REPEATABLE}": tag == "latest"
        and not digest,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _capitals(name: str) -> bool:
    """In a registry's own name they are allowed; Docker takes a first part with a dot or a port for one."""
    first, _, rest = name.partition("/")
    repository = rest if rest and re.search(r"[.:]", first) else name
    return repository != repository.lower()


def _mended(text: str) -> str:
    """Without what is copied along with it: a command, an address of the web page, capitals."""
    bare = re.sub(r"^(docker pull |[a-z]+://|hub\.docker\.com/(r/|_/))+", "", text.strip())
    name, tag, digest = parted(bare)
    first, slash, rest = name.partition("/")
    name = f"{first}{slash}{rest.lower()}" if rest and re.search(r"[.:]", first) else name.lower()
    return name + (f":{tag}" if tag else "") + (f"@{digest.lower()}" if digest else "")
