"""Host: files, kernel settings, packages and units below everything else, as they really are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from shlex import quote

from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError

from tasks.facts import theirs
from tasks.facts.theirs import Theirs

# What the last complete run left there: its digest, and ``refused`` lines for what this host cannot do.
NOTE = "/opt/smarteros/host"


@dataclass(frozen=True)
class HostState:
    """What the phase ``host`` compares.

    files: path → SHA-256, mode and owner, for a folder without the first. shared: those with an access list. kernel: file below /proc/sys → value.
    logins: key → value in /etc/login.defs.
    packages: those installed. units: those active. noted: the lines of NOTE. audit_rules: how many of ours are loaded.
    container: the kind, empty on a machine. synchronised: the clock follows a time server.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    shared: frozenset[str] = frozenset()
    kernel: Mapping[str, str] = field(default_factory=dict)
    logins: Mapping[str, str] = field(default_factory=dict)
    packages: frozenset[str] = frozenset()
    units: frozenset[str] = frozenset()
    noted: tuple[str, ...] = ()
    audit_rules: int = 0
    container: str = ""
    synchronised: bool = False
    theirs: Theirs = field(default_factory=Theirs)


class HostFact(FactBase[HostState]):
    """HostState, for the files, kernel settings, packages and units that are asked for."""

    def command(
        self,
        files: tuple[str, ...],
        kernel: tuple[str, ...],
        packages: tuple[str, ...],
        units: tuple[str, ...],
        words: tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]],
    ) -> str:
        """Prints ``key value`` lines. kernel: patterns of files below /proc/sys, expanded on the host. words: keys of
        /etc/login.defs, modules, keys of apt's.

        Several programs print at once, so each line has to be written as one (sed -u).
        """
        logins, modules, updates = words
        paths = " ".join(map(quote, files))
        return f"""
timedatectl show -p NTPSynchronized 2>/dev/null &
{{
    found=$(systemctl list-units --plain --no-legend --state=active {" ".join(units)}) || fail systemd does not answer
    printf '%s\\n' "$found" | sed -un 's/^\\([^ ]*\\) .*/unit \\1/p'
}} &
dpkg-query -W -f '${{db:Status-Status}} ${{Package}}\\n' {" ".join(packages)} 2>/dev/null | sed -un 's/^installed /package /p' &
command -v auditctl >/dev/null && echo "rules $(auditctl -l 2>/dev/null | grep -c 'key=smarteros-')"
sha256sum {paths} 2>/dev/null | sed -u 's/^/sum /'
stat -c '%a %U:%G %n' {paths} 2>/dev/null | sed -u 's/^/stat /'
ls -d -l {paths} 2>/dev/null | sed -un 's/^[^ ]*+ .* \\(\\/[^ ]*\\)$/shared \\1/p'
grep -s '' /dev/null {" ".join(kernel)} | sed -u 's/^/kernel /'
awk '$1 ~ /^({"|".join(logins)})$/ {{ print "login", $1, $2 }}' /etc/login.defs 2>/dev/null
{theirs.question(modules, updates)}
sed -u 's/^/noted /' {NOTE} 2>/dev/null
echo "container $(systemd-detect-virt --container 2>/dev/null)"
wait
true
""".strip()

    @staticmethod
    def default() -> HostState:
        """Nothing is known."""
        return HostState()

    def process(self, output: list[str]) -> HostState:
        """Lines → HostState. Raises FactProcessError for a line that is cut."""
        found: dict[str, list[str]] = {}
        for line in output:
            key, _, value = line.partition(" ")
            found.setdefault(key, []).append(value)
        try:
            return _state(found)
        except (ValueError, IndexError) as error:
            raise FactProcessError(f"cannot read what the host says of its hardening: {error}") from None


def _state(found: Mapping[str, list[str]]) -> HostState:
    sums = {path: digest for digest, path in (line.split("  ", 1) for line in found.get("sum", ()))}
    stats = {
        path: f"{mode} {owner}"
        for mode, owner, path in (line.split(" ", 2) for line in found.get("stat", ()))
    }
    values = dict(line.split(":", 1) for line in found.get("kernel", ()))
    container = found.get("container", [""])[0]
    return HostState(
        files={path: f"{sums.get(path, '')} {rest}".strip() for path, rest in stats.items()},
        shared=frozenset(found.get("shared", ())),
        kernel={path: " ".join(value.split()) for path, value in values.items()},
        logins=dict(line.split(" ", 1) for line in found.get("login", ())),
        packages=frozenset(found.get("package", ())),
        units=frozenset(found.get("unit", ())),
        noted=tuple(found.get("noted", ())),
        audit_rules=int(found.get("rules", ["0"])[0]),
        container="" if container == "none" else container,
        synchronised="NTPSynchronized=yes" in found,
        theirs=theirs.theirs(found),
    )
