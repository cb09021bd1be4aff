"""Packages: what stands in apt's way on a host, asked within SurveyFact: holds, pins, sources, a proxy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Packages:
    """held: packages on hold. installed, pinned: of those that may be needed, those that are there, and those that
    preferences keep out, with the file that does.

    sources: what apt says of source lists that it cannot read. proxies: those that do not answer, "address|file".
    """

    held: frozenset[str] = frozenset()
    installed: frozenset[str] = frozenset()
    pinned: Mapping[str, str] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()


def question(names: Sequence[str]) -> str:
    """Shell, after ``ANSWERS``, that prints ``held``, ``pinned``, ``sources`` and ``proxy`` lines; names: packages that may be needed."""
    return f"""
nothing_kept='-o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache='
dpkg-query -W -f '${{db:Status-Status}} ${{Package}}\\n' {" ".join(names)} 2>/dev/null | sed -un 's/^installed /installed /p'
apt-mark $nothing_kept showhold 2>/dev/null | sed -u 's/:.*//; s/^/held /'
apt-get $nothing_kept indextargets 2>&1 >/dev/null | sed -un '/list of sources could/d; s/^E: /sources /p'
{{ cat /etc/apt/preferences /etc/apt/preferences.d/* 2>/dev/null | grep -q . && apt-cache $nothing_kept policy {" ".join(names)} 2>/dev/null; }} |
    awk '/^[^ ]/ {{name = substr($1, 1, length($1) - 1)}} /^  Candidate: \\(none\\)/ {{none = name}}
        /^ +[^ ]+ -[0-9]+$/ && none == name {{print name; none = ""}}' | while read -r name; do
        echo "pinned $name $(grep -lsE "^Package: *(.* )?($name|\\*)( |$)" /etc/apt/preferences /etc/apt/preferences.d/* | head -n 1)"
    done
for scheme in http https; do
    proxy=$(apt-config dump "Acquire::$scheme::Proxy" 2>/dev/null | sed -n 's/.* "\\(.*\\)";/\\1/p' | head -n 1)
    case $proxy in "" | DIRECT) continue ;; esac
    address=${{proxy#*://}} && address=${{address##*@}} && address=${{address%%/*}}
    answers "$proxy" ||
        echo "proxy $scheme://$address|$(grep -lsF "$address" /etc/apt/apt.conf /etc/apt/apt.conf.d/* | head -n 1)"
done
""".strip()


def packages(values: Mapping[str, Sequence[str]]) -> Packages:
    """What SurveyFact's lines say of it: key → values."""
    return Packages(
        held=frozenset(values.get("held", ())),
        installed=frozenset(values.get("installed", ())),
        pinned={name: file for name, _, file in (line.partition(" ") for line in values.get("pinned", ()))},
        sources=tuple(dict.fromkeys(values.get("sources", ()))),
        proxies=tuple(values.get("proxy", ())),
    )
