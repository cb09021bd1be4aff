"""Templates: the one Jinja environment that every rendered file comes from."""

import json
from functools import cache
from pathlib import Path
from shlex import quote
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from tasks.rendering import docker_calls, psql

HOME = Path(__file__).resolve().parents[2]
FOLDER = HOME / "templates"


@cache
def jinja() -> Environment:
    """Undefined names are errors; ``yaml`` and ``compose`` write a value as one line, ``sh`` as one word."""
    environment = _environment(autoescape=False)  # YAML, Caddyfile and shell, no HTML
    environment.filters["sh"] = quote
    environment.filters["docker_compose"] = docker_calls.compose
    environment.globals["docker_environment"] = docker_calls.EXPORT
    environment.globals["postgres_watched"] = psql.WATCHED
    environment.globals["postgres_name"] = psql.NAME
    environment.globals["postgres_locked"] = psql.LOCKED
    environment.filters["yaml"] = _yaml
    environment.filters["compose"] = lambda value: _yaml(value).replace("$", "$$")
    return environment


@cache
def html() -> Environment:
    """For pages that people look at: whatever a value holds, it is text there. ``code`` makes `` `words` `` code."""
    environment = _environment(autoescape=True)
    environment.filters["code"] = _code
    return environment


def _environment(*, autoescape: bool) -> Environment:
    return Environment(
        loader=FileSystemLoader(FOLDER),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=autoescape,  # noqa: S701  each says which it is
    )


def _code(text: str) -> Markup:
    parts = str(text).split("`")
    if len(parts) % 2 == 0:  # one that nothing ends
        return escape(text)
    marked = (
        Markup("<code>{}</code>").format(part) if odd % 2 else escape(part) for odd, part in enumerate(parts)
    )
    return Markup("").join(marked)


def _yaml(value: Any) -> str:
    """One line of YAML; JSON is YAML. jinja's own tojson would escape HTML."""
    return json.dumps(list(value) if isinstance(value, tuple) else value)
