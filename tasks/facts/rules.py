"""Rules: what the host's firewall holds of what Docker writes for its bridges; asked within DockerFact."""

# Docker has its forwarding in chains of its own from 28 on, and with its nftables backend (29) in tables of its own.
QUESTION = r"""
if saved=$(iptables-save 2>/dev/null) && [ "${saved#*incompatible}" = "$saved" ]; then
    {
        printf '%s\n' "$saved" | awk '
            /^\*/ {table = $1}
            table == "*nat" && / -j MASQUERADE/ && match($0, /! -o [^ ]+/) {print "nat", substr($0, RSTART + 5, RLENGTH - 5)}
            table == "*filter" && /^-A FORWARD -j DOCKER-FORWARD/ {jumps = 1}
            table == "*filter" && /^-A (DOCKER-)?FORWARD -i .* -j ACCEPT/ {from[$4] = from[$4] || $2 == "FORWARD"}
            END {for (name in from) if (from[name] || jumps) print "forward", name; print ""}'
        nft list table ip docker-bridges 2>/dev/null | grep -o 'br-[0-9a-f]\{12\}' | sort -u | sed 's/.*/nat &\nforward &/'
    } | sed -u 's/^/r|/'
fi &
""".strip()
