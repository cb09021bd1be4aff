"""The lab's certificate authority, one per machine: images and hosts trust it as they trust the public ones."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from docker.client import DockerClient

from tests.lab.network import CACHE, LABEL

VOLUME = "smarteros-lab-authority"
PEM = "smarteros.lab.pem"
LIFETIME = timedelta(days=3650)
NO_USE = dict.fromkeys(
    (
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "encipher_only",
        "decipher_only",
    ),
    False,
)


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True)
class Authority:
    """Signs the certificates of the lab's own servers."""

    pair: Pair

    @property
    def certificate(self) -> bytes:
        """What whoever trusts the lab needs, PEM."""
        return self.pair.certificate

    def issue(self, names: Iterable[str]) -> Pair:
        """A server certificate for host names and IP addresses."""
        issuer = x509.load_pem_x509_certificate(self.pair.certificate)
        issuer_key = _load_key(self.pair.key)
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder("SmarterOS lab server", issuer.subject, key).add_extension(
            x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False
        )
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )
        issued_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
        certificate = builder.add_extension(issued_by, critical=False).sign(issuer_key, hashes.SHA256())
        return _pair(certificate, key)


def fresh() -> Authority:
    """One that nobody else knows, for a test's own server."""
    return _read(_new_authority())


def load(client: DockerClient, path: Path) -> Authority:
    """The machine's authority, kept in a volume's label, which all checkouts see; `path` is to be read by programs.

    Docker makes a volume once: of two that make it at the same time, both get the first one's. It is asked for
    it by name, since a daemon that has just started answers the making of a volume it has without its labels.
    """
    text = path.read_text() if path.exists() else _new_authority().decode()
    labels = {LABEL: CACHE, PEM: text}
    client.volumes.create(VOLUME, labels=labels)
    kept: str = client.volumes.get(VOLUME).attrs["Labels"][PEM]
    if not path.exists() or path.read_text() != kept:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(kept)
        draft.replace(path)
    return _read(kept.encode())


def _read(pem: bytes) -> Authority:
    key, begin, certificate = pem.partition(b"-----BEGIN CERTIFICATE-----")
    return Authority(Pair(certificate=begin + certificate, key=key))


def _new_authority() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder("SmarterOS lab authority", _subject("SmarterOS lab authority"), key)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    usage = x509.KeyUsage(digital_signature=True, key_cert_sign=True, crl_sign=True, **NO_USE)
    pair = _pair(builder.add_extension(usage, critical=True).sign(key, hashes.SHA256()), key)
    return pair.key + pair.certificate


def _builder(subject: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    # A day back: clocks of the machine and of containers elsewhere need not agree.
    start = datetime.now(UTC) - timedelta(days=1)
    builder = x509.CertificateBuilder(
        issuer, _subject(subject), key.public_key(), x509.random_serial_number()
    )
    builder = builder.not_valid_before(start).not_valid_after(start + LIFETIME)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _load_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError(
            "the lab authority's key is not an elliptic-curve key: `docker volume rm smarteros-lab-authority` makes room for a new one"
        )
    return key


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Pair(certificate=certificate.public_bytes(serialization.Encoding.PEM), key=private)
