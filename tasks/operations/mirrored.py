"""Mirrored: what the proxy of the data's node is told while a service is replaced, the cluster's other proxies do as well.

A script reaches its own host's proxy alone, by files in that one's memory (rollout_shell.py, rolling.py): whoever is held or led to a second
container there would meet an error at another one. They get the same files a moment later, through the connections that there are, for as long
as the operator's own lasts: where that ends, they go, as they do on the first one after all those are served that have waited.
"""

import re
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from shlex import quote

import gevent

from tasks.connection import grouped, tunnel
from tasks.model.catalogue import Service
from tasks.operations.rollout_shell import RUSH
from tasks.run import executing, host

# Seconds between two looks, and those after which all others have seen a mark.
_EACH, SEEN = 0.2, 1
# Seconds for a proxy's answer, after which it is left to itself.
_PATIENCE = 5
_MARK = re.compile(r"(second|replaced)-[a-z0-9][a-z0-9.-]*")

# Both answer each line with one, and end with their input.
_LOOKS = "cd /tmp || exit; while read -r line; do set --; for mark in second-* replaced-*; do [ ! -e $mark ] || set -- $@ $mark; done; echo $@; done"
_DOES = """
cd /tmp || exit; had=
while read -r now; do
    for mark in $now; do touch $mark; done
    for mark in $had; do case " $now " in *" $mark "*) ;; *) rm -f $mark ;; esac; done
    had=$now; echo
done
touch led-on-mirrored; sleep RUSH; for mark in $had; do [ $mark -nt led-on-mirrored ] || rm -f $mark; done
""".strip().replace("RUSH", str(RUSH))


def others(service: Service) -> tuple[str, ...]:
    """The nodes whose proxies visitors of the service meet, beside the host's own."""
    cluster = grouped.cluster()
    if cluster is None or service.phase == "proxy" or not service.routes:
        return ()
    return tuple(name for name in cluster.of("proxies") if name != host().name)


@contextmanager
def marks(proxy: str, nodes: tuple[str, ...]) -> Iterator[None]:
    """They do what the host's own one is told. proxy: its container, on each. One that does not answer is said, and left to itself."""
    if not nodes or not executing():
        yield
        return
    with ExitStack() as opened:
        looks = opened.enter_context(_spoken(host().name, proxy, _LOOKS))
        told = {name: opened.enter_context(_spoken(name, proxy, _DOES)) for name in nodes}
        job = gevent.spawn(_followed, looks, told, host().log)
        opened.callback(job.kill)
        yield


def _followed(
    looks: socket.socket | None, told: Mapping[str, socket.socket | None], say: Callable[[str], object]
) -> None:
    while looks:
        try:
            now = " ".join(filter(_MARK.fullmatch, _asked(looks, "").split()))
        except OSError:
            return
        told = {name: line for name, line in told.items() if _told(name, line, now, say)}
        gevent.sleep(_EACH)


def _told(name: str, line: socket.socket | None, now: str, say: Callable[[str], object]) -> bool:
    try:
        if line and not _asked(line, now).strip():  # else it is why there is no such proxy
            return True
    except OSError:
        pass
    say(
        f"the proxy of {name} is not asked any more, as it does not answer: its visitors may meet errors meanwhile"
    )
    return False


def _asked(line: socket.socket, text: str) -> str:
    line.settimeout(_PATIENCE)
    line.sendall(f"{text}\n".encode())
    answer = b""
    while not answer.endswith(b"\n"):
        if not (more := line.recv(4096)):
            raise ConnectionError("it has ended")
        answer += more
    return answer.decode(errors="replace")


@contextmanager
def _spoken(name: str, proxy: str, script: str) -> Iterator[socket.socket | None]:
    """None where there is nobody to talk to: a node's first proxy is not there before this."""
    try:
        line = tunnel.spoken(
            grouped.named(name), f"docker exec --interactive {quote(proxy)} sh -c {quote(script)}"
        )
    except OSError:
        yield None
        return
    with line:
        yield line
