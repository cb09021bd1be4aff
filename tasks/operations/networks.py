"""Networks of Docker: those that there are, compared with those that there should be."""

from collections.abc import Iterable
from shlex import quote

from pyinfra.api import StringCommand

from tasks.facts import DockerFact, NetworkState
from tasks.run import Commands, known, operation


@operation
def bridges(names: Iterable[str]) -> Commands:
    """Bridges of these names exist; one with another driver, or cut off, is made anew."""
    found = known(DockerFact).networks
    for name in names:
        state = found.get(name)
        if state == NetworkState(name, "bridge", internal=False):
            continue
        if state:
            yield StringCommand(_remove_network(name))
        yield StringCommand(
            f"docker network create --driver bridge --label smarteros.network=yes {quote(name)}"
        )


def _remove_network(name: str) -> str:
    """Its containers are found without it afterwards and are made anew."""
    members = "{{range .Containers}}{{.Name}} {{end}}"
    return f"""
for container in $(docker network inspect --format '{members}' {quote(name)}); do
    docker network disconnect --force {quote(name)} "$container"
done
docker network rm {quote(name)}
""".strip()
