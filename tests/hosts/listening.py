"""Listening: programs that wait on ports of a host, in a unit of their own, for conditions."""

UNIT = "shop"
PID = {"pid": f"systemctl show {UNIT}.service -p MainPID --value"}
# Family, type, address and port of each socket; with IPV6_V6ONLY, so that version 6 is not version 4, too.
_PROGRAM = """
import signal, socket
kept = []
for family, kind, address, port in {sockets}:
    raw = kind == "SOCK_RAW"
    kept.append(socket.socket(getattr(socket, family), getattr(socket, kind), port if raw else 0))
    if family == "AF_INET6" and not raw:
        kept[-1].setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    kept[-1].bind((address, 0 if raw else port))
    if kind == "SOCK_STREAM":
        kept[-1].listen()
open("/run/{unit}.ready", "w").close()
signal.pause()
"""


def listen(*addresses: str) -> str:
    """Shell that starts one; an address is written tcp:127.0.0.1:8200 or udp:[::]:53, or raw:0.0.0.0:112 for a protocol."""
    sockets = [_socket(text) for text in addresses]
    program = _PROGRAM.format(sockets=sockets, unit=UNIT)
    return f"""
cat >/run/{UNIT}.py <<END
{program}
END
systemd-run --quiet --unit={UNIT} python3 /run/{UNIT}.py
timeout 10 sh -c 'until [ -e /run/{UNIT}.ready ]; do sleep 0.1; done'
""".strip()


def _socket(text: str) -> tuple[str, str, str, int]:
    protocol, _, rest = text.partition(":")
    address, _, port = rest.rpartition(":")
    family = "AF_INET6" if ":" in address else "AF_INET"
    return family, _KINDS[protocol], address.strip("[]"), int(port)


_KINDS = {"tcp": "SOCK_STREAM", "udp": "SOCK_DGRAM", "raw": "SOCK_RAW"}


STOP = f"systemctl stop {UNIT}.service; rm -f /run/{UNIT}.*"
