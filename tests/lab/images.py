"""The lab's images: built here from Debian, PyPI and npm, since no container registry is assumed.

A recipe is a folder under tests/lab/images/: a Dockerfile, the files it copies and, when the build needs
something that is not in the repository, a file `inputs` (see image_inputs.py). The tag carries a digest of all
that goes in, so an image is built once and built anew as soon as any part of it changes.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import docker
from docker.client import DockerClient
from docker.errors import ImageNotFound

from tests.lab.image_inputs import Input, read_inputs

FOLDER = Path(__file__).with_suffix("")
REPOSITORY = "smarteros-lab"
LABELS = {"smarteros.lab": "image"}
DEFAULT_BASE = "trixie"

# Debian packages that building needs on the machine itself.
MACHINE_PACKAGES = ("mmdebstrap", "debian-archive-keyring", "ca-certificates")

# Upstream repository → the recipe of its double.
RECIPES = {
    "botpress/server": "botpress",
    "caddy": "caddy",
    "chatwoot/chatwoot": "chatwoot",
    "dokploy/dokploy": "dokploy",
    "metabase/metabase": "metabase",
    "n8nio/n8n": "n8n",
    "odoo": "odoo",
    "openbao/openbao": "openbao",
    "pgvector/pgvector": "postgres",
    "python": "python",
    "redis": "redis",
    "restic/restic": "restic",
}

# What running and checking a recipe's Python leaves beside it: no part of the image.
CACHES = ("__pycache__", ".mypy_cache", ".ruff_cache")

Progress = Callable[[str], None]


class LabImageError(Exception):
    """An image of the lab is unknown or could not be built."""


def recipe_for(reference: str) -> str:
    """The recipe that stands in for an upstream image, e.g. n8nio/n8n:2.30.8 → n8n."""
    repository = _repository(reference)
    if repository not in RECIPES:
        known = ", ".join(sorted(RECIPES))
        raise LabImageError(
            f"no lab image stands in for {reference}: add {repository} to RECIPES (known: {known})"
        )
    return RECIPES[repository]


def _repository(reference: str) -> str:
    """The repository without digest, tag and Docker Hub's own prefixes."""
    name = reference.split("@", 1)[0]
    head, slash, last = name.rpartition("/")
    name = head + slash + last.split(":", 1)[0]
    return name.removeprefix("docker.io/").removeprefix("library/")


def ensure(
    docker_client: DockerClient,
    name: str,
    progress: Progress = print,
    stage_files: Mapping[str, bytes] | None = None,
) -> str:
    """The tag of the image built from recipe `name`, built (bases first) only when that tag is absent.

    `stage_files` are extra files for the build contexts whose Dockerfile names them; they count towards the digest.
    """
    recipe = recipe_folder(name)
    given = dict(stage_files or {})
    bases = {
        argument: ensure(docker_client, base, progress, given)
        for argument, base in base_recipes(recipe).items()
    }
    extra = staged(recipe, given)
    inputs = read_inputs(recipe / "inputs")
    tag = f"{REPOSITORY}/{name}:{digest(recipe, bases, inputs, extra)}"
    if _present(docker_client, tag):
        return tag
    started = time.monotonic()
    progress(f"building {tag}")
    with tempfile.TemporaryDirectory(prefix="smarteros-lab-") as temporary:
        context = Path(temporary)
        fill_context(context, recipe, inputs, extra)
        _build(docker_client, context, tag, bases)
    progress(f"built {tag} in {time.monotonic() - started:.0f} s")
    return tag


def recipe_folder(name: str) -> Path:
    """The folder of a recipe, which must hold a Dockerfile."""
    folder = FOLDER / name
    if not (folder / "Dockerfile").is_file():
        known = ", ".join(sorted(path.parent.name for path in FOLDER.glob("*/Dockerfile")))
        raise LabImageError(f"no recipe named {name}: {folder}/Dockerfile is missing (known: {known})")
    return folder


def staged(recipe: Path, given: Mapping[str, bytes]) -> dict[str, bytes]:
    """What of the given files a recipe's Dockerfile copies."""
    text = (recipe / "Dockerfile").read_text()
    return {
        name: content
        for name, content in given.items()
        if re.search(rf"^COPY .*\b{re.escape(name)}\b", text, re.MULTILINE)
    }


def base_recipes(recipe: Path) -> dict[str, str]:
    """Build argument → recipe, from each `ARG BASE…` line: `ARG BASE` is trixie, `ARG BASE=python` is python."""
    lines = re.findall(r"^ARG (BASE\w*)(?:=(\S+))?\s*$", (recipe / "Dockerfile").read_text(), re.MULTILINE)
    return {argument: base or DEFAULT_BASE for argument, base in lines}


def digest(
    recipe: Path, bases: Mapping[str, str], inputs: list[Input], stage_files: Mapping[str, bytes]
) -> str:
    """Twelve hex digits over everything that decides what the image holds."""
    total = hashlib.sha256()
    for part in _parts(recipe, bases, inputs, stage_files):
        total.update(len(part).to_bytes(8, "big") + part)
    return total.hexdigest()[:12]


def _parts(
    recipe: Path, bases: Mapping[str, str], inputs: list[Input], stage_files: Mapping[str, bytes]
) -> Iterator[bytes]:
    for path in sorted(path for path in recipe.rglob("*") if path.is_file()):
        if not set(CACHES).isdisjoint(path.relative_to(recipe).parts):
            continue
        executable = bool(path.stat().st_mode & 0o100)
        yield f"file {path.relative_to(recipe)} {executable}".encode()
        yield path.read_bytes()
    for argument, tag in sorted(bases.items()):
        yield f"base {argument} {tag}".encode()
    for item in inputs:
        yield f"input {item.version}".encode()
    for name, content in sorted(stage_files.items()):
        yield f"stage {name}".encode()
        yield content


def fill_context(context: Path, recipe: Path, inputs: list[Input], stage_files: Mapping[str, bytes]) -> None:
    """Put the recipe's files, its inputs and the staged files into an empty build context."""
    shutil.copytree(recipe, context, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*CACHES))
    for item in inputs:
        item.write(context)
    for name, content in stage_files.items():
        (context / name).write_bytes(content)


def _present(docker_client: DockerClient, tag: str) -> bool:
    try:
        docker_client.images.get(tag)
    except ImageNotFound:
        return False
    return True


def _build(docker_client: DockerClient, context: Path, tag: str, bases: Mapping[str, str]) -> None:
    # The machine's own network: a default bridge would get a public resolver, which may not be reachable.
    events = docker_client.api.build(
        path=str(context), tag=tag, buildargs=dict(bases), labels=LABELS,
        rm=True, forcerm=True, decode=True, network_mode="host",
    )  # fmt: skip
    log: list[str] = []
    for event in events:
        log.append(event.get("stream", ""))
        if "error" in event:
            tail = "\n".join("".join(log).splitlines()[-40:])
            raise LabImageError(f"building {tag} failed: {event['error']}\n{tail}")


def main(arguments: list[str] | None = None) -> None:
    """`python -m tests.lab.images build NAME...`: build images by hand, all of them without a name."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab.images", description=__doc__)
    build = parser.add_subparsers(required=True, metavar="COMMAND").add_parser("build", help="build images")
    build.add_argument("names", nargs="*", metavar="NAME", default=sorted(set(RECIPES.values())))
    client = docker.from_env(timeout=1800)
    for name in parser.parse_args(arguments).names:
        size = client.images.get(ensure(client, name)).attrs["Size"]
        print(f"{name}: {size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
