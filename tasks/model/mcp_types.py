"""What an entry of the MCP registry may hold."""

import re
from typing import Annotated

from pydantic import BaseModel, Field

from tasks.model.domain_types import URL
from tasks.model.setting_types import ENTRY, matching

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


class McpServer(BaseModel):
    """An entry of the MCP registry; the fields are those of server.json. remote: where it answers."""

    model_config = ENTRY

    name: McpName
    description: McpText
    version: McpVersion
    remote: McpRemote | None = None


def distinct(servers: tuple[McpServer, ...]) -> tuple[McpServer, ...]:
    """Their names are paths of the registry, which Caddy matches in either case."""
    names = [server.name.lower() for server in servers]
    for index, server in enumerate(servers):
        if names.index(names[index]) < index:
            raise ValueError(f"{server.name!r} is listed twice")
    return servers
