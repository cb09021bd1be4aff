"""What a single setting may hold: types for ``Stack``'s fields, each with the message that refuses anything else."""

import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

from tasks.model import envfile, zones
from tasks.model.words import kind, meant

# Of a table of settings: what it does not know is refused, and no value is shown in an error.
ENTRY = ConfigDict(frozen=True, extra="forbid", strict=False, hide_input_in_errors=True)


def matching(
    pattern: re.Pattern[str], message: str, mend: Callable[[str], str] = str.strip
) -> AfterValidator:
    """Text that is all of the pattern; the message says what it is not. mend: makes of it what was meant."""

    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            better = mend(value)
            raise ValueError(f"{value!r} {meant(message, pattern.fullmatch(better) and better)}")
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
TimeZone = Annotated[str, AfterValidator(zones.checked)]
User = Annotated[
    str, matching(re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}"), "is no name of a user (like deploy)")
]
Value = Annotated[str, AfterValidator(_value)]
Port = Annotated[int, Field(ge=1, le=65535, strict=True)]
Megabytes = Annotated[int, Field(ge=6, le=2**24, strict=True)]
# Docker takes nothing below 0.01 cores and 6 MB.
Cores = Annotated[float, Field(ge=0.01, le=1024, strict=True, allow_inf_nan=False)]
Gigabytes = Annotated[float, Field(gt=0, le=10**6, strict=True, allow_inf_nan=False)]
Seconds = Annotated[int, Field(gt=0, le=86400, strict=True)]


def _listed(value: Any) -> Any:
    """A set has another order in every run, and what is rendered from it another digest."""
    if not isinstance(value, list | tuple):
        better = re.split(r"[\s,;]+", value.strip(" ,;")) if isinstance(value, str) else None
        message = meant(f"has to be a list, and is {kind(value)}", better)
        raise ValueError(message)  # noqa: TRY004  pydantic reports no TypeError
    return value


Listed = BeforeValidator(_listed)
