"""Outbound: whether containers of ours reach the world as the host does, by a connection of their own; asked within StatusFact."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasks.rendering.render import SERVICE_LABEL


@dataclass(frozen=True)
class Outbound:
    """to: what the host itself reaches, as ``10.0.0.2, port 53``; empty where nothing near it answers, and nothing is
    known then. cut_off: containers that do not reach it.
    """

    to: str = ""
    cut_off: tuple[str, ...] = ()


# Near enough for a host without the internet: its resolvers, its gateway. Who refuses has been reached, too, but
# a firewall on the way may refuse as well: who takes a connection comes first. Tried in the network of each
# container, with the host's own bash.
QUESTION = f"""
reach() {{
    said=$(timeout 3 "$@" bash --norc -c "exec 3<>/dev/tcp/$address/$port" 2>&1) && echo took && return
    case $said in *refused*) echo refused ;; *) echo lost ;; esac
}}
resolvers=$(sed -n 's/^nameserver[[:blank:]]*\\([0-9.]*\\)[[:blank:]]*$/\\1/p' /etc/resolv.conf /run/systemd/resolve/resolv.conf 2>/dev/null)
gateway=$(ip -4 route show default 2>/dev/null | sed -n 's/.* via \\([0-9.]*\\).*/\\1/p' | sed -n 1p)
tried=$(
    for address in $resolvers $gateway; do
        for port in 53 443 80 22; do
            case $address in 127.*) ;; *) echo "$(reach) $address $port" & ;; esac
        done
    done
    wait
)
for answer in took refused; do
    found=$(printf '%s\\n' "$tried" | sed -n "s/^$answer //p" | sort | sed -n 1p)
    [ -z "$found" ] || break
done
if [ -n "$found" ]; then
    address=${{found% *}} port=${{found#* }}
    echo "outbound $address $port"
    docker ps -q --filter label={SERVICE_LABEL} | xargs -r docker inspect --format '{{{{.State.Pid}}}} {{{{slice .Name 1}}}}' 2>/dev/null |
        {{
            while read -r pid name; do
                case $(reach nsenter -t "$pid" -n) in "$answer" | took) ;; *) [ ! -e "/proc/$pid" ] || echo "cut_off $name" ;; esac &
            done
            wait
        }}
fi
""".strip()


def outbound(values: Mapping[str, Sequence[str]]) -> Outbound:
    """What the lines say of it: key → values. Raises ValueError for a line that is cut."""
    for line in values.get("outbound", ()):
        address, port = line.split()
        return Outbound(f"{address}, port {int(port)}", tuple(sorted(values.get("cut_off", ()))))
    return Outbound()
