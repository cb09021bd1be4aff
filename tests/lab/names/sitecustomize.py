"""Names of the lab's servers for a program of this machine, whose resolver knows none of them: SMARTEROS_LAB_NAMES has
``name=address`` for each, PYTHONPATH this folder.

Below `socket`, so that it holds for gevent's, too.
"""

import _socket
import os
from typing import Any

_names = dict(pair.split("=", 1) for pair in os.environ.get("SMARTEROS_LAB_NAMES", "").split())
_asked = _socket.getaddrinfo


def _answer(host: Any, *rest: Any, **options: Any) -> Any:
    name = host.decode() if isinstance(host, bytes) else host
    return _asked(_names.get(name, host), *rest, **options)


if _names:
    _socket.getaddrinfo = _answer
