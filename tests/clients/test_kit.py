"""The kit: what comes of a recovery key is the same for ever, and a kit that is not right is refused with what is wrong."""

import hashlib
import hmac
import json
from dataclasses import asdict, replace
from pathlib import Path

import nacl.public
import pytest

from tasks.clients import kit
from tasks.model.stack import Backup
from tasks.run import Refused
from tests.fake import fake

KEY = bytes(range(32))
PLACE = Backup(endpoint="https://s3.example.com", bucket="smarteros-backup", region="eu-1")


def hkdf(info: str) -> bytes:
    """RFC 5869 by its two lines, for one block."""
    extracted = hmac.digest(bytes(32), KEY, "sha256")
    return hmac.digest(extracted, f"smarteros/{info}".encode() + b"\1", "sha256")


def test_what_comes_of_a_key_never_changes() -> None:
    keys = kit.derived(KEY)
    assert (keys.restic, keys.pgbackrest) == (
        "_lttUt47PNVe3ql4dr205jF18gqdd7I1k9wV22QtCvw",
        "lu5WkytMweMDy79GvMcGX1iCOrhOYSEOyXWl2Jm--VU",
    )
    assert keys.private == hkdf("state")


def test_the_written_key_reads_back_however_it_was_copied() -> None:
    text = kit.written(KEY)
    assert text == "AAAQ-EAYE-AUDA-OCAJ-BIFQ-YDIO-B4IB-CEQT-CQKR-MFYY-DENB-WHA5-DYPQ"
    for copy in (text, text.lower(), text.replace("-", " "), f"  {text}\n", text.replace("O", "0")):
        assert kit.recovery(copy) == KEY


@pytest.mark.parametrize("text", ["", "AAAQ", "ÄÄÄÄ" * 13, kit.written(KEY)[:-1], kit.written(KEY) + "AAAA"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(kit.BadKey, match="is no recovery key: 13 groups of four"):
        kit.recovery(text)


def test_only_the_kit_opens_what_was_sealed() -> None:
    made = kit.new(PLACE, "AK", "SK")
    other = kit.new(PLACE, "AK", "SK")
    box = kit.sealed(kit.held_of(made).public, b"keys")
    assert kit.opened(made.keys.private, box) == b"keys"
    assert nacl.public.SealedBox(nacl.public.PrivateKey(made.keys.private)).decrypt(box) == b"keys"
    flipped = bytes([box[0], box[1] ^ 1]) + box[2:]
    for private, wrong in ((other.keys.private, box), (made.keys.private, flipped), (made.keys.private, b"")):
        with pytest.raises(Refused, match="does not open with this kit"):
            kit.opened(private, wrong)


def test_the_host_gets_no_key_of_the_sealed_state() -> None:
    made = kit.new(PLACE, "AK", "SK")
    held = kit.held_of(made)
    text = json.dumps(asdict(held))
    assert made.keys.private.hex() not in text
    assert made.recovery_key not in text
    assert kit.fingerprint(bytes.fromhex(held.public)) == made.fingerprint
    assert hashlib.sha256(bytes.fromhex(held.public)).hexdigest()[:4] == made.fingerprint[:4]


def test_a_kit_is_written_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "kit.json"
    made = kit.new(PLACE, "AK", "SK")
    kit.write(path, made)
    assert path.stat().st_mode & 0o777 == 0o600
    assert kit.read(path) == made
    assert made.backup == PLACE
    with pytest.raises(Refused, match=r"kit\.json cannot be written: File exists"):
        kit.write(path, kit.new(PLACE, "AK", "SK"))
    assert kit.read(path) == made


def test_a_kit_that_is_not_right_says_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "kit.json"
    assert kit.read(path) is None
    made = kit.new(PLACE, "AK", "SK")
    other = kit.new(PLACE, "AK", "SK")
    for text, said in (
        ("x", "is no kit that can be read: no JSON"),
        ("{}", "is no kit that can be read: endpoint: "),
        (
            json.dumps(asdict(replace(made, recovery_key="A"))),
            "is no kit that can be read: is no recovery key",
        ),
        (json.dumps(asdict(replace(made, recovery_key=other.recovery_key))), "one of them was miscopied"),
    ):
        path.write_text(text)
        with pytest.raises(Refused) as refused:
            kit.read(path)
        assert said in str(refused.value)
        assert made.secret_key not in str(refused.value).replace("SmarterOS", "")


def test_what_this_machine_keeps_is_for_its_owner_alone(tmp_path: Path) -> None:
    value = kit.held_of(kit.new(PLACE, "AK", "SK"))
    with fake({}, state_dir=str(tmp_path)):
        assert kit.held() is None
        kit.hold(value)
        assert kit.held() == value
        assert kit.file() == tmp_path / "fake" / "one" / "backup.json"
        assert kit.file().stat().st_mode & 0o777 == 0o600
        kit.file().write_text("{")
        with pytest.raises(Refused, match="`make bucket KIT=…` with the kit makes it again"):
            kit.held()
