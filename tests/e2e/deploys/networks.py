"""Docker's daemon and its networks, and nothing else."""

from tasks import docker, networks
from tasks.operations import armed

armed.settled(name="Networks | an unproven change is taken back")
docker.run()
networks.run()
