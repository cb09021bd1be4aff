"""Pins: the lock file, and what is rendered with it and without."""

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.model import dockerfiles, pins
from tasks.model.stack import BadSettings, Stack
from tasks.operations import images
from tasks.rendering import render
from tasks.services import load
from tests.fake import fake
from tests.samples import stack

ONE, TWO = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
TEXT = f"""{{
  "images": {{
    "ghcr.io/acme/crm:v2": "{TWO}",
    "redis:7.4.11-alpine": "{ONE}"
  }}
}}
"""
BACKUP: dict[str, Any] = {"backup": {"endpoint": "https://s3.example.com", "bucket": "acme-backup"}}


def every(settings: Stack) -> dict[str, str]:
    """Each image of these settings, and a digest of its own."""
    found = sorted(pins.references(load(settings)))
    return {image: f"sha256:{number:064x}" for number, image in enumerate(found)}


def test_a_lock_file_is_in_order_and_ends_with_a_line() -> None:
    assert pins.text({"redis:7.4.11-alpine": ONE, "ghcr.io/acme/crm:v2": TWO}) == TEXT
    assert pins.parsed(TEXT) == {"redis:7.4.11-alpine": ONE, "ghcr.io/acme/crm:v2": TWO}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "Expecting value"),
        ("[]", "it has to be"),
        ('{"images": []}', "it has to be"),
        (f'{{"images": {{}}, "redis:7": "{ONE}"}}', "it has to be"),
        (f'{{"images": {{"redis": "{ONE}"}}}}', "'redis' is no name:tag of an image"),
        (f'{{"images": {{"redis:7@{ONE}": "{ONE}"}}}}', "is no name:tag of an image"),
        (f'{{"images": {{"docker.io/library/redis:7": "{ONE}"}}}}', "is no name:tag of an image"),
        ('{"images": {"redis:7": "sha256:12"}}', "redis:7 has no digest"),
        ('{"images": {"redis:7": null}}', "redis:7 has no digest"),
        ('{"images": {"redis:7": "7.1"}}', "redis:7 has no digest"),
        (f'{{"images": {{"redis:7": "@{ONE}"}}}}', "redis:7 has no digest"),
        (f'{{"images": {{"redis:7": "a b@{ONE}"}}}}', "redis:7 has no digest"),
        (f'{{"images": {{"redis:7": "{ONE}", "redis:7": "{TWO}"}}}}', "redis:7 stands there twice"),
        (TEXT.replace("  }", "<<<<<<< HEAD"), "Expecting"),
    ],
)
def test_what_is_no_lock_file_is_refused_with_its_path_and_what_to_do(
    text: str, why: str, tmp_path: Path
) -> None:
    file = tmp_path / "prod.lock.json"
    file.write_text(text)
    with pytest.raises(BadSettings) as error:
        pins.read(file)
    [line] = error.value.lines
    assert line.startswith(f"{file}: is no lock file of images (")
    assert why in line
    assert line.endswith(
        "take it as it was committed (git checkout), or remove it, and `make pin` writes it anew"
    )


@given(
    st.text()
    | st.recursive(st.none() | st.text(), lambda inner: st.dictionaries(st.text(), inner)).map(json.dumps)
)
def test_whatever_stands_in_a_lock_file_is_read_or_refused(text: str) -> None:
    with suppress(ValueError):
        assert isinstance(pins.parsed(text), dict)


def test_without_a_file_there_is_nothing_or_what_a_recovered_host_brings(tmp_path: Path) -> None:
    assert pins.read(tmp_path / "prod.lock.json") is None
    assert pins.read(None) is None
    assert pins.read(tmp_path / "prod.lock.json", {"redis:7": ONE}) == {"redis:7": ONE}


def test_the_file_stands_beside_the_inventory() -> None:
    pyinfra = "/srv/.venv/bin/pyinfra"
    assert pins.path([pyinfra, "-y", "inventories/staging.py", "deploy.py"]) == Path(
        "inventories/staging.lock.json"
    )
    assert pins.path([pyinfra, "-y", "@local", "tasks.commands.pin.run"]) is None
    assert pins.path(["/usr/bin/pytest", "tests/model/test_pins.py"]) is None


def loose(text: str) -> str:
    """Without what pins may change: digests, arguments of builds, names that come from them."""
    arguments = (r', RESTIC: "[^"]*"', r" *args: \{PYTHON_IMAGE: .*\n")
    for what in (r"@sha256:[0-9a-f]{64}", r'(?<="digest": ")[^"]*', *arguments):
        text = re.sub(what, "", text)
    return re.sub(r"(smarteros\.digest: \"|smarteros/[a-z-]+:)[0-9a-f]{12}", r"\1", text)


def test_nothing_but_images_differs_with_pins_and_nothing_at_all_without() -> None:
    settings = stack(**BACKUP)
    before, after = render.tree(settings), render.tree(settings.with_pins(every(settings)))
    assert render.tree(settings.with_pins({})) == before
    assert before != after
    assert {path: loose(text) for path, text in after.items()} == {
        path: loose(text) for path, text in before.items()
    }


def test_every_image_is_run_by_its_digest() -> None:
    settings = stack(**BACKUP)
    digests = every(settings)
    assert {"pgvector/pgvector", "restic/restic", "python", "redis", "caddy"} <= {
        image.split(":")[0] for image in digests
    }
    files = render.tree(settings.with_pins(digests))
    compose = "".join(text for path, text in files.items() if path.startswith("dkcompose/"))
    for image, digest in digests.items():
        assert f'"{image}@{digest}"' in compose
        assert f'"{image}"' not in compose
    built = f'      args: {{BASE: "pgvector/pgvector:0.8.7-pg16-bookworm@{digests["pgvector/pgvector:0.8.7-pg16-bookworm"]}", RESTIC: "restic/'
    assert built in files["dkcompose/postgres-deploy.yaml"]
    assert re.search(
        r"^      args: \{PYTHON_IMAGE: \"python:[^\"]+@sha256:[0-9a-f]{64}\"\}$",
        files["dkcompose/vault-auth-validator-deploy.yaml"],
        re.MULTILINE,
    )
    caddy = f"caddy:2.11.7-alpine@{digests['caddy:2.11.7-alpine']}"
    assert f'--entrypoint caddy {caddy} "$@"' in files["scripts/generate-secrets.sh"]


def test_an_image_that_is_built_here_has_another_name_for_each_base() -> None:
    def named(**digests: str) -> str:
        [service] = [item for item in load(stack(**BACKUP).with_pins(digests)) if item.name == "postgres"]
        return render.image(service.main)

    base, tool = "pgvector/pgvector:0.8.7-pg16-bookworm", dockerfiles.images("postgres")["RESTIC"]
    names = [
        named(),
        named(**{base: ONE}),
        named(**{base: TWO}),
        named(**{tool: ONE}),
        named(**{base: ONE, tool: ONE}),
    ]
    assert len(set(names)) == len(names)
    assert named(**{"redis:7.4.11-alpine": ONE}) == names[0]


def test_what_the_settings_pin_themselves_and_what_a_fork_builds_stays() -> None:
    own = f"n8nio/n8n:2.31.0@{ONE}"
    fork = {
        "fork": "https://github.com/acme/chatwoot.git",
        "upstream": "https://github.com/chatwoot/chatwoot.git",
    }
    settings = stack(
        forks={"chatwoot": fork}, overrides={"n8n": {"image": own}, "chatwoot": {"build": "v4.15.1-acme"}}
    )
    found = pins.references(load(settings))
    assert not [image for image in found if image.startswith(("n8nio/", "chatwoot/", "smarteros/"))]
    assert found["caddy:2.11.7-alpine"] == ("mcp-registry", "caddy")
    loaded = {item.name: item.main.image for item in load(settings.with_pins({"n8nio/n8n:2.31.0": TWO}))}
    assert loaded["n8n"] == own
    assert loaded["chatwoot"] == "smarteros/chatwoot:v4.15.1-acme"


def test_a_build_on_the_host_gets_its_bases_by_digest() -> None:
    with fake({}, **BACKUP) as host:
        settings = stack(**BACKUP)
        [postgres] = [item for item in load(settings.with_pins(every(settings))) if item.name == "postgres"]
        [bare] = [item for item in load(settings) if item.name == "postgres"]
        assert host
        assert re.search(
            r"--build-arg BASE=pgvector/pgvector:\S+@sha256:\S+ --build-arg RESTIC=restic/\S+@sha256:\S+ --tag",
            images.wait(postgres.main),
        )
        assert re.search(
            r"--network host --build-arg BASE=pgvector/pgvector:[^@ ]+ --tag", images.wait(bare.main)
        )


def test_an_image_without_a_pin_is_said_where_others_have_one(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = stack()
    digests = every(settings)

    def said(found: dict[str, str] | None) -> list[str]:
        monkeypatch.setattr(pins, "of", lambda _: found)
        with fake({}):
            return list(images.unpinned())

    assert said(None) == []
    assert said(digests) == []
    del digests["python:3.13-slim"], digests["redis:7.4.11-alpine"]
    assert said(digests) == [
        "images: python:3.13-slim, redis:7.4.11-alpine: pulled by tag, since what they stand for is not in the inventory's lock file: `make pin` writes it there"
    ]


def test_the_lock_file_of_an_inventory_that_was_renamed_is_said_where_its_new_name_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path("inventories")
    folder.mkdir()
    for name in ("shop.py", "lab.py", "lab.lock.json", "prod.lock.json", "prod.update.json"):
        (folder / name).touch()
    argv = ["pyinfra", "inventories/shop.py", "deploy.py"]
    said = [
        (
            f"inventories/prod.{kind}.json: no run reads it, since there is no inventories/prod.py: if that is inventories/shop.py by now, "
            f"`git mv inventories/prod.{kind}.json inventories/shop.{kind}.json`, and {then}; else remove it"
        )
        for kind, then in (("lock", "its pins count"), ("update", "the update that was cut short goes on"))
    ]
    assert list(pins.astray(argv)) == said
    monkeypatch.setattr("sys.argv", argv)
    with fake({}):
        assert list(images.unpinned()) == said
    (folder / "shop.lock.json").touch()
    assert list(pins.astray(argv)) == said[1:]
    assert list(pins.astray(["pytest", "inventories/shop.py"])) == []
    (folder / "prod.py").touch()
    assert list(pins.astray(argv)) == []


def test_bases_of_dockerfiles_are_found() -> None:
    assert {name: dict(dockerfiles.images(name)) for name in ("postgres", "vault-auth-validator")} == {
        "postgres": {"RESTIC": "restic/restic:0.18.1"},
        "vault-auth-validator": {"PYTHON_IMAGE": "python:3.13-slim"},
    }


def images_of(settings: Stack) -> dict[str, set[str]]:
    return {item.name: {each.image for each in item.containers} for item in load(settings)}


def test_an_update_is_run_in_the_place_of_what_the_settings_name() -> None:
    found = {"n8n/n8n:1.0.0": TWO, "n8nio/n8n:2.30.8": f"2.30.10@{ONE}"}
    assert pins.parsed(pins.text(found)) == found
    assert images_of(stack().with_pins(found))["n8n"] == {f"n8nio/n8n:2.30.10@{ONE}"}
    assert pins.moved(found) == {"n8nio/n8n:2.30.8": "2.30.10"}
    assert pins.moved(None) is None
    assert pins.by_tag(found) == {"n8n/n8n:1.0.0": TWO, "n8nio/n8n:2.30.10": ONE}


@pytest.mark.parametrize(
    ("named", "runs"),
    [
        ("2.30.8", f"2.30.10@{ONE}"),
        ("2.30.9", f"2.30.10@{ONE}"),  # this package has followed, and is not ahead
        ("2.30.10", f"2.30.10@{ONE}"),
        ("2.30.11", "2.30.11"),
        ("2.31.0", "2.31.0"),
        ("2.30.7", "2.30.7"),  # somebody wants the older one
        (f"2.30.9@{TWO}", f"2.30.9@{TWO}"),
        ("2.30.9-exp", "2.30.9-exp"),
    ],
)
def test_an_update_holds_until_the_settings_name_a_later_tag(named: str, runs: str) -> None:
    settings = stack(overrides={"n8n": {"image": f"n8nio/n8n:{named}"}})
    assert images_of(settings.with_pins({"n8nio/n8n:2.30.8": f"2.30.10@{ONE}"}))["n8n"] == {
        f"n8nio/n8n:{runs}"
    }


def test_bases_of_what_is_built_here_are_updated_as_well() -> None:
    found = {
        "python:3.13-slim": f"3.14-slim@{ONE}",
        "pgvector/pgvector:0.8.7-pg16-bookworm": f"0.8.8-pg16-bookworm@{TWO}",
    }
    services = {item.name: item for item in load(stack(**BACKUP).with_pins(found))}
    assert services["vault-auth-validator"].main.arguments == {"PYTHON_IMAGE": f"python:3.14-slim@{ONE}"}
    assert services["postgres"].main.base == f"pgvector/pgvector:0.8.8-pg16-bookworm@{TWO}"


def test_updates_alone_make_nobody_miss_other_pins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pins, "of", lambda _: {"n8nio/n8n:2.30.8": f"2.30.10@{ONE}"})
    with fake({}):
        assert list(images.unpinned()) == []
