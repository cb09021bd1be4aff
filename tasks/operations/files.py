"""Files: a whole tree as one generation, and secret files. One command each, atomically."""

import base64
import gzip
import hashlib
import io
import tarfile
from collections.abc import Collection, Mapping
from shlex import quote

from pyinfra.api import StringCommand

from tasks.connection.drafts import note
from tasks.facts import FileState, TreeFact
from tasks.model.effects import EnvFile, File
from tasks.operations import rotated
from tasks.operations.kept import keep
from tasks.rendering.render import CURRENT, RECORDS, ROOT, SECRETS
from tasks.run import Commands, known, operation

_KEPT_GENERATIONS = 5

# The generation that was active before, by its name; what fails goes back to it (rollout.py).
PREVIOUS = f"{ROOT}/generations/.previous"


def expected(files: Mapping[str, str], mode: str = "") -> dict[str, FileState]:
    """What the host has to report for these files: content hash, mode, owner."""
    return {
        path: FileState(hashlib.sha256(text.encode()).hexdigest(), mode or file_mode(path), "root:root")
        for path, text in files.items()
    }


def file_mode(path: str) -> str:
    """Octal mode of a generation's file; none of them holds a secret."""
    return "755" if path.endswith(".sh") else "644"


def archive(files: Mapping[str, str], mode: str = "") -> str:
    """The files as base64 of a tar.gz: bytes-exact through a text standard input, never in a process list."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, text in sorted(files.items()):
            data = text.encode()
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(data), int(mode or file_mode(path), 8)
            tar.addfile(entry, io.BytesIO(data))
    return base64.b64encode(gzip.compress(buffer.getvalue(), mtime=0)).decode()


@operation
def generation(files: Mapping[str, str], name: str, links: Mapping[str, str]) -> Commands:
    """Makes ``files`` the active generation and every link point where it should.

    files: path below the generation → text. name: the generation's digest. links: path → target.
    A hand edit, a missing file or one too many makes a fresh copy active; the old one stays for rollback.
    """
    found = known(TreeFact, f"{CURRENT}/", tuple(links))
    tree = {path: state for path, state in found.items() if not path.startswith("/")}
    right = expected(files)
    for path in sorted(path for path in {*tree, *right} if tree.get(path) != right.get(path)):
        note(File(f"{CURRENT}/{path}", files.get(path), tree.get(path, FileState()).sha256))
    wrong = {link: target for link, target in links.items() if found.get(link, FileState()).target != target}
    if wrong:
        note(f"links into it: {', '.join(sorted(wrong))}")
    if tree != right:
        yield StringCommand(_activate(name), _stdin=archive(files))
    if wrong:
        yield StringCommand(_link(wrong))


def _activate(name: str) -> str:
    return f"""
set -e
umask 022
mkdir -p {ROOT}/generations
cd {ROOT}
rm -rf .incoming .current
mkdir .incoming
base64 -d | tar -xzf - -C .incoming --no-same-owner
find .incoming -exec sync {{}} +
target=generations/{name}
while [ -e "$target" ]; do target="$target+"; done
mv .incoming "$target"
ln -s "$target" .current
[ -L current ] || rm -rf current
[ ! -L current ] || ln -sfn "$(basename "$(readlink current)")" {PREVIOUS}
mv -T .current current
sync . generations
ls -1dt generations/* | tail -n +{_KEPT_GENERATIONS + 1} | while read -r old; do
    # A container that nothing has changed for since still reads the files that it was started with, and to what is recorded a
    # rollback leads.
    [ "$old" = "$target" ] || grep -qsxF "${{old##*/}}" {RECORDS}/*/tree || grep -qsF "/$old/" /proc/[0-9]*/mountinfo || rm -rf "$old"
done
""".strip()


def _link(links: Mapping[str, str]) -> str:
    """What stands in a link's place is kept, and what an operator puts there later stays beside it."""
    lines = ["set -e", keep(links)]
    for link, target in links.items():
        path = quote(link)
        lines += [
            f'mkdir -p "$(dirname {path})"',
            f"aside {path}",
            f"ln -sfn {quote(target)} {path}",
        ]
    return "\n".join(lines)


def secret_files(files: Mapping[str, str]) -> Commands:
    """Part of an operation: writes files below /vault/secrets (0600, root), all in one command, over
    standard input.

    files: name → text. Files of other names are left alone: they may belong to a disabled service.
    """
    found = known(TreeFact, SECRETS, (), "077")
    wanted = expected(files, mode="600")
    wrong = {name: files[name] for name, state in wanted.items() if found.get(name) != state}
    for name, text in wrong.items():
        state = found.get(name, FileState())
        note(EnvFile(f"{SECRETS}/{name}", name.removesuffix(".env"), text, state.sha256))
    if wrong or ".//" in found:
        yield StringCommand(_replace_secrets(wrong), _stdin=archive(wrong, mode="600"))


def _replace_secrets(names: Collection[str]) -> str:
    return f"""
set -e
umask 077
mkdir -p {SECRETS}
{keep(f"{SECRETS}/{name}" for name in names)}
shut {SECRETS} 700
cd {SECRETS}
rm -rf .incoming
mkdir .incoming
base64 -d | tar -xzf - -C .incoming --no-same-owner
find .incoming -type f -exec sync {{}} +
{rotated.keeping(names)}
find .incoming -type f -exec mv -f -t . {{}} +
rmdir .incoming
""".strip()
