"""What a single setting may hold: types for ``Stack``'s fields, each with the message that refuses anything else."""

import re
import ssl
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from tasks.model import envfile

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"(?=.{{4,253}}$)({_LABEL}\.)+(?!\d+$){_LABEL}")
_IMAGE = re.compile(r"[a-z0-9][a-z0-9._/:-]*:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}(@sha256:[0-9a-f]{64})?")
_REVISION = re.compile(r"[0-9a-f]{7,40}|(?=.*\d)[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)
# Nothing that a shell or git could take for more than an address: no blank, no quote, no leading dash.
_REPOSITORY = re.compile(
    r"(https?://HOST/|ssh://(USER@)?HOST/|USER@HOST:|file:///|/)[\w.~/+%-]+".replace(
        "HOST", r"[A-Za-z0-9][A-Za-z0-9.-]*(:\d+)?"
    ).replace("USER", r"\w[\w.-]*"),
    re.ASCII,
)
PATH = r"(?!.*(\.\.|//))\w[\w./-]*"
# Printable ASCII without a blank, and without what would end a value in a Caddyfile.
_URL = r"[!#-\[\]-_a-z|~]"
_EMAIL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._%+-]*@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")


def matching(pattern: re.Pattern[str], message: str) -> AfterValidator:
    """Text that is all of the pattern; the message says what it is not."""

    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ValueError(f"{value!r} {message}")
        return value

    return AfterValidator(check)


def _pem(path: str) -> str:
    """The file's certificates: what is trusted is part of the settings, wherever the file stands."""
    try:
        file = Path(path).expanduser()
        # A device would be read for ever.
        text = "" if not path or (file.exists() and not file.is_file()) else file.read_text()
    except (OSError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path!r} cannot be read: {getattr(error, 'strerror', error)}") from None
    try:
        if path:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (OSError, ValueError):
        raise ValueError(f"{path!r} holds no certificate in PEM form") from None
    return text


def _path(path: str) -> str:
    """One on this machine. Not from the current folder, which is this repository as a rule."""
    try:
        if not path.isprintable() or not Path(path).expanduser().is_absolute():
            raise ValueError(f"{path!r} is no path like /srv/smarteros or ~/smarteros")
    except RuntimeError:
        raise ValueError(f"{path!r} begins with a user that this machine does not have") from None
    return path


def _value(text: str) -> str:
    """What an environment can carry; the name is as good as any, since only its length counts."""
    try:
        envfile.encode({"Its value": text})
    except envfile.Impossible as error:
        raise ValueError(str(error)) from None
    return text


Domain = Annotated[str, matching(_DOMAIN, "is no domain name (like smarterbot.cl)")]
Image = Annotated[str, matching(_IMAGE, "names no tag: write repository:tag, so that a run is repeatable")]
Revision = Annotated[
    str,
    matching(
        _REVISION,
        "is no commit (7 to 40 hexadecimal digits) and no tag with a digit (like v4.15.1-acme): "
        "name no branch, so that a run is repeatable",
    ),
]
Email = Annotated[str, matching(_EMAIL, "is no e-mail address")]
Address = Annotated[
    str, matching(re.compile(rf"https?://((?!/){_URL})+"), "is no address like https://host:port")
]
Directory = Annotated[
    str, matching(re.compile(rf"(https?://{_URL}+)?"), "is no address like https://host/directory")
]
Network = Annotated[
    str,
    # Docker's own names are no networks of containers: on ``host`` they would share the host's.
    matching(
        re.compile(r"(?!(host|none|bridge|default)$)[a-z][a-z0-9_.-]*"),
        "is no name of a network (like smarter-net)",
    ),
]
Mount = Annotated[
    str, matching(re.compile(r"(?!(sys|auth|identity|cubbyhole)$)[a-z][a-z0-9-]*"), "is no mount name")
]
Variable = Annotated[str, matching(re.compile(r"[A-Za-z_][A-Za-z0-9_]*"), "is no name of a variable")]
TimeZone = Annotated[
    str, matching(re.compile(r"[A-Za-z][A-Za-z0-9_+/-]*"), "is no time zone (like America/Santiago)")
]
Interface = Annotated[
    str,
    matching(re.compile(r"(?!lo$)[A-Za-z0-9][A-Za-z0-9_.@-]{0,14}"), "is no network interface (like eth0)"),
]
User = Annotated[
    str, matching(re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}"), "is no name of a user (like deploy)")
]
Value = Annotated[str, AfterValidator(_value)]
Pem = Annotated[str, AfterValidator(_pem)]
LocalPath = Annotated[str, AfterValidator(_path)]
OptionalPath = Annotated[str, AfterValidator(lambda path: path and _path(path))]
Port = Annotated[int, Field(ge=1, le=65535, strict=True)]
Megabytes = Annotated[int, Field(gt=0, le=2**24, strict=True)]
Cores = Annotated[float, Field(gt=0, le=1024, strict=True, allow_inf_nan=False)]
Gigabytes = Annotated[float, Field(gt=0, le=10**6, strict=True, allow_inf_nan=False)]
Seconds = Annotated[int, Field(gt=0, le=86400, strict=True)]


McpName = Annotated[
    str,
    Field(max_length=200),
    matching(
        re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*/[A-Za-z0-9][A-Za-z0-9._-]*"),
        "is no name like io.github.owner/server",
    ),
]
McpText = Annotated[
    str,
    matching(
        re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,100}"), "is not one line of 1 to 100 characters"
    ),
]
McpVersion = Annotated[
    str,
    matching(
        re.compile(r"(?!latest$)[A-Za-z0-9][A-Za-z0-9._+-]{0,254}", re.IGNORECASE),
        "is no version (like 1.2.0)",
    ),
]
McpRemote = Annotated[
    str,
    Field(max_length=2000),
    matching(
        re.compile(rf"https?://((?![/@<>]){_URL})+(/((?![<>]){_URL})*)?"),
        "is no address like https://host/mcp",
    ),
]


def _listed(value: Any) -> Any:
    """A set has another order in every run, and what is rendered from it another digest."""
    if not isinstance(value, list | tuple):
        raise ValueError("has to be a list")  # noqa: TRY004  pydantic reports no TypeError
    return value


Listed = BeforeValidator(_listed)


def _peer(text: str) -> str:
    """One way to write it, which is nft's."""
    try:
        found = ip_network(text)
    except ValueError:
        raise ValueError(f"{text!r} is no address or network (like 203.0.113.7 or 2001:db8:7::/64)") from None
    if found.prefixlen == 0:
        raise ValueError(f"{text!r} is everybody")
    return str(found.network_address if found.num_addresses == 1 else found)


Peer = Annotated[str, AfterValidator(_peer)]


def _repository(address: str) -> str:
    """The message does not show what may hold a password."""
    if re.match(r"https?://[^/]*@", address):
        raise ValueError("holds a login: use an address without one, or ssh (git@host:owner/name.git)")
    if not _REPOSITORY.fullmatch(address):
        raise ValueError(f"{address!r} is no address of a git repository (like https://host/owner/name.git)")
    return address


Repository = Annotated[str, AfterValidator(_repository)]
