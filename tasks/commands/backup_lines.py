"""What ``make status`` says of the backups."""

from collections.abc import Iterator

from tasks.facts import Status
from tasks.operations import backup_health
from tasks.rendering import backup_files, restore_files
from tasks.run import services, stack


def wrong(found: Status) -> Iterator[str]:
    """What is wrong with what is in the bucket; nothing where nothing is backed up."""
    parts = backup_files.parts(stack())
    if not parts:
        return
    yield from backup_health.problems(found.backup, (*parts, *restore_files.parts(stack())), found.clock)
    yield from backup_health.drilled(found.backup)
    yield from backup_health.unproven(found.backup, proven(), found.clock)


def proven() -> list[str]:
    """``service part`` of each that a drill has to bring back."""
    chosen = restore_files.restorable(stack(), services()) if restore_files.parts(stack()) else ()
    return [
        *(f"{item.name} {part}" for item in chosen for part in item.parts),
        *restore_files.whole(stack()),
    ]
