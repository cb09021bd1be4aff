"""What restic 0.14 and pgBackRest 2.45 have written opens with the key that was derived for them, and with no other."""

import base64
import json

import pytest

from tasks.clients import kit
from tasks.clients.openings import Closed, pgbackrest, restic

KEYS = kit.derived(bytes(range(32)))
# `restic init` with RESTIC_PASSWORD.
KEY = json.dumps(
    {
        "created": "2026-11-27T05:32:41.179809355Z",
        "username": "root",
        "hostname": "vm",
        "kdf": "scrypt",
        "N": 32768,
        "r": 8,
        "p": 5,
        "salt": "5heBcfs5NCkf8IPFsbpUerzjFKrrd9/13ZMa00OIVMpD7Cnr8RBZd9hedm2VuU+bBDakS5xn9VKMS8nFL8hN8w==",
        "data": (
            "ihT8alj+bzQfavmn5bp+uFH9UIUPH0zPoSJVzfYYkdrBeblgoH2WTqwg8eLMOTw24SSK9mDPG01/sM5kZZo/D3ndtZooz+2o64sQ4+h/S//QpCO8"
            "rQlpLIzfVpPMCWnB6ra1fJCnJdHdWooc+RYtUIOCKyGep03MhRC0alDMNCpkSWXVwPyHBhaI0gFK0VLyZcNrfGGja5DRvzw/8Bu1Qg=="
        ),
    }
).encode()
CONFIG = base64.b64decode(
    "CoccSAnqHCNz57bdXgIloeg9q/ozZ1ER+hLZ3hZY9Qev5p4mHxwqOwMtLEObbVW9r9eGP4+6SC0/kKHfWJA+e8hjHiPhi4Eay2hclGRr4fZ1LDBMU1uj"
    "wtveJi9O8EU0BRAjIIUw8hlVAQAMOH+aeHpzxWIRjIXPoCayltB3UT4KmPnD6N3yYQzsI0qMO0mDPBt216ZSxL1aQz8="
)
# `pgbackrest repo-put` with that cipher.
INFO = base64.b64decode(
    "U2FsdGVkX18MtfIJ7dHbls2Nqr11GAsb+Rc7rfmFwXIPuhOquMdzcjfl5NJy5kYo2nKOH27rPj4/Jd8UFrQVvkfAzTVGnnZl5+2G/7BJefQ="
)


def test_both_open_with_what_was_derived_for_them() -> None:
    restic(KEYS.restic, KEY, CONFIG)
    pgbackrest(KEYS.pgbackrest, INFO)


def flipped(text: bytes, at: int) -> bytes:
    return text[:at] + bytes([text[at] ^ 1]) + text[at + 1 :]


@pytest.mark.parametrize(
    ("password", "key", "config"),
    [
        (KEYS.pgbackrest, KEY, CONFIG),
        ("", KEY, CONFIG),
        (KEYS.restic, b"{}", CONFIG),
        (KEYS.restic, b"\xff", CONFIG),
        (KEYS.restic, KEY.replace(b"32768", b"32767"), CONFIG),
        (KEYS.restic, KEY, flipped(CONFIG, 40)),
        (KEYS.restic, KEY, b""),
    ],
)
def test_restics_opens_with_nothing_else(password: str, key: bytes, config: bytes) -> None:
    with pytest.raises(Closed, match="restic's repository does not open"):
        restic(password, key, config)


@pytest.mark.parametrize(
    ("passphrase", "info"),
    [(KEYS.restic, INFO), (KEYS.pgbackrest, b"[backrest]"), (KEYS.pgbackrest, INFO[:-1]), ("", INFO)],
)
def test_pgbackrests_opens_with_nothing_else(passphrase: str, info: bytes) -> None:
    with pytest.raises(Closed, match="pgBackRest's archive"):
        pgbackrest(passphrase, info)
