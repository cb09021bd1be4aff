"""Duckling, which finds dates and numbers in texts: its example server, which Botpress' image starts beside `bp`."""

from __future__ import annotations

from double.contract import NUMBER, Environment, Refused, Rule, demand, writable
from double.web import Request, Response, Site, as_json, serve


def run(arguments: list[str], environment: Environment) -> None:
    """Start the server; it leaves its logs in the folder in which it is started, and takes PORT for its own."""
    if arguments:
        raise Refused(f"cannot run duckling {' '.join(arguments)}: the double knows no options")
    demand(environment, [Rule("PORT", NUMBER, "a number", required=False)])
    writable("log")
    site = Site({"GET /": lambda _request: Response(200, b"quack!"), "POST /parse": _parse})
    serve(site, int(environment.get("PORT") or 8000))


def _parse(_request: Request) -> Response:
    return as_json([])
