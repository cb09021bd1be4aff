"""What containers are made of, in settings: images, revisions, repositories."""

import re
from typing import Annotated

from pydantic import AfterValidator

from tasks.model import image_names
from tasks.model.setting_types import matching

_REVISION = re.compile(r"[0-9a-f]{7,40}|(?=.*\d)[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)
# Nothing that a shell or git could take for more than an address: no blank, no quote, no leading dash.
_REPOSITORY = re.compile(
    r"(https?://HOST/|ssh://(USER@)?HOST/|USER@HOST:|file:///|/)[\w.~/+%-]+".replace(
        "HOST", r"[A-Za-z0-9][A-Za-z0-9.-]*(:\d+)?"
    ).replace("USER", r"\w[\w.-]*"),
    re.ASCII,
)
PATH = r"(?!.*(\.\.|//))\w[\w./-]*"


Image = Annotated[str, AfterValidator(image_names.checked)]
Revision = Annotated[
    str,
    matching(
        _REVISION,
        "is no commit (7 to 40 hexadecimal digits) and no tag with a digit (like v4.15.1-acme): "
        "name no branch, so that a run is repeatable",
    ),
]


def _repository(address: str) -> str:
    """The message does not show what may hold a password."""
    if re.match(r"https?://[^/]*@", address):
        raise ValueError("holds a login: use an address without one, or ssh (git@host:owner/name.git)")
    if not _REPOSITORY.fullmatch(address):
        raise ValueError(f"{address!r} is no address of a git repository (like https://host/owner/name.git)")
    return address


Repository = Annotated[str, AfterValidator(_repository)]
