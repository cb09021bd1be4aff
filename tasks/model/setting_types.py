"""What a single setting may hold: types for ``Stack``'s fields, each with the message that refuses anything else."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from tasks.model import envfile


def matching(pattern: re.Pattern[str], message: str) -> AfterValidator:
    """Text that is all of the pattern; the message says what it is not."""

    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ValueError(f"{value!r} {message}")
        return value

    return AfterValidator(check)


def _value(text: str) -> str:
    """What an environment can carry; the name is as good as any, since only its length counts."""
    try:
        envfile.encode({"Its value": text})
    except envfile.Impossible as error:
        raise ValueError(str(error)) from None
    return text


Mount = Annotated[
    str, matching(re.compile(r"(?!(sys|auth|identity|cubbyhole)$)[a-z][a-z0-9-]*"), "is no mount name")
]
Variable = Annotated[str, matching(re.compile(r"[A-Za-z_][A-Za-z0-9_]*"), "is no name of a variable")]
TimeZone = Annotated[
    str, matching(re.compile(r"[A-Za-z][A-Za-z0-9_+/-]*"), "is no time zone (like America/Santiago)")
]
User = Annotated[
    str, matching(re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}"), "is no name of a user (like deploy)")
]
Value = Annotated[str, AfterValidator(_value)]
Port = Annotated[int, Field(ge=1, le=65535, strict=True)]
Megabytes = Annotated[int, Field(gt=0, le=2**24, strict=True)]
Cores = Annotated[float, Field(gt=0, le=1024, strict=True, allow_inf_nan=False)]
Gigabytes = Annotated[float, Field(gt=0, le=10**6, strict=True, allow_inf_nan=False)]
Seconds = Annotated[int, Field(gt=0, le=86400, strict=True)]


def _listed(value: Any) -> Any:
    """A set has another order in every run, and what is rendered from it another digest."""
    if not isinstance(value, list | tuple):
        raise ValueError("has to be a list")  # noqa: TRY004  pydantic reports no TypeError
    return value


Listed = BeforeValidator(_listed)
