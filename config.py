"""Read by pyinfra before the inventory, so that a mistake in that one is one line, too."""

from tasks.clients.lazily import ahead
from tasks.connection.inventory import ready

ready()
# While the hosts are connected to.
ahead(
    "tasks.model.stack",
    "tasks.services",
    "tasks.run",
    "tasks.facts",
    "tasks.operations.containers",
    "tasks.preflight",
)
