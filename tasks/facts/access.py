"""Access: who gets at the host from outside, asked within MachineFact: firewall, sshd, an unproven change."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tasks.facts.listeners import Listener
from tasks.facts.logins import QUESTION as LOGINS
from tasks.facts.logins import SAYS, Logins, logins
from tasks.facts.ssh_says import COMMAND, Says, said
from tasks.facts.ssh_says import QUESTION as SSH_SAYS

ARMED = "/var/lib/smarteros"
FIREWALL = "/etc/smarteros/firewall.nft"
FIREWALL_UNIT = "smarteros-firewall.service"
LOADED = "/run/smarteros-firewall/loaded"
TABLE = "inet smarter_fw"
# What stands beside a port in our firewall that a run came in by.
WAY = "a run came in here"
DROP_IN = "/etc/ssh/sshd_config.d/00-smarteros.conf"


@dataclass(frozen=True)
class Access:
    """armed: a change of an earlier run waits to be proven. wan: interfaces with a default route. addresses: those
    of the host → their interface.

    *_file: "sha256 mode owner:group". firewall_loaded: the kernel's table is what the file gave when it was
    loaded. ssh_ports: where sshd and ssh.socket listen. ways: ports that this run came in by, or an earlier one → the
    interface, empty where it is not known. ssh_keywords, ssh_kex: what this sshd knows. ssh_unit: whose the daemon is. ssh_socket: systemd
    listens for it (``daemon``), or starts one for each connection (``each``). logins: before our first run. ssh_live: nothing overrides our
    drop-in, and the daemon is newer than it. came: this run's connection as SSH_CONNECTION has it.
    """

    armed: bool = False
    wan: tuple[str, ...] = ()
    addresses: Mapping[str, str] = field(default_factory=dict)
    nft: bool = False
    firewall_file: str = ""
    firewall_enabled: bool = False
    firewall_loaded: bool = False
    sshd: bool = False
    ssh_ports: tuple[int, ...] = ()
    ways: Mapping[int, str] = field(default_factory=dict)
    ssh_unit: str = "ssh.service"
    ssh_socket: str = ""
    ssh_keywords: frozenset[str] = frozenset()
    ssh_kex: frozenset[str] = frozenset()
    logins: Logins = field(default_factory=Logins)
    ssh_file: str = ""
    ssh_live: bool = False
    ssh_says: tuple[Says, ...] = ()
    came: tuple[str, ...] = ()


# The kernel's rules as this nft prints them, and the file that they came from: files/units/smarteros-firewall.service
# notes the same when it has loaded them. Without the ports that are held for a moment (tasks/operations/door.py).
MOMENT = "sed -E '/\\b(80|443) timeout /d'"
_TABLE_NOW = (
    f"{{ sha256sum <{FIREWALL}; /usr/sbin/nft -s list table {TABLE} | {MOMENT}; }} 2>/dev/null | sha256sum"
)
# Exit code 0 when it is what it was when it was loaded.
STANDS = f'[ "$({_TABLE_NOW})" = "$(cat {LOADED} 2>/dev/null)" ]'

# What sshd makes of our drop-in alone, when $ours names its settings.
OURS = f'/usr/sbin/sshd -T -f {DROP_IN} 2>/dev/null | grep -iE "^($ours) " | sort'


def _effective(says: str) -> str:
    """Shell: exit code 0 when sshd, with all its files, has for every setting of ours exactly our value. Of several lines for one
    setting the first counts, unless they add up (AllowUsers): sshd itself says what it makes of both. says: prints what it has.
    """
    return f"""
ours=$(sed -n 's/^\\([A-Za-z]*\\) .*/\\1/p' {DROP_IN} | grep -vix hostkey | sort -u | paste -sd'|')
all=$({says} | grep -iE "^($ours) " | sort)
[ -n "$all" ] && [ "$all" = "$({OURS})" ]
""".strip()


EFFECTIVE = _effective(f"{SAYS} 2>/dev/null")

# Within the question sshd has been asked already.
_SAID = "printf '%s\\n' \"$all\""

# Shell: $way is how the run has come, as SSH_CONNECTION has it. sudo keeps this from what it starts, and not from itself.
CAME = """
way=$SSH_CONNECTION pid=$$
while [ -z "$way" ] && [ "${pid:-0}" -gt 1 ]; do
    pid=$(sed -n 's/^PPid:[[:blank:]]*//p' /proc/$pid/status)
    way=$(tr '\\0' '\\n' 2>/dev/null </proc/$pid/environ | sed -n 's/^SSH_CONNECTION=//p')
done
""".strip()

QUESTION = f"""
[ -d {ARMED}/armed ] || [ -d {ARMED}/undoing ] && echo "armed yes"
# Another table's default route (ip rule) leads into the world, too, unless it is a tunnel's.
for family in 4 6; do ip -$family route show default table all 2>/dev/null; done |
    awk '/^[^ \\t]/ {{own = / table / ? "other" : "own"}} {{for (i = 1; i < NF; i++) if ($i == "dev") print own, $(i + 1)}}' |
    while read -r table name; do
        case $table:$name:$(cat "/sys/class/net/$name/type" 2>/dev/null) in
        *:lo:*) ;;
        own:* | *:1 | *:512) echo "wan $name" ;;
        esac
    done | sort -u
ip -o addr 2>/dev/null | sed -un 's/^[0-9]*: *\\([^ ]*\\) *inet6* \\([^ /]*\\).*/own_address \\2 \\1/p'
{CAME}
echo "way $way"
[ -f {FIREWALL} ] && sed -n 's/.*tcp dport \\([0-9]*\\) accept comment "{WAY}"$/way_noted \\1/p' {FIREWALL}
for file in {FIREWALL} {DROP_IN}; do
    [ -f $file ] && sum=$(sha256sum <$file) && echo "access_file $file ${{sum%% *}} $(stat -c '%a %U:%G' $file)"
done
[ -e /etc/systemd/system/sysinit.target.wants/{FIREWALL_UNIT} ] && echo "firewall_enabled yes"
if [ -x /usr/sbin/nft ]; then
    echo "nft yes"
    {STANDS} && echo "firewall_loaded yes"
fi &
if [ -x /usr/sbin/sshd ]; then
    echo "sshd yes"
    # Between the end of an sshd and the start of the next it refuses to say anything.
    all=$({SAYS} 2>/dev/null || {{ sleep 1; {SAYS} 2>/dev/null; }})
    printf '%s\\n' "$all" | sed -n 's/^port /ssh_port /p; s/^listenaddress .*:\\([0-9]*\\)$/ssh_listen \\1/p'
    echo "ssh_keywords $(printf '%s\\n' "$all" | cut -d' ' -f1 | sort -u | paste -sd' ')"
    echo "ssh_kex $(ssh -Q kex 2>/dev/null | paste -sd' ')"
    set -- $(systemctl is-active ssh.service ssh.socket 2>/dev/null)
    unit=ssh.service
    if [ "$1" != active ] && [ "$2" != active ] && pid=$(cat /run/sshd.pid 2>/dev/null); then
        unit=$(sed -n 's|.*/\\([^/]*\\.service\\)$|\\1|p' "/proc/$pid/cgroup" 2>/dev/null | sed -n 1p)
    fi
    unit=${{unit:-ssh.service}}
    echo "ssh_unit $unit $1"
    [ "$2" = active ] && systemctl show ssh.socket -p Accept -p Listen | sed -u 's/^/ssh_socket /'
{SSH_SAYS}
    if [ -f {DROP_IN} ]; then
        [ "$(stat -c %Y {DROP_IN})" -le "$(started "$unit")" ] && echo "ssh_newer yes"
        {{ {_effective(_SAID)}; }} && echo "ssh_effective yes"
    else
{COMMAND}
{LOGINS}
    fi
fi &
""".strip()


def access(values: Mapping[str, Sequence[str]], listening: Sequence[Listener] = ()) -> Access:
    """What MachineFact's lines say of it: key → values. Raises ValueError for lines that no host prints."""
    files = dict(line.split(" ", 1) for line in values.get("access_file", ()))
    addresses = dict(line.split(" ", 1) for line in values.get("own_address", ()))
    unit, _, state = next(iter(values.get("ssh_unit", ())), "ssh.service active").partition(" ")
    socket = _ssh_socket(values)
    # Whatever systemd starts for a connection reads its files then.
    fresh = "ssh_newer" in values or socket == "each" or (socket != "" and state != "active")

    def words(key: str) -> frozenset[str]:
        return frozenset(word for line in values.get(key, ()) for word in line.split())

    return Access(
        armed="armed" in values,
        wan=tuple(map(_interface, values.get("wan", ()))),
        addresses=addresses,
        nft="nft" in values,
        firewall_file=files.get(FIREWALL, ""),
        firewall_enabled="firewall_enabled" in values,
        firewall_loaded="firewall_loaded" in values,
        sshd="sshd" in values,
        ssh_ports=_ssh_ports(values),
        ways={**dict.fromkeys(_ways_before(values, listening), ""), **dict(_ways(values, addresses))},
        ssh_unit=unit,
        ssh_socket=socket,
        ssh_keywords=words("ssh_keywords"),
        ssh_kex=words("ssh_kex"),
        logins=logins(values),
        ssh_file=files.get(DROP_IN, ""),
        ssh_live="ssh_effective" in values and fresh,
        ssh_says=said(values.get("ssh_says", ())),
        came=tuple(next(iter(values.get("way", ())), "").split()),
    )


def _ssh_ports(values: Mapping[str, Sequence[str]]) -> tuple[int, ...]:
    """Sshd's (ListenAddress may have ports of its own, which count in place of Port), and those of ssh.socket."""
    configured = values.get("ssh_listen") or values.get("ssh_port", ())
    listens = [line.split()[0] for line in values.get("ssh_socket", ()) if line.startswith("Listen=")]
    sockets = [text.rpartition(":")[2].removeprefix("Listen=") for text in listens]
    ports = [*configured, *(text for text in sockets if text.isdecimal())]
    return tuple(sorted({*map(_port, ports)}))


def _ssh_socket(values: Mapping[str, Sequence[str]]) -> str:
    lines = values.get("ssh_socket", ())
    return "" if not lines else "each" if "Accept=yes" in lines else "daemon"


def _ways(values: Mapping[str, Sequence[str]], addresses: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    """The port that this run's own connection came in by, and on which interface."""
    for words in map(str.split, values.get("way", ())):
        if words:
            yield _port(words[3]), addresses.get(words[2], "")


# Programs that let people in, systemd in their place.
_DOORS = ("sshd", "dropbear", "systemd")


def _ways_before(values: Mapping[str, Sequence[str]], listening: Sequence[Listener]) -> Iterator[int]:
    """Those that runs before this one came in by, as long as such a program listens there."""
    open_now = {item.port for item in listening if item.protocol == "tcp" and item.process in _DOORS}
    yield from (port for port in map(_port, values.get("way_noted", ())) if port in open_now)


def _interface(name: str) -> str:
    if not re.fullmatch(r"[^\s\"\\/]{1,15}", name):
        raise ValueError(f"{name!r} is no network interface")
    return name


def _port(text: str) -> int:
    port = int(text)
    if not 0 < port < 65536:
        raise ValueError(f"{text!r} is no port")
    return port
