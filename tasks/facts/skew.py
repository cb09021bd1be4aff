"""Skew: how far a host's clock is off, by when it was asked and has answered."""


def skew(clock: int, sent: float, answered: float) -> int:
    """Seconds by which ``clock`` is later than the answer or, negative, earlier than the question: a host that is slow is not behind."""
    return max(0, round(clock - answered)) or min(0, round(clock + 1 - sent))
