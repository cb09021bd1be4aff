"""Bucket: sets up the one that backups go to, and makes the kit that opens them.

``KIT=~/smarteros-kit.json pyinfra -y inventories/prod.py tasks.commands.bucket.run``, with the operator's own credential for the
server in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. Where it has no IAM, the host's key is given as BACKUP_ACCESS_KEY and
BACKUP_SECRET_KEY. Again it says what is there, brings the bucket back to what it has to be, and changes no key.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pyinfra import logger

from tasks.clients import kit as kits
from tasks.clients import kit_begun
from tasks.clients.kit import Kit
from tasks.clients.lazily import lazily
from tasks.connection import grouped
from tasks.model.stack import Backup
from tasks.model.targets import target
from tasks.rendering.templates import HOME
from tasks.run import Commands, Refused, executing, host, operation, stack

if TYPE_CHECKING:
    from tasks.clients import bucket, bucket_key, bucket_rules, bucket_trial
else:
    bucket, bucket_key = lazily("tasks.clients.bucket"), lazily("tasks.clients.bucket_key")
    bucket_rules, bucket_trial = lazily("tasks.clients.bucket_rules"), lazily("tasks.clients.bucket_trial")


def run() -> None:
    """The command ``make bucket``."""
    if grouped.elsewhere():
        return
    stack()  # wrong settings are said before anything is asked of anybody
    made(name="Bucket | where backups go, and the kit that opens them")


@operation
def made() -> Commands:
    """Nothing of it is on the host: a deploy brings it there."""
    if executing():
        set_up()
    yield from ()


def set_up() -> None:
    """All of it, from this machine alone. Raises Refused."""
    path, place = where(), setting()
    kit = kits.read(path)
    held = kits.held()
    if kit:
        of_that_bucket(path, kit, place)
        kit_begun.ended(path)
    elif held:
        raise Refused(_has_one(path))
    admin = bucket.Bucket(place, *_operator())
    for line in bucket_rules.converged(admin):
        host().log(f"backup: {line}")
    if kit is None:
        kit = _new(admin, path)
    else:
        _tried(admin, kit.access_key, kit.secret_key)
    if held != kits.held_of(kit):
        kits.hold(kits.held_of(kit))
    host().log(f"backup: the kit {path} is that of {place.bucket} ({kit.fingerprint}); {_KEEP}")


_KEEP = (
    "keep a copy of it elsewhere than on this machine and the host, on paper, too: without it no backup opens, and whoever has "
    f"it opens them all. {target('deploy')} brings its part to the host, {target('kit-check KIT=…')} proves that it opens what is there"
)


def where() -> Path:
    """The kit's file, as KIT names it. Raises Refused."""
    named = os.environ.get("KIT", "")
    if not named:
        raise Refused(
            f"say where the kit is: KIT=~/smarteros-kit.json, a file that you keep elsewhere, too (a first {target('bucket')} has made it)"
        )
    try:
        path = Path(named).expanduser().absolute()
    except RuntimeError as error:
        raise Refused(f"KIT={named}: {error}") from None
    if path.is_relative_to(HOME) and not path.is_relative_to(HOME / ".lab"):
        raise Refused(
            f"KIT={named} lies in this repository, whose files are copied and committed: name one outside"
        )
    return path


def there() -> tuple[Path, Kit]:
    """The kit and its file, which has to be there. Raises Refused."""
    path = where()
    kit = kits.read(path)
    if kit is None:
        raise Refused(
            f"KIT={path}: there is no such file on this machine: name the kit that {target('bucket')} has written, or a copy of it"
        )
    return path, kit


def setting() -> Backup:
    """Which bucket. Raises Refused."""
    found = stack().backup
    if found is None:
        raise Refused(
            'backup: not set: name a bucket first, {"endpoint": "https://…", "bucket": "…"} (README, Backups)'
        )
    return found


def of_that_bucket(path: Path, kit: Kit, place: Backup) -> None:
    """Raises Refused for another one's."""
    if (kit.endpoint, kit.bucket) != (place.endpoint, place.bucket):
        raise Refused(
            f"KIT={path} is that of {kit.bucket} at {kit.endpoint}, and backup names {place.bucket} at {place.endpoint}: take "
            "the kit of that one, or another file for a new one"
        )


def _has_one(path: Path) -> str:
    return (
        f"{host().name} has a kit already, and {path} is not there: name its file. Where that is lost, backups that were made "
        f"cannot be read without this machine: move {kits.file()} away and name another bucket, to begin with new keys"
    )


# Where each key is in the environment, and whose it is.
_OPERATOR = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
_HOST = ("BACKUP_ACCESS_KEY", "BACKUP_SECRET_KEY")


def _operator() -> tuple[str, str]:
    return _given(_OPERATOR, "your own credential for the S3 server, which may make buckets")


def _given(names: tuple[str, str], purpose: str) -> tuple[str, str]:
    key, secret = (os.environ.get(name, "").strip() for name in names)
    if missing := " and ".join(name for name, value in zip(names, (key, secret), strict=True) if not value):
        raise Refused(f"{missing}: missing from the environment: {purpose}")
    return key, secret


def _new(admin: bucket.Bucket, path: Path) -> Kit:
    """The kit is written as soon as its key was found good: a key that nobody has is taken back, also that of a run that was killed."""
    if bucket_rules.backups(admin):
        raise Refused(
            f"backup.bucket: {admin.place.bucket} holds backups that another kit opens: name that kit's file, or another bucket"
        )
    given = any(os.environ.get(name) for name in _HOST)
    kit = (
        kits.new(admin.place, *_given(_HOST, "the host's key for the bucket"))
        if given
        else _made(admin, path)
    )
    try:
        _tried(admin, kit.access_key, kit.secret_key)
        kits.write(path, kit)
    except BaseException:
        if not given:
            bucket_key.forget(admin, kit.access_key)
        raise
    finally:
        kit_begun.ended(path)
    return kit


def _made(admin: bucket.Bucket, path: Path) -> Kit:
    """With a new key. What is asked for, and then the answer, is noted beside the kit's place: a run that was cut short goes on from there."""
    there, found = bucket_key.there(admin), kit_begun.begun(path)
    place = f"{admin.place.endpoint}/{admin.place.bucket}"
    begun = found if found and found.place == place else kit_begun.Begun(place, there)
    if begun.kit and begun.kit.access_key in there:
        return begun.kit
    kit_begun.begin(path, replace(begun, kit=None))
    for key in set(there) - set(begun.before):
        bucket_key.forget(admin, key)
    try:
        kit = kits.new(admin.place, *bucket_key.made(admin))
    except Refused:
        kit_begun.ended(path)
        raise
    kit_begun.begin(path, replace(begun, kit=kit))
    return kit


def _tried(admin: bucket.Bucket, access_key: str, secret_key: str) -> None:
    trial = bucket_trial.tried(admin, bucket.Bucket(admin.place, access_key, secret_key))
    found = [*bucket_rules.remarks(admin), *trial]
    for line in found:
        host().log_styled(f"backup: {line}", fg="yellow", log_func=logger.warning)
    if not found:
        host().log(
            f"backup: the host's key {access_key} stores and reads; it was refused what would destroy backups"
        )
