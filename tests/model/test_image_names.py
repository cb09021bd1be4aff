"""Images are named as Docker names them, and so that a run is repeatable; what is wrong is said, and what was meant."""

import pytest

from tasks.model import image_names
from tests.samples import refusals, stack

DIGEST = f"sha256:{'0123456789abcdef' * 4}"
REPEATABLE = "so that a run is repeatable"
NO_TAG = f"names no tag and no digest: write repository:tag or repository@sha256:…, {REPEATABLE}"
TOMORROW = f"is another program tomorrow: name a version's tag or the digest, {REPEATABLE}"
CAPITALS = "is no image: the repository's name has to be in small letters"
NO_DIGEST = "is no image: its digest has to be sha256: and 64 hexadecimal digits in small letters"
NO_TAG_AT_ALL = (
    "is no image: its tag has to be 1 to 128 letters, digits, _, . and -, the last two not as its first"
)


def image(reference: str) -> dict[str, dict[str, str]]:
    return {"n8n": {"image": reference}}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("n8nio/n8n:2.30.4", "n8nio/n8n:2.30.4"),
        (f"n8nio/n8n@{DIGEST}", f"n8nio/n8n@{DIGEST}"),
        (f"n8nio/n8n:2.30.4@{DIGEST}", f"n8nio/n8n:2.30.4@{DIGEST}"),
        (f"n8nio/n8n:latest@{DIGEST}", f"n8nio/n8n:latest@{DIGEST}"),
        ("docker.io/n8nio/n8n:2.30.4", "n8nio/n8n:2.30.4"),
        ("index.docker.io/library/redis:7", "redis:7"),
        ("library/redis:7", "redis:7"),
        ("library/acme/redis:7", "library/acme/redis:7"),
        ("localhost:5000/n8n:1", "localhost:5000/n8n:1"),
        ("[2001:db8::7]:5000/n8n:1", "[2001:db8::7]:5000/n8n:1"),
        ("GHCR.io/smartercl/n8n:V1", "GHCR.io/smartercl/n8n:V1"),
        ("a/b/c/d__e-f.g:1", "a/b/c/d__e-f.g:1"),
    ],
)
def test_an_image_is_kept_as_docker_lists_it(given: str, kept: str) -> None:
    assert stack(overrides=image(given)).override("n8n").image == kept


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ("n8nio/n8n", NO_TAG),
        ("host:5000/n8n", NO_TAG),
        ("n8nio/n8n:latest", TOMORROW),
        ("N8nio/n8n:2.30.4", f"{CAPITALS} (did you mean 'n8nio/n8n:2.30.4'?)"),
        ("ghcr.io/SmarterCL/n8n:V1", f"{CAPITALS} (did you mean 'ghcr.io/smartercl/n8n:V1'?)"),
        ("N8nio/n8n", CAPITALS),
        (f"n8nio/n8n@{DIGEST.upper()}", f"{NO_DIGEST} (did you mean 'n8nio/n8n@{DIGEST}'?)"),
        ("n8nio/n8n@sha256:0123", NO_DIGEST),
        (f"n8nio/n8n@sha512:{'a' * 128}", NO_DIGEST),
        ("n8nio/n8n:-1", NO_TAG_AT_ALL),
        ("n8nio/n8n:" + "a" * 129, NO_TAG_AT_ALL),
        (" n8nio/n8n:1", "is no name of an image (did you mean 'n8nio/n8n:1'?)"),
        ("docker pull n8nio/n8n:1", "is no name of an image (did you mean 'n8nio/n8n:1'?)"),
        ("docker://n8nio/n8n:1", "is no name of an image (did you mean 'n8nio/n8n:1'?)"),
        ("https://hub.docker.com/r/n8nio/n8n:1", "is no name of an image (did you mean 'n8nio/n8n:1'?)"),
        ("n8nio//n8n:1", "is no name of an image (like n8nio/n8n:2.30.4)"),
        ("n8nio/n8n___x:1", "is no name of an image (like n8nio/n8n:2.30.4)"),
        (f"{'a' * 64}:1", "is no name of an image (like n8nio/n8n:2.30.4)"),
        ("", "is no name of an image (like n8nio/n8n:2.30.4)"),
        ("b/" * 130 + "a:1", "is no image: its name has more than 255 characters"),
    ],
)
def test_what_is_wrong_with_an_image_is_said(given: str, line: str) -> None:
    assert refusals(overrides=image(given)) == [f"overrides.n8n.image: {given!r} {line}"]


def test_docker_lists_an_image_with_a_digest_without_its_tag() -> None:
    assert image_names.present("n8nio/n8n:2.30.4") == "n8nio/n8n:2.30.4"
    assert image_names.present(f"host:5000/n8n:2.30.4@{DIGEST}") == f"host:5000/n8n@{DIGEST}"
    assert image_names.present(f"n8nio/n8n@{DIGEST}") == f"n8nio/n8n@{DIGEST}"
