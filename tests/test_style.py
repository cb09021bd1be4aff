"""The limits of the house: sizes, docstrings, a deploy.py without logic, and nothing of a developer's machine."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.samples import ROOT

MOST_FUNCTION_LINES = 45
MOST_FILE_LINES = 220

# Whole trees that are ours; caches and the lab's state are not.
OURS = (".ci", "files", "group_data", "inventories", "tasks", "templates", "tests")
FILES = sorted(
    path
    for folder in OURS
    for path in (ROOT / folder).rglob("*")
    if path.is_file()
    and not re.search(r"/(\.[^c/][^/]*|__pycache__)(/|$)", str(path.relative_to(ROOT.parent)))
)
TOP = sorted(path for path in ROOT.iterdir() if path.is_file() and path.suffix != ".log")
MODULES = [path for path in [*FILES, ROOT / "config.py", ROOT / "deploy.py"] if path.suffix == ".py"]
PRODUCT = [path for path in MODULES if path.is_relative_to(ROOT / "tasks")]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def test_the_files_were_found() -> None:
    assert {"tasks/rendering/render.py", "tests/lab/lab.py", "inventories/prod.py", "deploy.py"} <= set(
        map(name, MODULES)
    )
    assert {"templates/caddy/Caddyfile.j2", ".ci/test"} <= set(map(name, FILES))
    assert not [path for path in FILES if "__pycache__" in path.parts or ".mypy_cache" in path.parts]


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_every_module_says_what_is_here(path: Path) -> None:
    assert ast.get_docstring(parsed(path))


def test_no_function_of_the_product_is_long() -> None:
    long = [
        f"{name(path)}:{node.lineno} {node.name}: {(node.end_lineno or 0) - node.lineno + 1} lines"
        for path in PRODUCT
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef)
        # A service's description is one value, however much there is to say.
        if not (node.name == "describe" and "services" in path.parts)
        and (node.end_lineno or 0) - node.lineno + 1 > MOST_FUNCTION_LINES
    ]
    assert long == []


def test_no_file_of_the_product_is_long() -> None:
    sizes = {name(path): len(path.read_text().splitlines()) for path in PRODUCT}
    assert {path: lines for path, lines in sizes.items() if lines > MOST_FILE_LINES} == {}


def test_deploy_is_a_table_of_contents() -> None:
    docstring, *rest = parsed(ROOT / "deploy.py").body
    imports = [node for node in rest if isinstance(node, ast.ImportFrom)]
    calls = [ast.unparse(node) for node in rest if isinstance(node, ast.Expr)]
    assert isinstance(docstring, ast.Expr)
    assert [node.module for node in imports] == ["tasks"]
    assert len(rest) == len(calls) + 1
    assert all(re.fullmatch(r"\w+\.run\(\)", call) for call in calls)
    assert sorted(call.removesuffix(".run()") for call in calls) == sorted(
        alias.name for node in imports for alias in node.names
    )


# What the Makefile offers, `make help` aside.
TARGETS = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)


def messages(tree: ast.Module) -> Iterator[str]:
    """The strings of a module that are no documentation."""
    documented = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documented:
            yield node.value


def test_a_message_names_a_target_with_the_inventory_of_its_run() -> None:
    """Through tasks/model/targets.py alone: bare, each would be about production, whichever hosts the run was about."""
    assert {"deploy", "give-secrets", "undo-host"} <= {*TARGETS}
    named = re.compile(rf"\bmake ({'|'.join(TARGETS)})\b")
    bare = [
        f"{name(path)}: {found[0]}"
        for path in PRODUCT
        for text in messages(parsed(path))
        for found in named.finditer(text)
    ]
    assert bare == []


def without_encoding(tree: ast.Module) -> Iterator[int]:
    """Lines in which text is read or written as the operator's locale has it."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or {"encoding"} & {word.arg for word in node.keywords}:
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        positional = {"read_text": 0, "write_text": 1}.get(called)
        if positional is not None and len(node.args) <= positional:
            yield node.lineno
        modes = [
            arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)
        ]
        binary = any(re.fullmatch(r"[rwax+]*b[rwax+]*", mode) for mode in modes)
        ours = ast.unparse(node.func) not in ("os.open", "tarfile.open")
        if called in ("open", "fdopen") and ours and not binary:
            yield node.lineno


def test_no_file_is_read_as_the_operators_locale_has_it() -> None:
    tried = ["p.read_text()", "p.write_text(t)", "p.open()", "os.fdopen(3, 'w')", "open(p)"]
    fine = ["p.read_text('utf-8')", "p.write_text(t, 'utf-8')", "p.open('rb')", "os.open(p, 0)"]
    assert [*map(len, map(list, map(without_encoding, map(ast.parse, tried))))] == [1] * len(tried)
    assert [*map(len, map(list, map(without_encoding, map(ast.parse, fine))))] == [0] * len(fine)
    here = [path for path in MODULES if path.relative_to(ROOT).parts[0] not in ("tests", "files")]
    assert [f"{name(path)}:{line}" for path in here for line in without_encoding(parsed(path))] == []


# In a container no SSH starts it.
TALKATIVE = re.compile(r"\bbash (?!--norc )-[a-z]*c\b")


def test_no_bash_of_a_host_runs_a_command_after_its_logins_bashrc() -> None:
    """Started by SSH, bash reads ~/.bashrc for a command, too: what that prints would be part of an answer."""
    assert TALKATIVE.search("exec bash -c x")
    assert TALKATIVE.search("bash -euc x")
    assert not TALKATIVE.search("bash --norc -c x")
    found = [
        f"{name(path)}:{number}"
        for path in FILES
        if path.relative_to(ROOT).parts[0] in ("tasks", "templates", "files")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if TALKATIVE.search(line) and "docker exec " not in line
    ]
    assert found == []


# Where packages come from is a machine's business; put together, so that this file does not hold them.
REGISTRIES = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("files", "pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("deb", "debian", "org"),
        ("security", "debian", "org"),
        ("archive", "ubuntu", "com"),
        ("proxy", "golang", "org"),
    )
]
DEVELOPERS = ["/" + "work/", "/" + "tmp/w/", "/" + "home/" + "user", "/" + "Users/"]


def test_no_file_names_a_package_registry_or_a_developers_machine() -> None:
    words = re.compile("|".join(map(re.escape, [*REGISTRIES, *DEVELOPERS])))
    found = [
        f"{name(path)}: {match[0]}"
        for path in [*FILES, *TOP]
        for match in words.finditer(path.read_text(errors="replace"))
    ]
    assert found == []


@pytest.mark.parametrize("path", [path for path in FILES if path.read_bytes()[:2] == b"#!"], ids=name)
def test_scripts_are_valid(path: Path) -> None:
    shell = path.read_text().splitlines()[0]
    if shell == "#!/usr/bin/env python3":
        assert ast.parse(path.read_text()).body
        return
    assert shell in {"#!/bin/sh", "#!/bin/sh -eu", "#!/bin/bash"}
    checked = subprocess.run(
        [shell.split()[0][2:], "-n", str(path)], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")
