"""Door: who comes anew waits outside while the proxy is replaced or reads its file again.

A server that ends closes what it has accepted and not read yet (golang/go#75591), and a port that nobody listens on refuses. What the
firewall drops is sent again after a second, as TCP and QUIC do. Who is inside already is served to the end.
"""

from tasks.facts.access import TABLE

HELD = "held"
# Until what has knocked before is read.
_SETTLES = 0.5

# Shell. Nothing where the firewall is not there.
OPEN = f"/usr/sbin/nft flush set {TABLE} {HELD} 2>/dev/null || true"


def shut(seconds: int) -> str:
    """Shell. seconds: after so many it opens by itself, should nobody live to do it."""
    ports = ", ".join(f"{port} timeout {seconds}s" for port in (80, 443))
    return (
        f"if /usr/sbin/nft add element {TABLE} {HELD} '{{ {ports} }}' 2>/dev/null; then sleep {_SETTLES}; fi"
    )
