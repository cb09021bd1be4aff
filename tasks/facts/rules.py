"""Rules: what the host's firewall holds of what Docker writes for its bridges; asked within DockerFact and StatusFact."""

# Docker has its forwarding in chains of its own from 28 on, and with its nftables backend (29) in tables of its own.
# idle: a chain of Docker's that nothing leads to any more. Our networks have no IPv6, for which it writes rules of its own.
QUESTION = r"""
written() {
    awk -v six="$1" '
        /^\*/ {table = substr($1, 2)}
        /^:DOCKER / && table == "nat" || /^:DOCKER-USER / && table == "filter" {idle[table " " substr($1, 2)]}
        /^-A (PREROUTING|FORWARD) / && / -j DOCKER(-USER)?$/ {delete idle[table " " $NF]}
        table == "nat" && / -j MASQUERADE/ && match($0, /! -o [^ ]+/) {print "nat", substr($0, RSTART + 5, RLENGTH - 5)}
        table == "filter" && /^-A FORWARD -j DOCKER-FORWARD/ {jumps = 1}
        table == "filter" && /^-A (DOCKER-)?FORWARD -i .* -j ACCEPT/ {from[$4] = from[$4] || $2 == "FORWARD"}
        END {
            for (name in from) if (from[name] || jumps) print "forward", name
            for (name in idle) {split(name, part, " "); print "idle", part[2], "(ip" six "tables -t " part[1] ")"}
        }'
}
if saved=$(iptables-save 2>/dev/null) && [ "${saved#*incompatible}" = "$saved" ]; then
    {
        echo
        printf '%s\n' "$saved" | written ""
        ip6tables-save 2>/dev/null | written 6 | grep '^idle'
        nft list table ip docker-bridges 2>/dev/null | grep -o 'br-[0-9a-f]\{12\}' | sort -u | sed 's/.*/nat &\nforward &/'
    } | sed -u 's/^/r|/'
fi &
""".strip()
