"""Folders: those of the host that are a service's own, made before it starts, with what an earlier release had in a volume; and its volumes.

A mark in each says that it is ours; while something is in the mark, what has to come there has not all come.
"""

from collections.abc import Iterator, Mapping
from shlex import quote

from tasks.facts.kept import MARK
from tasks.model.catalogue import Service
from tasks.rendering import render


def made(service: Service, carried: Mapping[str, str]) -> Iterator[str]:
    """Shell. carried: folder → the volume whose content comes there."""
    paths = dict.fromkeys(folder.path for item in service.containers for folder in item.folders)
    if paths:
        yield _FUNCTIONS
    yield from (f"home {quote(path)} {quote(carried.get(path, ''))}" for path in paths)


def volumes(service: Service) -> Iterator[str]:
    """Shell. Made by us, so that they are known as ours again, with the labels by which Compose knows them as its own."""
    kept = (volume for item in service.containers for volume in item.volumes if not volume.reads)
    for name in map(quote, dict.fromkeys(volume.name for volume in kept)):
        made = {"com.docker.compose.project": service.name, "com.docker.compose.volume": name}
        labels = {render.SERVICE_LABEL: service.name, **made}
        create = " ".join(f"--label {key}={value}" for key, value in labels.items())
        yield f"docker volume inspect {name} >/dev/null 2>&1 || docker volume create {create} {name} >/dev/null"


# What containers have left there since is theirs: it stays, and the volume still has its own. Docker's empty folders, in
# the places of files that it did not find, make way.
_FUNCTIONS = f"""
merge() (
    for path in "$1"/* "$1"/.[!.]* "$1"/..?*; do
        [ -e "$path" ] || [ -L "$path" ] || continue
        to=$2/${{path##*/}}
        if [ -d "$path" ] && [ ! -L "$path" ] && [ -d "$to" ]; then
            merge "$path" "$to"
        elif rmdir "$to" 2>/dev/null || {{ [ ! -e "$to" ] && [ ! -L "$to" ]; }}; then
            mv -T "$path" "$to"
        else
            echo "$to was there before, and stays" >&2
        fi
    done
)
home() (
    set -e
    mark=$1/{MARK}
    [ ! -e "$mark" ] || [ -s "$mark" ] || exit 0
    umask 077
    mkdir -p "$1"
    chmod 700 "$1"
    echo unfinished >"$mark"
    if [ -n "$2" ]; then
        from=$(docker volume inspect --format '{{{{.Mountpoint}}}}' "$2")
        rm -rf "$1/{MARK}-new"
        cp -aT "$from" "$1/{MARK}-new"
        merge "$1/{MARK}-new" "$1"
        rm -rf "$1/{MARK}-new"
    fi
    : >"$mark"
)
""".strip()
