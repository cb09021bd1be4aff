"""Walls: firewalls beside ours that a host runs, asked within MachineFact."""

from collections.abc import Mapping, Sequence

# ufw's unit is active on every host that has it; its own file says whether it does anything. late: a cycle with what
# has to be there before the network is.
QUESTION = r"""
systemctl show ufw.service firewalld.service nftables.service netfilter-persistent.service \
    -p Id -p ActiveState -p UnitFileState -p After 2>/dev/null | awk 'BEGIN {RS = ""; FS = "\n"} {
        id = $0; sub(/.*Id=/, "", id); sub(/\.service.*/, "", id)
        print id, /ActiveState=active/ ? "active" : "idle", /UnitFileState=enabled/ ? "enabled" : "off", /After=([^\n]* )?network/ ? "late" : "early"
    }' | while read -r name active enabled order; do
        case $name:$active:$enabled in
        ufw:active:*) grep -qsi '^ENABLED=yes' /etc/ufw/ufw.conf && echo "wall ufw" ;;
        firewalld:active:* | netfilter-persistent:*:enabled) echo "wall $name" ;;
        nftables:*:enabled) grep -qs '^[^#]*flush ruleset' /etc/nftables.conf && echo "wall nftables $order" ;;
        esac
    done &
""".strip()


def walls(values: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """``ufw``, ``firewalld``, ``netfilter-persistent``, ``nftables early`` or ``nftables late``."""
    return tuple(sorted(values.get("wall", ())))
