"""Read by pyinfra before the inventory, so that a mistake in that one is one line, too."""

from tasks.connection.inventory import ready

ready()
