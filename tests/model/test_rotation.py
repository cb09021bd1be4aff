"""How each secret is changed, as the catalogue says it."""

from collections import Counter

from tasks.model.rotation import places
from tasks.services import load
from tests.samples import stack


def test_every_secret_but_hashes_has_its_way() -> None:
    found = places(load(stack()))
    assert Counter(one.way for one in found.values()) == {
        "deploy": 9,
        "first": 5,
        "lasting": 6,
        "signs": 3,
        "owner": 1,
    }
    owner = found["n8n#N8N_OWNER_PASSWORD"]
    assert (owner.way, owner.made, owner.service) == (
        "owner",
        ("N8N_INSTANCE_OWNER_PASSWORD_HASH",),
        "n8n Workflows",
    )
    assert "n8n#N8N_INSTANCE_OWNER_PASSWORD_HASH" not in found
    assert all(one.lost for one in found.values() if one.way == "lasting")


def test_what_services_share_is_one() -> None:
    relay = {"host": "smtp.example.com", "user": "relay", "from": "ops@example.com"}
    assert places(load(stack(mail=relay)))["mail#PASSWORD"].way == "deploy"


def test_what_opens_the_backups_is_never_changed_and_the_key_of_the_bucket_may_be() -> None:
    found = places(
        load(
            stack(backup={"endpoint": "https://s3.example.com", "bucket": "smarteros-backup", "region": "r"})
        )
    )
    ways = {str(one): (one.way, one.lost) for one in found.values() if one.path == "backup"}
    lost = ("lasting", "all backups so far, which nothing else opens")
    assert ways == {
        "backup#RESTIC_PASSWORD": lost,
        "backup#PGBACKREST_CIPHER": lost,
        **{
            f"backup#{name}": ("deploy", "")
            for name in ("S3_KEY", "S3_KEY_SECRET", "VAULT_ROLE_ID", "VAULT_SECRET_ID")
        },
    }
