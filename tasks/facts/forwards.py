"""Forwards: what rules of the host's firewall lead on, as iptables-save and nft print them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Forward:
    """What a rule leads on. protocol, ports: empty for all. address: to which it came, interface: over which; empty for any.
    to: where it goes. rule: where it stands. known: whether all of it could be read, else ``to`` is the rule.
    """

    protocol: str
    ports: tuple[tuple[int, int], ...]
    to: str
    rule: str
    address: str = ""
    interface: str = ""
    known: bool = True


def forwards(nat4: Sequence[str], nat6: Sequence[str], nft: Sequence[str]) -> Iterator[Forward]:
    """All of them. nat4, nat6: rules of iptables' tables. nft: ``table|rule``. Raises ValueError for a line that is cut."""
    yield from _iptables(nat4, "")
    yield from _iptables(nat6, "6")
    # They stand in nft's tables, too, where iptables-save has printed them.
    printed = {name for name, lines in (("ip nat", nat4), ("ip6 nat", nat6)) if lines}
    for line in nft:
        yield from _nft(line, printed)


# A rule as iptables-save prints it. What is negated narrows it only, and is left out.
_OPTION = re.compile(
    r"(! )?-(i|d|p|j|g|-dports?|-to-destination|-to-ports|-comment) (\"(?:[^\"\\]|\\.)*\"|\S+)"
)


def _iptables(lines: Sequence[str], six: str) -> Iterator[Forward]:
    """What they lead on, from PREROUTING through all chains but Docker's."""
    chains: dict[str, list[dict[str, str]]] = {}
    for line in lines:
        _, chain, *_ = line.split()
        options = {name: value for no, name, value in _OPTION.findall(line) if not no}
        chains.setdefault(chain, []).append(options)

    def walk(chain: str, so_far: Mapping[str, str], seen: tuple[str, ...]) -> Iterator[Forward]:
        for rule in chains.get(chain, ()):
            target = rule.get("j") or rule.get("g", "")
            options = {**so_far, **{name: rule[name] for name in _KEPT if name in rule}}
            if target in ("DNAT", "REDIRECT"):
                yield _forward(options, rule, f"ip{six}tables -t nat, {chain}")
            elif target in chains and target != "DOCKER" and target not in seen:
                yield from walk(target, options, (*seen, target))

    yield from walk("PREROUTING", {}, ("PREROUTING",))


_KEPT = ("i", "d", "p", "-dport", "-dports")


def _forward(options: Mapping[str, str], rule: Mapping[str, str], where: str) -> Forward:
    ports = options.get("-dport") or options.get("-dports") or ""
    return Forward(
        protocol=options.get("p", "").replace("all", ""),
        ports=tuple(_bounds(part) for part in ports.split(",") if part),
        to=rule.get("-to-destination") or _port(rule.get("-to-ports", "")),
        rule=where,
        address=re.sub(r"/(32|128)$", "", options.get("d", "")),
        interface=options.get("i", ""),
    )


def _port(text: str) -> str:
    return f"port {text} of the host itself" if text else "the host itself"


def _bounds(text: str) -> tuple[int, int]:
    first, _, last = text.strip().replace("-", ":").partition(":")
    return int(first), int(last or first)


_NFT_PORTS = re.compile(r"(tcp|udp|th) dport (\{[^}]*\}|[\d-]+) ")
_NFT_PROTOCOL = re.compile(r"meta l4proto (tcp|udp) ")
_NFT_ELEMENT = re.compile(r"(tcp|udp) \. (\d+) : ([\d.]+) \. (\d+)")
_NFT_TO = re.compile(r"(?:dnat(?: ip6?)? to|redirect to) :?([][\w.:-]+)$|redirect()$")


def _nft(line: str, iptables: set[str]) -> Iterator[Forward]:
    """One rule of nft's, or elements of a map of systemd's. iptables: tables that iptables-save has printed."""
    table, _, rule = line.partition("|")
    if table in iptables or table.split(" ")[-1] in ("docker-bridges", "smarter_fw"):
        return
    where = f"nft's table {table}"
    if "io.systemd.nat" in table:
        for protocol, port, address, inside in _NFT_ELEMENT.findall(rule):
            yield Forward(protocol, ((int(port), int(port)),), f"{address}:{inside}", where)
        return
    ports, to = (
        _NFT_PORTS.search(rule),
        _NFT_TO.search(re.sub(r"( comment \".*\"| counter| persistent| random)+$", "", rule)),
    )
    words = rule.split()
    address = _after("daddr", words)
    interface = _after("iifname", words).strip('"') or _after("iif", words).strip('"')
    spoken = ports if ports and ports[1] != "th" else _NFT_PROTOCOL.search(rule)
    protocol = spoken[1] if spoken else ""
    numbers = re.sub(r"[{}]", "", ports[2]) if ports else ""
    readable = not re.search(r"[{@]", rule.replace(ports[2] if ports else "", ""))
    if not to or not readable or (numbers and not protocol):
        yield Forward("", (), rule, where, known=False)
        return
    parts = tuple(_bounds(part) for part in numbers.split(",") if part.strip())
    there = _port(to[1] or "") if "redirect" in words else to[1]
    yield Forward(protocol, parts, there, where, address, interface)


def _after(word: str, words: list[str]) -> str:
    """What follows it, unless that negates."""
    return words[words.index(word) + 1] if word in words[:-1] and words[words.index(word) + 1] != "!=" else ""
