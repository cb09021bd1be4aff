"""Verify, alone: asks every service by name over TLS, as each deploy does at its end. Read only."""

from pyinfra import logger

from tasks import verify
from tasks.operations import dns
from tasks.run import Commands, executing, host, operation


def run() -> None:
    """The command ``make verify``."""
    verify.run()
    led(name="Verify | nobody is hidden who comes over IPv6")


@operation
def led() -> Commands:
    """Names get their records long after the first run, which says it, too."""
    yield from ()
    for line in dns.hidden() if executing() else ():
        host().log_styled(line, fg="yellow", log_func=logger.warning)
