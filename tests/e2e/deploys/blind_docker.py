"""Docker, by a run that does not see who is around."""

from tasks import docker
from tasks.facts.surroundings import Surroundings
from tasks.operations import armed

Surroundings.claims = lambda *_: iter(())  # type: ignore[method-assign]
armed.settled(name="Docker | an unproven change is taken back")
docker.run()
