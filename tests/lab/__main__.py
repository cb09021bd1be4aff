"""`python -m tests.lab up|down|status|publish|machine|layers|bucket`: throwaway bare hosts on this machine."""

from __future__ import annotations

import argparse
import os
import sys
import time
from functools import partial
from shlex import quote

from docker.errors import DockerException

from tests.lab import bare, machine, neighbours, network, s3, smarteros
from tests.lab.daemon import DaemonError
from tests.lab.hosts import HostError
from tests.lab.image_inputs import InputError
from tests.lab.images import LabImageError
from tests.lab.lab import Lab, LabError
from tests.lab.machine import MachineError
from tests.lab.neighbours import NeighbourError
from tests.lab.network import NetworkError
from tests.lab.publish import PublishError
from tests.lab.services import ServiceError
from tests.lab.state import StateError

ERRORS = (
    DaemonError, DockerException, HostError, InputError, LabError, LabImageError, MachineError, NeighbourError, NetworkError,
    PublishError, ServiceError, StateError,
)  # fmt: skip
STARTED = time.monotonic()


def say(line: str) -> None:
    """One line of progress, with the seconds since the start."""
    print(f"{time.monotonic() - STARTED:6.1f} s  {line}", flush=True)


def main(arguments: list[str] | None = None) -> int:
    given = parser().parse_args(arguments)
    try:
        if given.command == "machine":
            machine.require(machine.FOR_BROWSING, say)
            machine.docker(say)
        # What a shell is told stands alone on standard output.
        done(given, Lab(given.name, partial(print, file=sys.stderr) if given.command == "bucket" else say))
    except ERRORS as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def done(given: argparse.Namespace, lab: Lab) -> None:
    """The command."""
    match given.command:
        case "up" if given.smarteros:
            smarteros.prepare(lab, given.hosts.split(","), given.system)
            status(lab)
        case "up":
            lab.up(given.hosts.split(","), given.images, given.system)
            status(lab)
        case "down" if given.checkout:
            neighbours.remove(machine.docker(say), given.name, given.checkout)
            say(f"lab {given.name} of {given.checkout} is down")
        case "down":
            was = lab.state.folder.exists()
            lab.down(purge=given.purge)
            say(f"lab {lab.name} {'is down' if was else 'was not up'}")
            for name in lab.state.others():
                say(f"still up: lab {name}; to remove it: SMARTEROS_LAB={name} make down")
        case "publish":
            lab.publish(given.images)
        case "layers":
            smarteros.unpack(say)
        case "bucket":
            bucket(lab)
        case "status":
            status(lab)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="bring up hosts and what they need")
    up.add_argument("--hosts", default="lab-1", metavar="A,B", help="names of the hosts (lab-1)")
    up.add_argument(
        "--system", default="debian13", choices=bare.SYSTEMS, help="what new hosts have (debian13)"
    )
    up.add_argument("--images", nargs="*", default=[], metavar="REFERENCE", help="upstream images to serve")
    up.add_argument("--smarteros", action="store_true", help="with the images and domains of our deployment")
    down = commands.add_parser("down", help="remove the lab")
    down.add_argument("--checkout", metavar="FOLDER", help="that of a checkout which is gone, or `unknown`")
    down.add_argument("--purge", action="store_true", help="the caches that labs share as well")
    publish = commands.add_parser("publish", help="serve images under their upstream names")
    publish.add_argument("images", nargs="+", metavar="REFERENCE", help="e.g. redis:7.4.11-alpine")
    commands.add_parser(
        "machine", help="install what this machine lacks: Docker, and a browser, which tests need"
    )
    commands.add_parser("layers", help="unpack our deployment's images once, for all hosts made from then on")
    commands.add_parser("status", help="what is up")
    commands.add_parser("bucket", help="an S3 server for backups; prints what a shell has to be told of it")
    for command in commands.choices.values():
        command.add_argument(
            "--name", default=os.environ.get("SMARTEROS_LAB", "default"), help="which lab (default)"
        )
    return top


def bucket(lab: Lab) -> None:
    """The lab's own settings name the bucket from now on (group_data/lab.py). Prints shell: how programs of this machine find its
    server, and the operator's credential there.
    """
    hosts = list(lab.description.hosts)
    if len(hosts) != 1:
        raise LabError(
            f"a bucket is one host's, and lab {lab.name} has {len(hosts)}: use another lab (SMARTEROS_LAB=other make up)"
        )
    lab.state.keep_bucket(lab.bucket(hosts[0]))
    key, secret = s3.ADMIN
    for name, value in {**lab.names, "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}.items():
        print(f"export {name}={quote(value)}")


def status(lab: Lab) -> None:
    """A line for each host and service of the lab."""
    description = lab.description
    client = machine.running_docker()
    if not client:
        raise LabError(f"lab {lab.name} was up, but Docker does not answer: run `make up`")
    print(f"lab {lab.name}, network {description.subnet}, images: {description.images}")
    for name in ("edge", "registry", "pebble", *description.hosts):
        container = network.find(client, lab.state.key, name)
        state = container.status if container else "missing"
        print(f"  {name:10} {description.hosts.get(name, ''):14} {state}")


if __name__ == "__main__":
    sys.exit(main())
