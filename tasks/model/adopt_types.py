"""What of Docker's is taken over, in settings."""

import re
from typing import Annotated

from tasks.model.setting_types import matching

KINDS = ("container", "network", "project", "volume")

Adopted = Annotated[
    str,
    matching(
        re.compile(rf"({'|'.join(KINDS)}):[A-Za-z0-9][A-Za-z0-9_.-]*|folder:/[A-Za-z0-9_./-]+", re.ASCII),
        f"is no object of Docker's (like volume:n8n_data; kinds are {', '.join(KINDS)}, and folder)",
    ),
]
