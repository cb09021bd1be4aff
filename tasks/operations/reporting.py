"""Reporting: what a restore or a recovery has found, line by line, what is missing as a warning."""

from pyinfra import logger

from tasks.run import host


def told(name: str, lines: tuple[str, ...]) -> None:
    """Says them. name: of what has come back."""
    for line in lines:
        if line.startswith("rpo "):
            host().log(
                f"{name}: the last heartbeat in the copy is {line.removeprefix('rpo ')} s older than the time asked for; the host writes one every 30 s"
            )
        elif line.startswith(("MISSING", "UNPROVEN")):
            host().log_styled(f"{name}: {line}", fg="yellow", log_func=logger.warning)
        else:
            host().log(f"{name}: {line}")
