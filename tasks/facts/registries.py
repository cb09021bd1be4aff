"""Registries: what the tags of images stand for now, and which there are, asked from where the images are pulled."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from shlex import quote
from typing import Any

from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError

from tasks.model import image_names
from tasks.model.dockerfiles import FOLDER
from tasks.model.shapes import shown
from tasks.rendering.docker_calls import SOCKET

PROGRAM = FOLDER / "ask_registries.py"

# What Docker says of a tag that it cannot tell of, in its older and its newer store → what that means. The first that it is.
_MEANT = (
    (
        r"denied|unauthorized|authentication required|name unknown|name not known|insufficient_scope",
        "there is no such repository, or no access to it ({said}): a private one wants docker login, as root, on the host",
    ),
    (r"manifest.* unknown|not found$", "there is no such tag"),
    (
        r"no such host|time-?out|deadline exceeded|connection refused|unreachable|connection reset|EOF|server misbehaving",
        "its registry does not answer ({said}): run again once it does",
    ),
)


@dataclass(frozen=True)
class Registered:
    """What is known of an image's tag. digest: empty where it is ``wrong`` that stands for why; likewise tags and unlisted."""

    digest: str = ""
    wrong: str = ""
    tags: tuple[str, ...] = ()
    unlisted: str = ""

    @property
    def why(self) -> str:
        """There is no digest: as people say it, which of them it is where that is known, else as Docker says it."""
        found = (text for pattern, text in _MEANT if re.search(pattern, self.wrong, re.IGNORECASE))
        return next(found, "{said}").format(said=self.wrong or "nothing was said")

    @property
    def absent(self) -> bool:
        """Whether the registry has answered, and has no such tag."""
        return self.why == _MEANT[1][1]


class RegistriesFact(FactBase[Mapping[str, Registered]]):
    """Image → what is known of it; nothing where Docker is absent."""

    patience = 1800  # the program gives each registry its own
    tags = False

    def command(self, *images: str) -> str:
        """Prints a line of JSON for each image."""
        wanted = {"images": images, "socket": SOCKET.removeprefix("unix://"), "tags": self.tags}
        return f"""
command -v docker >/dev/null || exit 0
command -v python3 >/dev/null || fail "there is no python3, which comes with a deploy"
python3 -I -c {quote(PROGRAM.read_text("utf-8"))} {quote(json.dumps(wanted))} || fail "images cannot be asked about"
""".strip()

    @staticmethod
    def default() -> Mapping[str, Registered]:
        """No Docker."""
        return {}

    def process(self, output: list[str]) -> Mapping[str, Registered]:
        """Lines → Registered. Raises FactProcessError for output that is not the program's."""
        try:
            found = [json.loads(line) for line in output]
            return {str(item["image"]): _registered(item) for item in found}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise FactProcessError(f"cannot read what registries say: {error}") from None


class TagsFact(RegistriesFact):
    """The same, with all tags of each image's repository."""

    tags = True


def _registered(found: dict[str, Any]) -> Registered:
    """What a registry may say is shown, and goes into a file: nothing of it is taken for a digest or a tag that is none."""
    digest = str(found.get("digest", ""))
    if digest and not image_names.is_digest(digest):
        raise ValueError(f"{digest[:80]!r} is no digest")
    return Registered(
        digest=digest,
        wrong=shown(str(found.get("wrong", ""))),
        tags=tuple(tag for tag in map(str, found.get("tags", ())) if image_names.is_tag(tag)),
        unlisted=shown(str(found.get("unlisted", ""))),
    )
