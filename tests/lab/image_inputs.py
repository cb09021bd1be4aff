"""What an image needs that is not in the repository, one line each in the recipe's file `inputs`:

    rootfs [SUITE] ARGUMENT...   rootfs.tar, a Debian 13 or another suite, made by mmdebstrap with these arguments
    binary DISTRIBUTION PATH     an executable of an installed Python distribution, by the end of its path
    machine-ca                   machine-ca/*.crt, the authorities the machine's owner added to Debian's

Every input has a version that is known before it is made, so that the image's tag can be computed without it.
"""

from __future__ import annotations

import hashlib
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

SUITE = "trixie"
MACHINE_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
DEBIAN_AUTHORITIES = Path("/usr/share/ca-certificates")
CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class InputError(Exception):
    """An input of an image is misspelt or cannot be had on this machine."""


@dataclass(frozen=True)
class Input:
    """Something to put into a build context: what it is, and how to write it there."""

    version: str
    write: Callable[[Path], None]


def read_inputs(path: Path) -> list[Input]:
    """The inputs that the lines of a recipe's file `inputs` ask for; none when there is no such file."""
    if not path.is_file():
        return []
    lines = [shlex.split(line, comments=True) for line in path.read_text().splitlines()]
    return [_input(path, words) for words in lines if words]


def _input(path: Path, words: list[str]) -> Input:
    match words:
        case ["rootfs", suite, *arguments] if not suite.startswith("-"):
            return rootfs(tuple(arguments), suite)
        case ["rootfs", *arguments]:
            return rootfs(tuple(arguments))
        case ["binary", package, location]:
            return binary(package, location)
        case ["machine-ca"]:
            return machine_ca()
    raise InputError(
        f"{path}: cannot read {shlex.join(words)!r}; write rootfs …, binary PACKAGE PATH or machine-ca"
    )


def rootfs(arguments: tuple[str, ...], suite: str = SUITE) -> Input:
    """A root file system of a suite, under mmdebstrap's own choice of mirror."""

    def write(context: Path) -> None:
        command = ["mmdebstrap", *arguments, suite, str(context / "rootfs.tar")]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise InputError(
                f"{shlex.join(command)} exited with {result.returncode}:\n{result.stderr[-3000:]}"
            )

    return Input(f"rootfs {suite} {shlex.join(arguments)}", write)


def binary(package: str, location: str) -> Input:
    """An executable that a Python distribution of the running interpreter carries."""
    version, source = _installed_file(package, location)
    return Input(
        f"binary {package} {version} {location}", lambda context: _copy(source, context / source.name)
    )


def _installed_file(package: str, location: str) -> tuple[str, Path]:
    try:
        found = distribution(package)
    except PackageNotFoundError:
        raise InputError(f"{package} is not installed: pip install the project's test requirements") from None
    for file in found.files or ():
        if f"/{file}".endswith(f"/{location}"):
            return found.version, Path(str(found.locate_file(file))).resolve()
    raise InputError(f"{package} {found.version} has no file {location}")


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    target.chmod(0o755)


def machine_ca() -> Input:
    """The authorities in the machine's trust store that Debian did not put there: often none."""
    authorities = added_authorities(MACHINE_BUNDLE, DEBIAN_AUTHORITIES)

    def write(context: Path) -> None:
        folder = context / "machine-ca"
        folder.mkdir()
        for number, certificate in enumerate(authorities):
            (folder / f"machine-{number}.crt").write_text(certificate + "\n")

    return Input("machine-ca " + hashlib.sha256("\n".join(authorities).encode()).hexdigest(), write)


def added_authorities(bundle: Path, known: Path) -> list[str]:
    """The certificates of a bundle that no file below `known` holds, in a fixed order."""
    if not bundle.is_file():
        return []
    ours = {text for path in known.rglob("*.crt") for text in _certificates(path)}
    return sorted(set(_certificates(bundle)) - ours)


def _certificates(path: Path) -> list[str]:
    return CERTIFICATE.findall(path.read_text(errors="replace"))
