"""The Engine API of a host that has a swarm of its own: what it says of what it does not take."""

from collections.abc import Callable

from pyinfra import logger

from tasks.clients.engine_api import Api, Stale
from tasks.run import Refused, host

engine = Api(host())


def said(what: Callable[[], object]) -> str:
    """How it ends."""
    try:
        return repr(what())
    except Stale as error:
        return f"stale: {error}"
    except Refused as error:
        return f"refused: {error}"


there = engine.get("/services/redis")
update = f"/services/{there['ID']}/update"
for line in (
    said(lambda: engine.get("/services/nobody")),
    said(lambda: engine.delete("/services/nobody")),
    said(lambda: engine.post("/services/create", {"Name": "nobody"})),
    said(lambda: engine.post(update, there["Spec"], version=there["Version"]["Index"] - 1)),
    said(lambda: len(engine.get("/services", filters='{"name": ["redis"]}'))),
):
    logger.info("engine: %s", line)
