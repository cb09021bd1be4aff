"""What is backed up follows from the catalogue: no state without a way of its own, or a reason why it needs none."""

from collections.abc import Iterator

from tasks.facts.kept import HOMES
from tasks.model.catalogue import Service, Volume
from tasks.model.folder import Folder
from tasks.services import load
from tests.samples import stack

LOADED = load(stack())

# Services with files and a database whose rows name none of the files.
UNPROVEN = {
    "botpress": "BPFS_STORAGE=database: the folder holds what it makes anew",
    "n8n": "binary data are in the database; the folder holds its settings",
    "dokploy": "the panel reads whatever its projects have there",
}


def state(service: Service) -> Iterator[Volume | Folder]:
    for container in service.containers:
        yield from container.state


def test_every_volume_says_how_it_is_backed_up() -> None:
    kinds = {item.name: item.backup for each in LOADED for item in state(each) if isinstance(item, Volume)}
    assert kinds == {
        "vault_data": "raft",
        "postgres_data": "postgres",
        "redis_data": "redis",
        "chatwoot_storage": "files",
        "botpress_data": "files",
        "n8n_data": "files",
        "n8n_files": "files",
        "odoo_data": "files",
        "odoo_extra": "files",
        "caddy_data": "files",
        "caddy_config": "",
        "caddy_logs": "",
    }
    folders = {item.path: item.backup for each in LOADED for item in state(each) if isinstance(item, Folder)}
    assert folders == {"/etc/dokploy": "files"}
    assert set(folders) == set(HOMES)


def test_no_state_goes_without_a_backup_and_without_a_reason() -> None:
    """A new service whose author forgot it is refused here."""
    silent = [item for each in LOADED for item in state(each) if bool(item.backup) == bool(item.lost.strip())]
    assert silent == []


def test_only_the_servers_of_data_go_a_way_of_their_own() -> None:
    """The raw folder of a database is never copied as files."""
    own = {
        each.name: item.backup for each in LOADED for item in state(each) if item.backup not in ("", "files")
    }
    assert own == {"vault": "raft", "postgres": "postgres", "redis": "redis"}
    assert [each.name for each in LOADED if each.role == "data"] == list(own)


def test_files_that_rows_name_are_proven_against_them() -> None:
    both = [
        each.name
        for each in LOADED
        if each.databases and any(item.backup == "files" for item in state(each)) and each.proof is None
    ]
    assert sorted(both) == sorted(UNPROVEN)


def test_a_proof_is_about_files_that_are_backed_up_and_a_database_of_the_service() -> None:
    proofs = {each.name: each.proof for each in LOADED if each.proof}
    assert {name: (proof.root, proof.digest) for name, proof in proofs.items()} == {
        "odoo": ("odoo_data/filestore/{database}", "sha1-hex"),
        "chatwoot": ("chatwoot_storage", "md5-base64"),
    }
    for each in LOADED:
        if each.proof:
            files = {item.name for item in state(each) if isinstance(item, Volume) and item.backup == "files"}
            assert each.proof.root.split("/")[0] in files
            assert each.databases
