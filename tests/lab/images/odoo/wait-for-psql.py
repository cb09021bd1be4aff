#!/usr/bin/env python3
"""Waits until the database of Odoo's arguments or configuration accepts a login; exits 1 when it does not in time."""

import argparse
import configparser
import os
import sys
import time

import psycopg2

PARAMETERS = {"db_host": "host", "db_port": "port", "db_user": "user", "db_password": "password"}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in PARAMETERS:
        parser.add_argument(f"--{name}")
    parser.add_argument("--timeout", type=int, default=5)
    return parser.parse_args()


def settings(given: argparse.Namespace) -> dict[str, str]:
    """The configuration file wins over the arguments, as it does in upstream's image."""
    config = configparser.RawConfigParser()
    config.read(os.environ.get("ODOO_RC", "/etc/odoo/odoo.conf"))
    chosen = {}
    for name, keyword in PARAMETERS.items():
        in_file = config.get("options", name, fallback="")
        chosen[keyword] = in_file or getattr(given, name) or os.environ.get(f"PG{keyword.upper()}", "")
    return chosen


def login(connection: dict[str, str]) -> str:
    """Why the login failed, or nothing."""
    try:
        psycopg2.connect(dbname="postgres", connect_timeout=5, **connection).close()
    except psycopg2.OperationalError as error:
        return str(error).strip() or "no answer"
    return ""


def main() -> None:
    given = arguments()
    connection = settings(given)
    missing = [name for name, keyword in PARAMETERS.items() if not connection[keyword]]
    if missing:
        sys.exit(f"missing database parameters: {', '.join(missing)}")
    deadline = time.monotonic() + given.timeout
    while (problem := login(connection)) and time.monotonic() < deadline:
        time.sleep(1)
    if problem:
        sys.exit(f"Database connection failure: {problem}")


if __name__ == "__main__":
    main()
