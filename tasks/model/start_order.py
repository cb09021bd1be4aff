"""in_order: which service starts before which."""

from collections.abc import Iterable, Iterator

from tasks.model.catalogue import Service


def in_order(services: Iterable[Service]) -> Iterator[Service]:
    """Phases in their order, then needs before those who need them, then as listed."""
    phases = ("vault", "data", "services", "proxy", "backup")
    done: set[str] = set()
    waiting = sorted(services, key=lambda service: phases.index(service.phase))
    names = {service.name for service in services}
    while waiting:
        ready = next((item for item in waiting if not (set(item.needs) & names) - done), waiting[0])
        waiting.remove(ready)
        done.add(ready.name)
        yield ready
