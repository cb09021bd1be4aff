"""The lab's image recipes: which one stands in for what, and what makes an image be built anew."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest

from tests.lab.bare import SYSTEMS
from tests.lab.image_inputs import Input, InputError, added_authorities, binary, read_inputs
from tests.lab.images import (
    FOLDER,
    RECIPES,
    LabImageError,
    base_recipes,
    digest,
    fill_context,
    recipe_folder,
    recipe_for,
    staged,
)

CONTRACT_DOUBLES = {"botpress", "chatwoot", "dokploy", "metabase"}


@pytest.mark.parametrize(
    ("reference", "recipe"),
    [
        ("n8nio/n8n:2.30.8", "n8n"),
        ("odoo:16.0-20250909", "odoo"),
        ("dokploy/dokploy:v0.30.2", "dokploy"),
        ("pgvector/pgvector:0.8.7-pg16-bookworm", "postgres"),
        ("caddy", "caddy"),
        ("docker.io/library/redis:8", "redis"),
        ("docker.io/openbao/openbao:2.6.4@sha256:" + "0" * 64, "openbao"),
        ("python:3.13-slim", "python"),
    ],
)
def test_an_upstream_reference_leads_to_its_recipe(reference: str, recipe: str) -> None:
    assert recipe_for(reference) == recipe


def test_an_image_without_a_recipe_is_named_with_what_to_do() -> None:
    with pytest.raises(LabImageError) as error:
        recipe_for("localhost:5000/grafana/grafana:13.2.0")
    assert str(error.value) == (
        "no lab image stands in for localhost:5000/grafana/grafana:13.2.0: "
        f"add localhost:5000/grafana/grafana to RECIPES (known: {', '.join(sorted(RECIPES))})"
    )


@pytest.mark.parametrize("name", sorted(set(RECIPES.values())))
def test_every_recipe_has_its_folder_and_only_known_bases(name: str) -> None:
    bases = [recipe_folder(base).name for base in base_recipes(recipe_folder(name)).values()]
    assert bases == (["double"] if name in CONTRACT_DOUBLES else ["trixie"])


def test_an_unknown_recipe_is_refused() -> None:
    with pytest.raises(
        LabImageError, match=f"no recipe named nothing: {FOLDER}/nothing/Dockerfile is missing"
    ):
        recipe_folder("nothing")


def test_a_dockerfile_names_its_bases_in_arguments(tmp_path: Path) -> None:
    text = "ARG BASE\nARG BASE_TOOLS=python\nFROM ${BASE}\nARG VERSION=1\nRUN echo ARG BASE=no\n"
    (tmp_path / "Dockerfile").write_text(text)
    assert base_recipes(tmp_path) == {"BASE": "trixie", "BASE_TOOLS": "python"}


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    folder = tmp_path / "recipe"
    (folder / "sub").mkdir(parents=True)
    (folder / "Dockerfile").write_text("FROM scratch\n")
    (folder / "sub" / "run").write_text("#!/bin/sh\n")
    return folder


def an_input(name: str) -> Input:
    return Input(name, lambda _context: None)


def test_the_digest_is_the_same_for_the_same_content(recipe: Path) -> None:
    first = digest(recipe, {"BASE": "b:1"}, [an_input("i 1")], {"f": b"x"})
    (recipe / "Dockerfile").touch()
    assert digest(recipe, {"BASE": "b:1"}, [an_input("i 1")], {"f": b"x"}) == first
    assert len(first) == 12


def test_the_digest_changes_with_everything_that_goes_into_the_image(recipe: Path) -> None:
    seen = [digest(recipe, {}, [], {})]
    seen.append(digest(recipe, {"BASE": "b:1"}, [], {}))
    seen.append(digest(recipe, {"BASE": "b:2"}, [], {}))
    seen.append(digest(recipe, {}, [an_input("i 1")], {}))
    seen.append(digest(recipe, {}, [an_input("i 2")], {}))
    seen.append(digest(recipe, {}, [], {"f": b"x"}))
    seen.append(digest(recipe, {}, [], {"f": b"y"}))
    (recipe / "sub" / "run").chmod(0o755)
    seen.append(digest(recipe, {}, [], {}))
    (recipe / "sub" / "run").write_text("#!/bin/sh\nexit 1\n")
    seen.append(digest(recipe, {}, [], {}))
    (recipe / "sub" / "run").rename(recipe / "sub" / "walk")
    seen.append(digest(recipe, {}, [], {}))
    assert len(set(seen)) == len(seen) == 10


def test_what_running_a_recipes_python_leaves_is_no_part_of_the_image(recipe: Path, tmp_path: Path) -> None:
    before = digest(recipe, {}, [], {})
    (recipe / "sub" / "__pycache__").mkdir()
    (recipe / "sub" / "__pycache__" / "run.pyc").write_bytes(b"compiled")
    assert digest(recipe, {}, [], {}) == before
    fill_context(tmp_path / "context", recipe, [], {})
    assert not (tmp_path / "context" / "sub" / "__pycache__").exists()


def test_a_build_context_holds_files_inputs_and_staged_files(recipe: Path, tmp_path: Path) -> None:
    context = tmp_path / "context"
    context.mkdir()
    item = binary("pytest", "pytest/__main__.py")
    fill_context(context, recipe, [item], {"lab-ca.crt": b"certificate"})
    names = sorted(str(path.relative_to(context)) for path in context.rglob("*") if path.is_file())
    assert names == ["Dockerfile", "__main__.py", "lab-ca.crt", "sub/run"]
    assert (context / "__main__.py").stat().st_mode & 0o777 == 0o755
    assert item.version == f"binary pytest {version('pytest')} pytest/__main__.py"


def test_a_recipe_gets_the_files_that_its_dockerfile_copies_and_no_other(recipe: Path) -> None:
    given = {"lab-ca.crt": b"certificate", "other": b"x"}
    assert staged(recipe, given) == {}
    (recipe / "Dockerfile").write_text("FROM scratch\n# COPY other\nCOPY lab-ca.crt machine-ca /etc/\n")
    assert staged(recipe, given) == {"lab-ca.crt": b"certificate"}


@pytest.mark.parametrize("name", SYSTEMS.values())
def test_every_system_of_a_host_has_its_recipe(name: str) -> None:
    folder = recipe_folder(name)
    bases = list(base_recipes(folder).values())
    assert (bases, list(staged(folder, {"lab-ca.crt": b""}))) in (([], ["lab-ca.crt"]), (["host"], []))


def test_a_root_file_system_is_of_the_suite_that_is_named(tmp_path: Path) -> None:
    path = tmp_path / "inputs"
    path.write_text("rootfs --variant=minbase\nrootfs bookworm --variant=minbase\n")
    assert [item.version for item in read_inputs(path)] == [
        "rootfs trixie --variant=minbase",
        "rootfs bookworm --variant=minbase",
    ]


def test_an_input_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "inputs"
    path.write_text("# a comment\nbinary only-one-word\n")
    with pytest.raises(InputError) as error:
        read_inputs(path)
    assert str(error.value) == (
        f"{path}: cannot read 'binary only-one-word'; write rootfs …, binary PACKAGE PATH or machine-ca"
    )


def test_a_binary_of_a_package_that_is_not_installed_says_what_to_install() -> None:
    with pytest.raises(
        InputError, match="no-such-package is not installed: pip install the project's test requir"
    ):
        binary("no-such-package", "bin/x")


def test_only_the_authorities_that_debian_does_not_ship_are_the_machines_own(tmp_path: Path) -> None:
    ours, theirs = (
        f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----" for text in ("AAAA", "BBBB")
    )
    (tmp_path / "known").mkdir()
    (tmp_path / "known" / "debian.crt").write_text(theirs + "\n")
    (tmp_path / "bundle.crt").write_text(f"{theirs}\n{ours}\n{ours}\n")
    assert added_authorities(tmp_path / "bundle.crt", tmp_path / "known") == [ours]
    assert added_authorities(tmp_path / "absent.crt", tmp_path / "known") == []
