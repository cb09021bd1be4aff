"""Kept: what stands where files of ours come is kept on the host, once; a piece of shell for whatever writes there."""

from collections.abc import Collection, Iterable, Iterator
from pathlib import PurePosixPath
from shlex import quote

from tasks.facts import Machine
from tasks.facts.kept import BEFORE, DOCKER_SOURCE, FOLDERS, HOMES, SHELL
from tasks.model.objects import names
from tasks.model.targets import target
from tasks.operations.described import links
from tasks.rendering.render import SECRETS
from tasks.run import services, stack

# What stands there by then, by the package that a run installs first (needed.py).
_BROUGHT = ("/etc/default/debsums",)


def keep(paths: Iterable[str]) -> str:
    """Shell, for a script under ``set -e``: keeps what stands at these paths, unless it did so before."""
    return f"{SHELL}keep {' '.join(map(quote, paths))}"


def refusals(machine: Machine, left_alone: Collection[str] = ()) -> Iterator[str]:
    """What has to be out of the way before files of ours can come. left_alone: paths that this run does not write."""
    for path in _coming(machine.before.blocked, left_alone):
        yield f"files: {path} is not ours and stands where ours has to come: move it away (mv {path} {path}.before)"
    fixed = [*_coming(machine.before.fixed, left_alone)] if machine.user == "root" else []
    for path in fixed:
        if not {str(folder) for folder in PurePosixPath(path).parents} & {*fixed}:
            yield (
                f"files: not even root can write {path}: `lsattr -d {path}` says whether it is immutable (chattr -i), "
                f"`findmnt -T {path}` whether its file system is mounted read-only"
            )


def warnings(machine: Machine, left_alone: Collection[str] = ()) -> Iterator[str]:
    """Which files of somebody else's ours will replace or change."""
    coming = [*_coming(machine.before.replaced, left_alone)]
    if coming:
        coming += [path for path in _BROUGHT if not machine.deployed and path not in coming]
        yield (
            f"changed by us, and kept as they are now in {BEFORE} ({target('undo-host')} puts them back): "
            f"{', '.join(coming)}"
        )


def _coming(paths: Iterable[str], left_alone: Collection[str]) -> Iterator[str]:
    return (path for path in paths if path not in left_alone and comes(path))


def comes(path: str) -> bool:
    """Whether these settings bring a file of ours there."""
    if path in HOMES:
        return path in names(services()).folders
    if path.startswith("/root/") and path not in FOLDERS:
        return path in links() or (path == "/root/Caddyfile" and bool(stack().takeover))
    if path.startswith(f"{SECRETS}/"):
        return path in {f"{SECRETS}/{service.name}.env" for service in services() if service.secrets}
    return path not in DOCKER_SOURCE or stack().docker_source == "docker.com"


__all__ = ["keep", "refusals", "warnings"]
