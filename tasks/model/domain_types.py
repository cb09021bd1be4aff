"""Names and addresses in settings: domains, e-mail, URLs."""

import re
import unicodedata
from typing import Annotated

from pydantic import AfterValidator

from tasks.model.setting_types import matching
from tasks.model.words import meant

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
DOMAIN = re.compile(rf"(?=.{{4,253}}$)({_LABEL}\.)+(?!\d+$){_LABEL}")
# Printable ASCII without a blank, and without what would end a value in a Caddyfile.
URL = r"[!#-\[\]-_a-z|~]"
_EMAIL = re.compile(r"(?!.*\.[.@])[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")


def _domain(text: str) -> str:
    if DOMAIN.fullmatch(text):
        return text
    if found := _mixed(text):
        raise ValueError(f"{text!r} mixes Latin letters with {found!r}, a {unicodedata.name(found).lower()}")
    message = "is no domain name (like smarterbot.cl)"
    if "*" in text:
        message = "is a wildcard, and here each service gets a name and a certificate of its own"
    raise ValueError(f"{text!r} {meant(message, bare(text))}")


def bare(text: str) -> str:
    """The domain in an address, in capitals, with a port or in letters of its language; empty when there is none."""
    name = re.sub(r"^[a-z][a-z0-9+.-]*://", "", text.strip().lower())
    name = re.split(r"[/?#]|:\d*(?=[/?#]|$)", name)[0]
    return _ascii(name.strip(".").removeprefix("*.").replace("_", "-"))


def _ascii(name: str) -> str:
    """A name as DNS has it: müller.cl → xn--mller-kva.cl; empty when it cannot be one."""
    if len(name) > 253:
        return ""
    if not name.isascii():
        import idna  # noqa: PLC0415  rarely needed, and slow to load

        try:
            name = idna.encode(name, uts46=True).decode()
        except idna.IDNAError:
            return ""
    return name if DOMAIN.fullmatch(name) else ""


def _mixed(text: str) -> str:
    """A letter that looks like a Latin one between Latin ones; empty when there is none."""
    for label in text.lower().split("."):
        if re.search(r"[a-z]", label.removeprefix("xn--")):
            for sign in label:
                if unicodedata.name(sign, "").startswith(("CYRILLIC", "GREEK", "ARMENIAN")):
                    return sign
    return ""


def _email(text: str) -> str:
    if _EMAIL.fullmatch(text):
        return text
    first = re.split(r"[\s,;<>]+", re.sub(r"^\s*mailto:|^[^<]*<", "", text, flags=re.IGNORECASE).strip())[0]
    local, at, domain = first.rpartition("@")
    better = f"{local}{at}{bare(domain)}"
    raise ValueError(f"{text!r} {meant('is no e-mail address', better if _EMAIL.fullmatch(better) else '')}")


def _https(text: str) -> str:
    text = text.strip()
    known = re.match(r"(?i)(https?)://", text)
    if known:
        return known[0].lower() + text[known.end() :]
    return f"https://{text}" if re.match(r"[\w-]+(\.[\w-]+)+([:/]|$)", text) else ""


Domain = Annotated[str, AfterValidator(_domain)]
Email = Annotated[str, AfterValidator(_email)]
Address = Annotated[
    str,
    matching(
        re.compile(rf"https?://((?!/){URL})+"),
        "is no address like https://host:port",
        lambda text: _https(text).rstrip("/"),
    ),
]
Directory = Annotated[
    str,
    matching(re.compile(rf"(https?://{URL}+)?"), "is no address like https://host/directory", _https),
]
