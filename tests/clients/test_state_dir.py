"""Where Vault's keys are to be kept is looked at before Vault makes them."""

import os
from pathlib import Path

from tasks.clients.vault_access import unfit


def test_a_folder_that_is_to_be_made_is_fine(tmp_path: Path) -> None:
    assert list(unfit(tmp_path / "state" / "lab-1")) == []


def test_a_file_in_its_way_is_named(tmp_path: Path) -> None:
    file = tmp_path / "state"
    file.write_text("")
    assert list(unfit(file / "lab-1")) == [
        f"state_dir: nothing can be stored in {file} on this machine: choose another folder, or make that one yours"
    ]
    assert os.access(file, os.W_OK)


def test_a_folder_that_others_may_write_into_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "lab-1"
    folder.mkdir()
    assert list(unfit(folder)) == []
    folder.chmod(0o777)
    assert list(unfit(folder)) == [
        f"state_dir: others may write into {folder} on this machine, where Vault's keys are: chmod go-w {folder}"
    ]
