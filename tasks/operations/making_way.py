"""Making way: what is in a host's own bridges while these become the networks that all nodes have in common, which have the same names.

No bridge may be left where an overlay of its name is made: its containers would be in the bridge, without a word. Nothing stops meanwhile:
containers of ours are in the node's own network by then, where they reach one another, and so does the proxy, until this run makes them
anew. What is somebody else's is in the overlay afterwards.
"""

from collections.abc import Iterable
from shlex import quote

from pyinfra.api import StringCommand

from tasks.connection import grouped
from tasks.connection.drafts import note
from tasks.facts import DockerFact
from tasks.facts.node import MOVING, NodeFact
from tasks.model.catalogue import CORE
from tasks.model.effects import Network
from tasks.model.stack import LOCAL
from tasks.operations.networks import SHELL, left_out
from tasks.rendering.render import SERVICE_LABEL
from tasks.run import Commands, host, known, operation


def bridged(names: Iterable[str]) -> tuple[str, ...]:
    """Those of them that are bridges of ours on the host, which has the data."""
    if grouped.elsewhere():
        return ()
    there = known(DockerFact).networks
    return tuple(
        name for name in names if name in there and there[name].ours and there[name].driver == "bridge"
    )


@operation
def left(names: Iterable[str]) -> Commands:
    """The host's bridges of these names are gone."""
    if found := bridged(names):
        note(*(Network(name, moved=True) for name in found))
        host().log(
            f"{', '.join(found)}: bridges of {host().name} alone until now, and of all nodes from now on"
        )
        for line in left_out(found, known(DockerFact).others):
            host().log(line)
        yield StringCommand(_left(found))


@operation
def entered(names: Iterable[str]) -> Commands:
    """What was in such a bridge is in the network that has its name now."""
    if known(NodeFact).moving or bridged(names):
        yield StringCommand(_entered(names))


def _left(names: Iterable[str]) -> str:
    """Shell. Whoever else was in a bridge is noted before the first one goes. A published port is that of the network that comes first
    after those that it was in.
    """
    words = " ".join(map(quote, names))
    return f"""
set -eu
{SHELL}
ours=" $(docker ps -aq --no-trunc --filter label={SERVICE_LABEL} | tr '\\n' ' ')"
theirs() {{ while read -r line; do case "$ours" in *" $(echo "$line" | cut -d ' ' -f 2) "*) ;; *) echo "$line" ;; esac; done; }}
mkdir -p {MOVING.rpartition("/")[0]}
{{ cat {MOVING} 2>/dev/null || true; members | theirs; }} | sort -u >{MOVING}.new
sync {MOVING}.new && mv -T {MOVING}.new {MOVING}
members | while read -r network id aliases; do
    case "$network $ours" in "{CORE} "*" $id "*) ;; *) continue ;; esac
    for name in {words}; do docker network disconnect --force "$name" "$id" </dev/null 2>/dev/null || true; done
    echo "{LOCAL} $id $aliases" | joined {LOCAL} /dev/stdin
done
for name in {words}; do gone "$name"; done
""".strip()


def _entered(names: Iterable[str]) -> str:
    lines = "\n".join(f"joined {quote(name)} {MOVING}" for name in names)
    return f"set -eu\n{SHELL}\n{lines}\nrm -f {MOVING}"
