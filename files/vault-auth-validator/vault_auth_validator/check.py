"""The container's health check, `python -m vault_auth_validator.check`: exit code 0 when /health answers 200.

Standard library only: it runs every few seconds and should cost little.
"""

import http.client
import os
import sys

from vault_auth_validator.settings import listen

_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - looked up, not bound to


def main() -> int:
    """Ask this container's own service."""
    host, port = listen(os.environ)
    connection = http.client.HTTPConnection(_LOOPBACK.get(host, host), port, timeout=3)
    try:
        connection.request("GET", "/health")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        sys.stderr.write(f"vault-auth-validator: /health does not answer on port {port}: {error}\n")
        return 1
    finally:
        connection.close()
    return 0 if status == 200 else 1


if __name__ == "__main__":
    sys.exit(main())
