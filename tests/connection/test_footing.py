"""What is amiss on this machine is one line before the first connection; what a host is told names it once."""

import subprocess
import sys
from pathlib import Path

import pytest

from tasks.connection.footing import _missing, one_line, trouble
from tasks.connection.said import nameless, once
from tests.samples import ROOT

HERE = {"pyinfra": "3.10.0", "paramiko": "5.1.0"}
ANEW = "make the virtual environment anew: .ci/venv .venv"
PLAN = (
    "--dry with -y shows no plan, since -y leaves out what finds the changes: take -y away (`make plan` does)"
)


def test_nothing_is_amiss_here() -> None:
    assert trouble(["pyinfra", "--dry", "inventories/prod.py", "deploy.py"], ROOT, HERE, []) == ""
    assert trouble(["pyinfra", "-y", "inventories/prod.py", "deploy.py"], ROOT, HERE, []) == ""


def test_a_dry_run_with_yes_is_no_plan() -> None:
    for yes in ("-y", "--yes"):
        assert trouble(["pyinfra", yes, "--dry", "i.py", "deploy.py"], ROOT, HERE, []) == PLAN


def test_another_folder_would_miss_the_settings(tmp_path: Path) -> None:
    assert trouble(["pyinfra", "i.py", "deploy.py"], tmp_path, HERE, []) == (
        f"no settings: pyinfra reads group_data in the current folder, and {tmp_path} has no group_data/all.py: "
        "change into the folder of this repository first"
    )
    assert trouble(["pyinfra", "--group-data", "/srv/data", "i.py"], tmp_path, HERE, []) == ""


def test_a_file_of_settings_that_no_inventory_reads_is_named(tmp_path: Path) -> None:
    for name in ("group_data/all.py", "group_data/production.py", "inventories/prod.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    argv = ["pyinfra", "--dry", "inventories/prod.py", "deploy.py"]
    assert trouble(argv, tmp_path, HERE, []) == (
        "group_data/production.py is read by no inventory: prod.py reads group_data/prod.py: rename it"
    )
    (tmp_path / "group_data/prod.py").touch()
    assert trouble(argv, tmp_path, HERE, []) == ""


def test_a_mistake_in_a_file_of_settings_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "group_data").mkdir()
    (tmp_path / "group_data/all.py").write_text('zone = "a.cl"\n\nservices = [\n')
    assert trouble([], tmp_path, HERE, []) == "group_data/all.py, line 3: '[' was never closed"
    file = tmp_path / "group_data/prod.py"
    file.write_text("zone = 1\nimport no_such_module\n")
    with pytest.raises(ModuleNotFoundError) as raised:
        exec(compile(file.read_text(), str(file), "exec"), {})  # as pyinfra does
    assert one_line(raised.value, str(file)) == (
        "group_data/prod.py, line 2: ModuleNotFoundError: No module named 'no_such_module'"
    )


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("from group_data.all import services\n", "services"),
        ("from group_data.all import overrides\noverrides = {**overrides, 'n8n': {}}\n", "overrides"),
        ("from group_data.all import overrides as _all\noverrides = {**_all, 'n8n': {}}\n", ""),
        ("from group_data.all import *\n", ""),
        ("from group_data.all import services\n__all__ = ['services']\n", ""),
        ("from __future__ import annotations\nfrom os import environ\nzone = environ['ZONE']\n", ""),
    ],
)
def test_a_setting_that_an_import_brings_is_named(tmp_path: Path, text: str, name: str) -> None:
    """Pyinfra would leave it out, and deploy with the default."""
    (tmp_path / "group_data").mkdir()
    (tmp_path / "group_data/all.py").write_text("services = []\noverrides = {}\n")
    (tmp_path / "group_data/prod.py").write_text(text)
    said = (
        "group_data/prod.py, line 1: pyinfra takes no name for a setting that an import brings: "
        f"import {name} as _{name}, and set {name} from that"
    )
    assert trouble([], tmp_path, HERE, []) == (said if name else "")


def test_another_pyinfra_or_a_package_that_is_missing_is_named() -> None:
    older = {"pyinfra": "3.5.1", "paramiko": "4.0.0"}
    assert trouble([], ROOT, older, []) == f"pyinfra 3.5.1 is installed here, and this needs 3.10: {ANEW}"
    older = {"pyinfra": "3.10.2", "paramiko": "4.0.0"}
    assert trouble([], ROOT, older, []) == f"paramiko 4.0.0 is installed here, and this needs 5.1: {ANEW}"
    assert trouble([], ROOT, {"pyinfra": "3.10.0", "paramiko": "6.0.1"}, []) == ""
    assert trouble([], ROOT, HERE, ["hvac", "yaml"]) == f"not installed here: hvac, yaml: {ANEW}"
    assert _missing(["yaml", "no_such_package_here"]) == ["no_such_package_here"]


def test_an_inventory_of_an_earlier_release_is_told_the_new_name() -> None:
    code = "from tasks.inventory import hosts"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "tasks.inventory is now tasks.connection.inventory: write that in its place\n"


def test_pyinfra_shows_what_is_said_without_a_file_of_this_program() -> None:
    # In a process of its own: pyinfra's command line replaces Python's threads.
    code = """
from pyinfra_cli.exceptions import WrappedError
from tasks.connection.said import Said
try:
    raise Said("zone: is required")
except Said as error:
    WrappedError(error).show()
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert done.stderr.endswith("pyinfra error\x1b[0m: zone: is required\n"), done.stderr


def test_a_host_is_named_once() -> None:
    assert once("lab-1", "clock: behind") == "lab-1: clock: behind"
    assert once("lab-1", "lab-1 cannot take this") == "lab-1 cannot take this"
    assert once("lab-1", "lab-10 is no name of it") == "lab-1: lab-10 is no name of it"
    assert nameless("lab-1", "lab-1: sudo does not") == "sudo does not"
    assert nameless("lab-1", "lab-1 is locked") == "is locked"
    assert nameless("lab-1", "clock of lab-1") == "clock of lab-1"
