"""load: Stack → the services that an inventory runs, from what their files describe."""

from collections.abc import Mapping

from tasks.model import policy
from tasks.model.catalogue import Describe, Service
from tasks.model.overrides import overridden
from tasks.model.sizing import sized
from tasks.model.stack import Stack
from tasks.model.start_order import in_order

# Comes with the setting of that name, and is listed nowhere.
BACKUP = "backup"


def load(stack: Stack, every: Mapping[str, Describe]) -> tuple[Service, ...]:
    """The enabled services in start order, overrides applied, routes with their domains. Raises Undeclared.

    every: name → description of each service there is.
    """
    names = (*stack.services, *((BACKUP,) if stack.backup else ()))
    chosen = [overridden(stack, sized(stack.profile, every[name](stack))) for name in names]
    return tuple(in_order(policy.declared(policy.with_loopback_ports(chosen))))
