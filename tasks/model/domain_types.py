"""Names and addresses in settings: domains, e-mail, URLs."""

import re
from typing import Annotated

from tasks.model.setting_types import matching

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"(?=.{{4,253}}$)({_LABEL}\.)+(?!\d+$){_LABEL}")
# Printable ASCII without a blank, and without what would end a value in a Caddyfile.
URL = r"[!#-\[\]-_a-z|~]"
_EMAIL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._%+-]*@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")


Domain = Annotated[str, matching(_DOMAIN, "is no domain name (like smarterbot.cl)")]
Email = Annotated[str, matching(_EMAIL, "is no e-mail address")]
Address = Annotated[
    str, matching(re.compile(rf"https?://((?!/){URL})+"), "is no address like https://host:port")
]
Directory = Annotated[
    str, matching(re.compile(rf"(https?://{URL}+)?"), "is no address like https://host/directory")
]
