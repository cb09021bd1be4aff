"""Certificates: what Caddy has stored for each name, read where it keeps them; asked within StatusFact."""

from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

VOLUME = "caddy_data"


@dataclass(frozen=True)
class Certificate:
    """Who has signed it, and from when until when it counts (seconds since 1970)."""

    issuer: str
    since: float
    until: float


# volumes: ``name mountpoint`` lines. Only the first certificate of a file, which is the domain's own; one that is cut
# short is none. Their keys lie beside them, and are not read.
QUESTION = rf"""
kept=$(printf '%s\n' "$volumes" | sed -n 's/^{VOLUME} //p')
[ -z "$kept" ] || find "$kept/caddy/certificates" -name '*.crt' -exec awk '
    FNR == 1 {{text = ""; open = 1; name = FILENAME; sub(/.*\//, "", name); sub(/\.crt$/, "", name)}}
    open && /^-----END/ {{print "certificate", name, text; open = 0}}
    open && !/^-----/ {{text = text $0}}' {{}} + 2>/dev/null
""".strip()


def certificates(values: Mapping[str, Sequence[str]]) -> dict[str, Certificate]:
    """Name → the one that counts longest, where several authorities have signed one. What is no certificate stays out."""
    found: dict[str, Certificate] = {}
    for name, certificate in _read(values.get("certificate", ())):
        if name not in found or found[name].until < certificate.until:
            found[name] = certificate
    return found


def _read(lines: Sequence[str]) -> Iterator[tuple[str, Certificate]]:
    for line in lines:
        name, _, text = line.partition(" ")
        with suppress(ValueError):
            yield name, _parsed(b64decode(text, validate=True))


def _parsed(data: bytes) -> Certificate:
    from cryptography import x509  # noqa: PLC0415  slow to load, and no deploy needs it

    found = x509.load_der_x509_certificate(data)
    oids = (x509.NameOID.ORGANIZATION_NAME, x509.NameOID.COMMON_NAME)
    names = [str(item.value) for oid in oids for item in found.issuer.get_attributes_for_oid(oid)]
    since, until = found.not_valid_before_utc, found.not_valid_after_utc
    return Certificate((names or ["unknown"])[0], since.timestamp(), until.timestamp())
