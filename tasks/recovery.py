"""Recovery: what this machine alone knows of the host is sealed and in the bucket, as it is after this run."""

from dataclasses import replace

from pyinfra import logger

from tasks import recover
from tasks.clients import kit, recovery
from tasks.model.targets import target
from tasks.run import Commands, Refused, executing, host, operation, stack, step


def run() -> None:
    """The phase. At the end, when images and credentials are what the next run finds; Vault's keys went there before."""
    if stack().backup:
        stored(name="Recovery | what this machine alone knows is sealed and in the bucket")


@operation
def stored() -> Commands:
    """A bucket that is away costs no deploy: what is not stored now is stored by the next one."""
    held = kit.held()
    if held is None:
        _warn(f"{kit.file()} is not there: {target('bucket KIT=…')} with the kit makes it again")
        return
    if recovery.due():
        yield step(_put)
    if recover.wanted() and executing():
        # All of it was opened by the kit alone.
        recovery.note(replace(recovery.noted(), checked=kit.fingerprint(bytes.fromhex(held.public))))
    if recovery.noted().checked != kit.fingerprint(bytes.fromhex(held.public)):
        _warn(f"nobody has proven yet that the kit opens these backups: {target('kit-check KIT=…')} does")


def _put() -> None:
    try:
        recovery.put()
    except Refused as error:
        _warn(f"what this machine alone knows is not in the bucket, and the next deploy tries again: {error}")


def _warn(line: str) -> None:
    if executing():
        said = line.removeprefix("backup: ")
        host().log_styled(f"backup: {said}", fg="yellow", log_func=logger.warning)
