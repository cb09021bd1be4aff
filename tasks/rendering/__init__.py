"""Rendering: (stack, services) → {path: text}. Pure: no host, no clock, no secret."""
