"""One file per service, each with ``describe(stack) -> Service``."""
