"""The service ``backup``: there with the setting of that name, reading what the catalogue says, on the server's own image."""

from tasks.model.catalogue import Service, Volume
from tasks.model.given import asked, given
from tasks.model.stack import BACKUP_NET, DRILL_NET
from tasks.rendering import render
from tasks.services import load
from tasks.services.backup import RESTORED
from tests.samples import refusals, stack

BACKUP = {"endpoint": "https://s3.example.com", "bucket": "acme-backup"}


def loaded(**changes: object) -> dict[str, Service]:
    return {item.name: item for item in load(stack(backup=BACKUP, **changes))}


def test_it_comes_with_the_setting_and_last() -> None:
    assert "backup" not in [item.name for item in load(stack())]
    assert list(loaded())[-1] == "backup"
    assert refusals(services=["vault", "backup"])[-1].startswith("services.1: unknown service 'backup'")


def test_its_network_is_nobody_elses() -> None:
    assert BACKUP_NET not in stack().bridges
    assert stack(backup=BACKUP).bridges == (*stack().networks, BACKUP_NET, DRILL_NET)
    inside, drilled = (
        {item.name for each in loaded().values() for item in each.containers if name in item.networks}
        for name in (BACKUP_NET, DRILL_NET)
    )
    copying = {"backup-files", "backup-redis", "backup-check", "backup-list"}
    assert (inside, drilled) == (copying, {"restored-files", "restored-postgres"})


def test_it_only_reads_what_belongs_to_others() -> None:
    others = {
        volume.name
        for name, each in loaded().items()
        for item in each.containers
        for volume in item.volumes
        if name != "backup"
    }
    for item in loaded()["backup"].containers:
        assert {volume.name for volume in item.volumes if volume.reads} == {
            volume.name for volume in item.volumes
        } & others
        ours = item.name.startswith("restored-")
        assert all(bind.endswith(":ro") or (ours and bind.startswith(f"{RESTORED}/")) for bind in item.binds)


def test_what_is_not_listed_is_not_looked_for() -> None:
    few = loaded(services=["vault", "postgres", "n8n", "vault-auth-validator", "caddy"])
    found = {item.name: item for item in few["backup"].containers}
    copying = {"backup-files", "backup-dumps", "backup-vault", "backup-check", "backup-list"}
    assert set(found) == {*copying, "restored-files", "restored-postgres"}
    read = [volume.name for volume in found["backup-files"].volumes if volume.reads]
    assert read == ["n8n_data", "n8n_files", "caddy_data"]
    outside = loaded(
        vault_address="https://vault.example.com",
        services=["postgres", "n8n", "vault-auth-validator", "caddy"],
    )
    assert "backup-vault" not in [item.name for item in outside["backup"].containers]
    assert "VAULT_SECRET_ID" not in [item.name for item in outside["backup"].secrets]


def test_everything_runs_on_the_image_that_is_built_on_the_servers() -> None:
    names = {render.image(item) for item in loaded()["backup"].containers}
    assert names == {render.image(loaded()["postgres"].main)}
    other = loaded(overrides={"postgres": {"image": "pgvector/pgvector:0.8.9-pg16-bookworm"}})
    assert {item.base for item in (*other["backup"].containers, *other["postgres"].containers)} == {
        "pgvector/pgvector:0.8.9-pg16-bookworm"
    }
    assert render.image(other["postgres"].main) not in names


def test_nobody_is_asked_for_what_opens_the_bucket() -> None:
    services = loaded().values()
    assert {name for path, name in given(services) if path == "backup"} == {
        "S3_KEY",
        "S3_KEY_SECRET",
        "RESTIC_PASSWORD",
        "PGBACKREST_CIPHER",
        "VAULT_ROLE_ID",
        "VAULT_SECRET_ID",
    }
    assert asked(services, stack(backup=BACKUP)) == ()


def test_the_cache_is_no_loss() -> None:
    silent = [
        item
        for each in loaded()["backup"].containers
        for item in each.state
        if isinstance(item, Volume) and not item.reads and not item.lost
    ]
    assert silent == []
