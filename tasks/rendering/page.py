"""Page: what status says, as one HTML page that needs nothing else, no script and no other file. Pure."""

from collections.abc import Mapping
from typing import Any

from tasks.rendering.templates import html
from tasks.rendering.topology import Drawing


def page(found: Mapping[str, Any], drawings: Mapping[str, Drawing], again: str) -> str:
    """found: what ``make status JSON=1`` prints (tasks/commands/report.py). drawings: one of each host. again: what makes
    it anew.
    """
    return html().get_template("status/page.html.j2").render(found=found, drawings=drawings, again=again)
