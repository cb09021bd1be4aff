"""What ``make status`` says of the backups."""

from pyinfra import logger

from tasks import backup
from tasks.facts import Status
from tasks.operations import backup_health
from tasks.rendering import backup_files, restore_files
from tasks.run import services, stack


def wrong(found: Status) -> list[str]:
    """How old what is in the bucket is, in one line; what is wrong with it."""
    parts = backup_files.parts(stack())
    logger.info(backup_health.summary(found.backup, parts, found.clock) if parts else backup.NOTHING)
    if not parts:
        return []
    return [
        *backup_health.problems(found.backup, (*parts, *restore_files.parts(stack())), found.clock),
        *backup_health.drilled(found.backup),
        *backup_health.unproven(found.backup, proven(), found.clock),
    ]


def proven() -> list[str]:
    """``service part`` of each that a drill has to bring back."""
    chosen = restore_files.restorable(stack(), services()) if restore_files.parts(stack()) else ()
    return [
        *(f"{item.name} {part}" for item in chosen for part in item.parts),
        *restore_files.whole(stack()),
    ]
