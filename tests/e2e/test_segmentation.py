"""Networks, probed from inside every container to every other: what the catalogue declares is open, no more."""

from collections.abc import Iterator

from tasks.model.catalogue import TENANTS, Container
from tasks.services import load
from tests.e2e.clients import containers
from tests.e2e.deployment import Deployment
from tests.lab import smarteros

# Addresses and ports as Docker and the kernel have them, then every pair at once. Only the network namespace
# is entered: what a container's own programs can reach is what bash can reach from there.
_PROBE = r"""
pid() { docker inspect -f '{{.State.Pid}}' "$1"; }
names=$(docker ps --filter label=smarteros.service --format '{{.Names}}')
for name in $names; do
    docker inspect -f '{{range $net, $x := .NetworkSettings.Networks}}{{$net}} {{$x.IPAddress}}{{"\n"}}{{end}}' "$name" |
        sed "/./!d; s/^/$name /"
done >/tmp/probe-addresses
for name in $names; do
    nsenter -t "$(pid "$name")" -n ss -Hltn | awk '{print $4}' | grep -v -e '^127\.' -e '^\[::1\]' |
        sed 's/.*://' | sort -u | sed "s/^/$name /"
done >/tmp/probe-ports
for name in $names; do
    process=$(pid "$name")
    while read -r other network address; do
        [ "$other" = "$name" ] && continue
        for port in $(awk -v name="$other" '$1 == name {print $2}' /tmp/probe-ports); do
            (
                nsenter -t "$process" -n timeout 2 bash -c "exec 3<>/dev/tcp/$address/$port" 2>/dev/null
                case $? in 0) state=open ;; *) state=closed ;; esac
                echo "$name $other $network $port $state"
            ) &
        done
    done </tmp/probe-addresses
    wait
done
rm -f /tmp/probe-addresses /tmp/probe-ports
"""


def declared() -> Iterator[Container]:
    for service in load(smarteros.settings()):
        yield from (container for container in service.containers if not container.job)


def test_exactly_the_declared_edges_are_open(deployed: Deployment) -> None:
    networks = {item.name: set(item.networks) for item in declared()}
    seen = [line.split() for line in deployed.sh(_PROBE, timeout=300).splitlines()]
    wrong = [
        f"{name} → {other}:{port} by {network} is {state}"
        for name, other, network, port, state in seen
        if (state == "open") != (network in networks[name] & networks[other])
    ]
    assert wrong == []
    assert {row[0] for row in seen} == set(networks)
    # A probe that finds everything open, or everything closed, would have seen nothing.
    assert {(row[0], row[1], row[2], row[4]) for row in seen} >= {
        ("n8n", "odoo", TENANTS, "open"),
        ("chatwoot", "odoo", TENANTS, "closed"),
        ("chatwoot", "postgres", "smarter-net", "open"),
    }


def test_the_tenants_network_holds_n8n_and_odoo_only(deployed: Deployment) -> None:
    members = {
        name for name, item in containers(deployed).items() if TENANTS in item["NetworkSettings"]["Networks"]
    }
    assert members == {"n8n", "odoo"}


def test_the_architectures_names_answer_on_the_network(deployed: Deployment) -> None:
    names = ["caddy-proxy", "smarteros-metabase", "mcp-registry-web", "vault-auth-validator", "dokploy"]
    found = deployed.sh(f"docker exec postgres sh -c 'for n in {' '.join(names)}; do getent hosts $n; done'")
    assert [line.split()[1] for line in found.splitlines()] == names
