"""The networks of a run that does not see who is around."""

from tasks import networks
from tasks.facts.surroundings import Surroundings
from tasks.operations import armed

Surroundings.claims = lambda *_: iter(())  # type: ignore[method-assign]
armed.settled(name="Networks | an unproven change is taken back")
networks.run()
