"""Starts the service: `python -m vault_auth_validator`. Exit code 2 and one line when a setting is wrong."""

import logging
import os
import sys

import uvicorn

from vault_auth_validator.app import create_app
from vault_auth_validator.settings import SettingsError, read


def main() -> int:
    """Serve until SIGTERM."""
    try:
        settings = read(os.environ)
    except SettingsError as error:
        sys.stderr.write(f"vault-auth-validator: {error}\n")
        return 2
    # Libraries log warnings only: httpx would write a line for each question to Vault.
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.INFO)
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_config=None,
        # Caddy writes the access log.
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=3,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
