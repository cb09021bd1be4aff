"""Walls: firewalls beside ours that a host runs, asked within MachineFact."""

from collections.abc import Mapping, Sequence

from tasks.facts.access import FIREWALL, TABLE

# Chains that drop what no rule accepts, or end with a rule that does. Of Docker's own, one table's FORWARD lets through what
# Docker wants; a table that names port 80 and 443 lets visitors in, as far as can be told. Asked once.
_CHAINS = rf"""
[ -f {FIREWALL} ] || /usr/sbin/nft -s list ruleset 2>/dev/null | awk '
    /^table / {{ table = $2 " " $3 }}
    /^\tchain / {{ chain = $2; hook = ""; last = "" }}
    /^\t\ttype filter hook (input|forward) / {{ hook = $4; if (/policy drop;/) last = "drop"; next }}
    /^\t}}/ && hook != "" {{
        if (last == "drop" || last ~ /^reject/) found[++count] = hook " " table " " chain
        hook = ""
    }}
    {{
        rule = $0
        if (hook != "" && rule !~ /^\t\t}}/) {{
            gsub(/^\t\t|counter ?|log( prefix "[^"]*")?( level [a-z]+)?( flags [a-z,]+)? ?| comment "[^"]*"/, "", rule)
            if (rule ~ /^(drop|reject)/) last = rule
        }}
        words = split($0, word, /[^0-9]+/)
        for (i = 1; i <= words; i++) if (word[i] == 80 || word[i] == 443) web[table, word[i]] = 1
    }}
    END {{
        for (i = 1; i <= count; i++) {{
            split(found[i], part, " ")
            table = part[2] " " part[3]
            if (table == "{TABLE}" || part[3] ~ /^(firewalld|docker-bridges)$/) continue
            if (part[1] == "forward" && part[3] == "filter" && part[4] == "FORWARD") continue
            if (part[1] == "input" && (table, 80) in web && (table, 443) in web) continue
            print "wall chain", found[i]
            fflush()
        }}
    }}' &
""".strip()

# ufw's unit is active on every host that has it; its own file says whether it does anything. late: a cycle with what
# has to be there before the network is.
QUESTION = (
    r"""
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
    + f"\n{_CHAINS}"
)


def walls(values: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """``ufw``, ``firewalld``, ``netfilter-persistent``, ``nftables early`` or ``nftables late``; ``chain``, its hook, family, table
    and name.
    """
    return tuple(sorted(values.get("wall", ())))
