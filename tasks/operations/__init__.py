"""Operations: read the fact, compare, no-op or yield. Each converges; none relies on a handler."""
