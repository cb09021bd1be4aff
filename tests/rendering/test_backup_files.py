"""The backup's units: which parts there are, when they start, and what confines them."""

import re

import pytest

from tasks.rendering import backup_files, render
from tests.samples import stack

BACKUP = {"endpoint": "https://s3.example.com", "bucket": "acme-backup"}


def units(**changes: object) -> dict[str, str]:
    return backup_files.units(stack(backup=BACKUP, **changes), render.CURRENT)


def test_without_the_setting_there_is_nothing() -> None:
    assert backup_files.units(stack(), render.CURRENT) == {}
    assert not [path for path in render.tree(stack()) if path.startswith("backup/")]


def test_each_part_has_a_timer_and_what_notes_its_failure() -> None:
    found = units()
    names = {part.unit for part in backup_files.PARTS}
    assert set(found) == {
        *(f"{name}.service" for name in names),
        *(f"{name}.timer" for name in names),
        "smarteros-backup-failed@.service",
    }
    assert all(backup_files.is_ours(name) for name in found)
    # One of the operator's, whose name is like ours.
    assert not backup_files.is_ours("smarteros-backup.timer")
    for name, text in found.items():
        if name.endswith(".service"):
            assert re.search(r"^TimeoutStartSec=\d+$", text, re.MULTILINE)
            assert ("OnFailure=smarteros-backup-failed@%N.service" in text) is ("@" not in name)


def test_what_is_not_listed_is_no_part() -> None:
    few = units(services=["vault", "n8n", "postgres", "vault-auth-validator", "caddy"])
    assert not [name for name in few if "redis" in name]
    outside = stack(
        backup=BACKUP,
        vault_address="https://vault.example.com",
        services=["postgres", "n8n", "vault-auth-validator", "caddy"],
    )
    assert [part.name for part in backup_files.parts(outside)] == [
        "heartbeat", "files", "postgres", "dumps", "check",
    ]  # fmt: skip
    assert {"backup/vault.sh", "backup/redis.sh"}.isdisjoint(render.tree(outside))


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("smarteros-heartbeat.timer", ["OnCalendar=*:*:0/30", "AccuracySec=1s"]),
        (
            "smarteros-backup-files.timer",
            ["OnActiveSec=10s", "OnBootSec=1min", "OnUnitActiveSec=45s", "AccuracySec=1s"],
        ),
        ("smarteros-backup-postgres.timer", ["OnCalendar=0/6:20", "OnBootSec=5min"]),
        ("smarteros-backup-vault.timer", ["OnCalendar=*:07", "OnBootSec=5min"]),
    ],
)
def test_timers_start_them_in_time(name: str, lines: list[str]) -> None:
    timer = units()[name].split("[Timer]\n")[1].split("\n\n")[0]
    assert timer.splitlines() == lines


def test_a_one_off_is_gone_however_its_unit_ends() -> None:
    files = units()["smarteros-backup-files.service"]
    assert (
        """ExecStopPost=/bin/sh -c '[ "$SERVICE_RESULT" = success ] || docker rm --force --volumes backup-files """
        ">/dev/null 2>&1 || true'\n"
    ) in files


def test_another_bucket_is_prepared_anew() -> None:
    one, other = (stack(backup={**BACKUP, "bucket": name}) for name in ("acme-backup", "acme-other"))
    assert render.bucket(one) != render.bucket(other)
    assert render.bucket(stack()) == ""
    assert render.bucket(one) in render.tree(one)["backup/prepare.sh"]
