"""Files and folders of this machine, in settings."""

import ssl
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator


def _pem(path: str) -> str:
    """The file's certificates: what is trusted is part of the settings, wherever the file stands. Settings that were
    stored hold the certificates themselves.
    """
    if path.startswith("-----BEGIN CERTIFICATE-----\n"):
        return _trusted(path, "the text")
    try:
        file = Path(path).expanduser()
        # A device would be read for ever.
        text = "" if not path or (file.exists() and not file.is_file()) else file.read_text("utf-8")
    except (OSError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path!r} cannot be read: {getattr(error, 'strerror', error)}") from None
    return path and _trusted(text, repr(path))


def _trusted(text: str, what: str) -> str:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (OSError, ValueError):
        raise ValueError(f"{what} holds no certificate in PEM form") from None
    return text


def _path(path: str) -> str:
    """One on this machine. Not from the current folder, which is this repository as a rule."""
    try:
        if not path.isprintable() or not Path(path).expanduser().is_absolute():
            raise ValueError(f"{path!r} is no path like /srv/smarteros or ~/smarteros")
    except RuntimeError:
        raise ValueError(f"{path!r} begins with a user that this machine does not have") from None
    return path


Pem = Annotated[str, AfterValidator(_pem)]
LocalPath = Annotated[str, AfterValidator(_path)]
OptionalPath = Annotated[str, AfterValidator(lambda path: path and _path(path))]
