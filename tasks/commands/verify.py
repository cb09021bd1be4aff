"""Verify, alone: asks every service by name over TLS, as each deploy does at its end. Read only."""

from tasks.verify import run

__all__ = ["run"]
