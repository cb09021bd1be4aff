"""Theirs: what a host's own files say of the kernel, its modules, updates and the journal, asked within HostFact."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tasks.facts.kept import BEFORE

SYSCTL = "/etc/sysctl.d/99-zz-smarteros-"


@dataclass(frozen=True)
class Theirs:
    """settings: file (or pattern of files) below /proc/sys → value, and where it is written. modules: of those asked for,
    what files name, or a run before found in use; loaded: what the kernel has now. updates: key of apt's → value. words: folder of ours below /etc, key → value, and where.
    """

    settings: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    modules: frozenset[str] = frozenset()
    loaded: frozenset[str] = frozenset()
    updates: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[tuple[str, str], tuple[str, str]] = field(default_factory=dict)


def question(modules: Sequence[str], updates: Sequence[str]) -> str:
    """Shell that prints ``sysctl``, ``module``, ``loaded`` and ``update`` lines. What a package has brought and nobody has
    edited is nobody's word.
    """
    names = "|".join(name.replace("-", "_") for name in modules)
    return f"""
for file in /usr/local/lib/sysctl.d/*.conf /etc/sysctl.d/*.conf /etc/sysctl.conf; do
    case $file in {SYSCTL}*) continue ;; esac
    [ -f "$file" ] && [ ! -L "$file" ] || continue
    said=$(sed -n 's/^[[:blank:]]*-\\{{0,1\\}}\\([A-Za-z0-9_.*/-]*\\)[[:blank:]]*=[[:blank:]]*/\\1|/p' "$file")
    [ -n "$said" ] || continue
    ! grep -qsF " $file $(md5sum <"$file" | cut -c -32)" /var/lib/dpkg/status || continue
    printf '%s\\n' "$said" | sed -u "s|^|sysctl $file\\||"
done &
cut -d ' ' -f 1 /proc/modules 2>/dev/null | grep -xE '{names}' | sed -u 's/^/loaded /' &
{{
    cat {BEFORE}/modules
    sed 's/#.*//; s/^[[:blank:]]*//; s/[[:blank:]].*//' /etc/modules /etc/modules-load.d/*.conf
    sed -n 's/^[[:blank:]]*[^#[:blank:]][^[:blank:]]*[[:blank:]]*[^[:blank:]]*[[:blank:]]*\\([^[:blank:]]*\\).*/\\1/p' /etc/fstab
}} 2>/dev/null | tr - _ | grep -xE '{names}' | sed -u 's/^/module /' &
for file in /etc/systemd/journald.conf /etc/systemd/journald.conf.d/*.conf /etc/needrestart/needrestart.conf /etc/needrestart/conf.d/*.conf; do
    case $file in *smarteros*) continue ;; esac
    sed -n 's/^\\([A-Z][A-Za-z]*\\)=/\\1|/p; s/^[[:blank:]]*$nrconf{{\\([a-z]*\\)}}[[:blank:]]*=[[:blank:]]*\\(.*\\);.*/\\1|\\2/p' "$file" 2>/dev/null |
        sed -u "s|^|word $file\\||"
done &
apt-config dump {" ".join(updates)} 2>/dev/null | sed -un 's/^\\([^ ]*[^: ]\\) "\\(.*\\)";$/update \\1 \\2/p' &
""".strip()


def theirs(found: Mapping[str, Sequence[str]]) -> Theirs:
    """What HostFact's lines say of it: key → values. Raises ValueError for a line that is cut."""
    settings = {}
    for line in found.get("sysctl", ()):
        file, key, value = line.split("|", 2)
        settings[f"/proc/sys/{_path(key)}"] = (" ".join(value.split()), file)
    return Theirs(
        settings=settings,
        modules=frozenset(found.get("module", ())),
        loaded=frozenset(found.get("loaded", ())),
        updates=dict(_pair(line) for line in found.get("update", ())),
        words=dict(_word(*line.split("|", 2)) for line in found.get("word", ())),
    )


def _word(file: str, key: str, value: str) -> tuple[tuple[str, str], tuple[str, str]]:
    folder = "needrestart/conf.d" if "needrestart" in file else "systemd/journald.conf.d"
    return (folder, key), (value.strip().strip("'\""), file)


def _path(key: str) -> str:
    """As sysctl.d(5) reads it: the first separator says which one separates."""
    first = next((letter for letter in key if letter in "./"), "/")
    return key if first == "/" else key.translate(str.maketrans("./", "/."))


def _pair(line: str) -> tuple[str, str]:
    key, _, value = line.partition(" ")
    return key, value
