"""What an entry of the MCP registry may hold."""

import re
from typing import Annotated

from pydantic import Field

from tasks.model.domain_types import URL
from tasks.model.setting_types import matching

McpName = Annotated[
    str,
    Field(max_length=200),
    matching(
        re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*/[A-Za-z0-9][A-Za-z0-9._-]*"),
        "is no name like io.github.owner/server",
    ),
]
McpText = Annotated[
    str,
    matching(
        re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,100}"), "is not one line of 1 to 100 characters"
    ),
]
McpVersion = Annotated[
    str,
    matching(
        re.compile(r"(?!latest$)[A-Za-z0-9][A-Za-z0-9._+-]{0,254}", re.IGNORECASE),
        "is no version (like 1.2.0)",
    ),
]
McpRemote = Annotated[
    str,
    Field(max_length=2000),
    matching(
        re.compile(rf"https?://((?![/@<>]){URL})+(/((?![<>]){URL})*)?"),
        "is no address like https://host/mcp",
    ),
]
