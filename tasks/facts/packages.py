"""Packages: what stands in apt's way on a host, asked within SurveyFact: holds, pins, what others' packages lack, sources, a proxy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Packages:
    """held: packages on hold. installed, pinned: of those that may be needed, those that are there, and those that
    preferences keep out, with the file that does. unmet: packages that lack others, as apt says it; mended: apt could get them.

    sources: what apt says of source lists that it cannot read. proxies: those that do not answer, "address|file".
    """

    held: frozenset[str] = frozenset()
    installed: frozenset[str] = frozenset()
    pinned: Mapping[str, str] = field(default_factory=dict)
    unmet: tuple[str, ...] = ()
    mended: bool = False
    sources: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()


# pinning NAME: the file whose preferences keep it out whatever its version. Without lists, as on a bare host, apt itself
# knows of no package, and of no pin.
PINNING = """
pinning() {
    awk -v name="$1" -v unknown="$2" '
        function stanza(    count, word, i, pattern) {
            count = split(packages, word, " ")
            for (i = 1; i <= count && priority < 0; i++) {
                pattern = word[i]
                sub(/^src:/, "", pattern)
                gsub(/[.+]/, "[&]", pattern)
                gsub(/[*]/, ".*", pattern)
                gsub(/[?]/, ".", pattern)
                if (name ~ "^(" pattern ")$" && (unknown == "" || pin ~ /^(release|version|origin) *"?[*]"?$/)) { print file; exit }
            }
            packages = pin = ""; priority = 0
        }
        FNR == 1 && file != "" { stanza() }
        { file = FILENAME }
        /^[ \t]*$/ { stanza() }
        /^Package:/ { sub(/^Package:[ \t]*/, ""); packages = $0 }
        /^Pin:/ { sub(/^Pin:[ \t]*/, ""); sub(/[ \t]+$/, ""); pin = $0 }
        /^Pin-Priority:/ { priority = $2 }
        END { stanza() }' $(ls /etc/apt/preferences /etc/apt/preferences.d/* 2>/dev/null) </dev/null | head -n 1
}
""".strip()


def question(names: Sequence[str]) -> str:
    """Shell, after ``ANSWERS``, that prints ``held``, ``pinned``, ``sources`` and ``proxy`` lines; names: packages that may be needed."""
    return f"""
nothing_kept='-o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache='
dpkg-query -W -f '${{db:Status-Status}} ${{Package}}\\n' {" ".join(names)} 2>/dev/null | sed -un 's/^installed /installed /p'
apt-mark $nothing_kept showhold 2>/dev/null | sed -u 's/:.*//; s/^/held /'
apt-get $nothing_kept indextargets 2>&1 >/dev/null | sed -un '/list of sources could/d; s/^E: /sources /p'
{PINNING}
if cat /etc/apt/preferences /etc/apt/preferences.d/* 2>/dev/null | grep -q .; then
    policy=$(apt-cache $nothing_kept policy {" ".join(names)} 2>/dev/null)
    printf '%s\\n' "$policy" | awk '/^[^ ]/ {{name = substr($1, 1, length($1) - 1)}} /^  Candidate: \\(none\\)/ {{none = name}}
        /^ +[^ ]+ -[0-9]+$/ && none == name {{print name; none = ""}}' | while read -r name; do
        echo "pinned $name $(pinning "$name")"
    done
    for name in {" ".join(names)}; do
        printf '%s\\n' "$policy" | grep -qxF "$name:" && continue
        file=$(pinning "$name" unknown)
        [ -z "$file" ] || echo "pinned $name $file"
    done
fi
unmet=$(LC_ALL=C apt-get $nothing_kept -o Debug::NoLocking=1 check 2>/dev/null | sed -n 's/^ \\([^ ]* : .*\\)/unmet \\1/p')
if [ -n "$unmet" ]; then
    printf '%s\\n' "$unmet"
    apt-get $nothing_kept -s --fix-broken --no-remove install >/dev/null 2>&1 && echo "mended yes"
fi
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
        unmet=tuple(values.get("unmet", ())),
        mended="mended" in values,
        sources=tuple(dict.fromkeys(values.get("sources", ()))),
        proxies=tuple(values.get("proxy", ())),
    )
