"""Generations: what is recorded on the host of each (files/record.sh), and what of it is there; the files of one."""

import base64
import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from shlex import quote

from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError

from tasks.facts.backups import UNFINISHED, cut
from tasks.model.generations import Generation, Generations, reading
from tasks.rendering.render import RECORDS, ROOT
from tasks.rendering.templates import HOME

SHELL = (HOME / "files" / "record.sh").read_text("utf-8")


class GenerationsFact(FactBase[Generations]):
    """Generations; none on a host that has none."""

    def command(self) -> str:
        """Prints ``record <number>`` and what belongs to it, then ``active``, ``held``, ``tag``, ``now`` and ``cut`` lines."""
        return f"""
{SHELL}
[ -d {RECORDS} ] || exit 0
for number in $(there); do
    folder={RECORDS}/$number
    echo "record $number $(cat $folder/time 2>/dev/null) $(cat $folder/tree 2>/dev/null)"
    [ ! -d {ROOT}/generations/"$(cat $folder/tree 2>/dev/null)" ] || echo whole
    for part in made files images schemas point failed; do sed "s/^/$part /" $folder/$part 2>/dev/null; done
done
hashed 2>/dev/null | sed 's/^/active /'
docker image ls --all --no-trunc --format '{{{{.ID}}}} {{{{.Repository}}}}:{{{{.Tag}}}}' 2>/dev/null | while read -r number name; do
    echo "held $number"
    echo "tag $name $number"
done
schemas $(cut -d ' ' -f 1 {RECORDS}/*/schemas | sort -u) | sed 's/^/now /'
{UNFINISHED}
true
""".strip()

    @staticmethod
    def default() -> Generations:
        """None."""
        return Generations()

    def process(self, output: list[str]) -> Generations:
        """Lines → Generations. Raises FactProcessError."""
        try:
            rows = [*reading([line for line in output if line])]
            starts = [number for number, (key, _) in enumerate(rows) if key == "record"]
            parts = [rows[start:end] for start, end in zip(starts, [*starts[1:], len(rows)], strict=True)]
            pairs = {
                key: [rest for other, rest in rows if other == key]
                for key in ("active", "held", "tag", "now", "cut")
            }
            found = {rows[0][1].split(" ")[0]: _generation(rows) for rows in parts}
            return Generations(
                tuple(filter(None, found.values())),
                dict(_files(pairs["active"])),
                frozenset(pairs["held"]),
                dict(_words(pairs["tag"])),
                dict(_words(pairs["now"])),
                cut(pairs["cut"]),
                tuple(int(number) for number, item in found.items() if item is None),
            )
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
            raise FactProcessError(
                f"cannot read the generations that the host has recorded: {error}"
            ) from None


def _generation(rows: Sequence[tuple[str, str]]) -> Generation | None:
    """None for what a power cut has left empty or cut."""
    try:
        return _read(rows)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        return None


def _read(rows: Sequence[tuple[str, str]]) -> Generation:
    number, time, tree = rows[0][1].split(" ")
    if not tree:
        raise ValueError(number)
    parts = {key: [rest for other, rest in rows if other == key] for key, _ in rows}
    made, files = json.loads(parts["made"][0]), dict(_files(parts["files"]))
    return Generation(
        int(number),
        float(time),
        tree,
        str(made["operator"]),
        str(made["version"]),
        int(made["of"]),
        dict(made["settings"]),
        files,
        dict(_words(parts.get("images", ()))),
        dict(_words(parts.get("schemas", ()))),
        "whole" in parts,
        float(parts.get("point", ["0"])[0]),
        parts.get("failed", [""])[0],
    )


def _files(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    return ((line[66:], line[:64]) for line in lines)


def _words(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        name, value = line.split(" ")
        yield name, value


class RecordedFilesFact(FactBase[dict[str, str]]):
    """The files of one generation, path → text; none where they are gone."""

    def command(self, tree: str) -> str:
        """Prints base64 of a tar.gz."""
        folder = quote(f"{ROOT}/generations/{tree}")
        return f"[ ! -d {folder} ] || tar -C {folder} -cz . | base64"

    @staticmethod
    def default() -> dict[str, str]:
        """None."""
        return {}

    def process(self, output: list[str]) -> dict[str, str]:
        """Lines → files. Raises FactProcessError for what was cut."""
        try:
            data = base64.b64decode("".join(output), validate=True)
            with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
                return {
                    item.name.removeprefix("./"): file.read().decode()
                    for item in tar
                    if item.isfile() and (file := tar.extractfile(item))
                }
        except (ValueError, tarfile.TarError, zlib.error, OSError, EOFError) as error:
            raise FactProcessError(f"cannot read the files of a generation: {error}") from None


def hashes(files: dict[str, str]) -> dict[str, str]:
    """Path → SHA-256, as a record has it."""
    return {path: hashlib.sha256(text.encode()).hexdigest() for path, text in files.items()}
