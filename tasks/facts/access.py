"""Access: who gets at the host from outside, asked within MachineFact: firewall, sshd, an unproven change."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

ARMED = "/var/lib/smarteros"
FIREWALL = "/etc/smarteros/firewall.nft"
FIREWALL_UNIT = "smarteros-firewall.service"
LOADED = "/run/smarteros-firewall/loaded"
TABLE = "inet smarter_fw"
DROP_IN = "/etc/ssh/sshd_config.d/00-smarteros.conf"


@dataclass(frozen=True)
class Access:
    """armed: a change of an earlier run waits to be proven. wan: interfaces with a default route.

    *_file: "sha256 mode owner:group". firewall_loaded: the kernel's table is what the file gave when it was
    loaded. ssh_keywords, ssh_kex: what this sshd knows. ssh_live: nothing overrides our drop-in, and the
    daemon is newer than it.
    """

    armed: bool = False
    wan: tuple[str, ...] = ()
    nft: bool = False
    firewall_file: str = ""
    firewall_enabled: bool = False
    firewall_loaded: bool = False
    sshd: bool = False
    ssh_ports: tuple[int, ...] = ()
    ssh_keywords: frozenset[str] = frozenset()
    ssh_kex: frozenset[str] = frozenset()
    ssh_file: str = ""
    ssh_live: bool = False


# The kernel's rules as this nft prints them, and the file that they came from: files/units/smarteros-firewall.service
# notes the same when it has loaded them.
_TABLE_NOW = f"{{ sha256sum <{FIREWALL}; /usr/sbin/nft -s list table {TABLE}; }} 2>/dev/null | sha256sum"

# Exit code 0 when sshd, with all its files, has for every setting of ours exactly our value. Of several lines for one
# setting the first counts, unless they add up (AllowUsers): sshd itself says what it makes of both.
EFFECTIVE = f"""
ours=$(sed -n 's/^\\([A-Za-z]*\\) .*/\\1/p' {DROP_IN} | grep -vix hostkey | sort -u | paste -sd'|')
all=$(/usr/sbin/sshd -T 2>/dev/null | grep -iE "^($ours) " | sort)
[ -n "$all" ] && [ "$all" = "$(/usr/sbin/sshd -T -f {DROP_IN} 2>/dev/null | grep -iE "^($ours) " | sort)" ]
""".strip()

QUESTION = f"""
[ -d {ARMED}/armed ] || [ -d {ARMED}/undoing ] && echo "armed yes"
for family in 4 6; do ip -$family route show default 2>/dev/null; done |
    sed -n 's/.* dev \\([^ ]*\\).*/wan \\1/p' | grep -vx 'wan lo' | sort -u
for file in {FIREWALL} {DROP_IN}; do
    [ -f $file ] && echo "access_file $file $(sha256sum <$file | cut -c -64) $(stat -c '%a %U:%G' $file)"
done
[ -e /etc/systemd/system/sysinit.target.wants/{FIREWALL_UNIT} ] && echo "firewall_enabled yes"
if [ -x /usr/sbin/nft ]; then
    echo "nft yes"
    [ "$({_TABLE_NOW})" = "$(cat {LOADED} 2>/dev/null)" ] && echo "firewall_loaded yes"
fi &
if [ -x /usr/sbin/sshd ]; then
    echo "sshd yes"
    # Between the end of an sshd and the start of the next it refuses to say anything.
    all=$(/usr/sbin/sshd -T 2>/dev/null || {{ sleep 1; /usr/sbin/sshd -T 2>/dev/null; }})
    printf '%s\\n' "$all" | sed -n 's/^port /ssh_port /p'
    echo "ssh_keywords $(printf '%s\\n' "$all" | cut -d' ' -f1 | sort -u | paste -sd' ')"
    echo "ssh_kex $(ssh -Q kex 2>/dev/null | paste -sd' ')"
    if [ -f {DROP_IN} ]; then
        started=$(date +%s -d "$(systemctl show ssh.service -p ActiveEnterTimestamp --value)" 2>/dev/null || echo 0)
        [ "$(stat -c %Y {DROP_IN})" -le "$started" ] && {{ {EFFECTIVE}; }} && echo "ssh_live yes"
    fi
fi &
""".strip()


def access(values: Mapping[str, Sequence[str]]) -> Access:
    """What MachineFact's lines say of it: key → values. Raises ValueError for lines that no host prints."""
    files = dict(line.split(" ", 1) for line in values.get("access_file", ()))

    def words(key: str) -> frozenset[str]:
        return frozenset(word for line in values.get(key, ()) for word in line.split())

    return Access(
        armed="armed" in values,
        wan=tuple(map(_interface, values.get("wan", ()))),
        nft="nft" in values,
        firewall_file=files.get(FIREWALL, ""),
        firewall_enabled="firewall_enabled" in values,
        firewall_loaded="firewall_loaded" in values,
        sshd="sshd" in values,
        ssh_ports=tuple(sorted(map(_port, values.get("ssh_port", ())))),
        ssh_keywords=words("ssh_keywords"),
        ssh_kex=words("ssh_kex"),
        ssh_file=files.get(DROP_IN, ""),
        ssh_live="ssh_live" in values,
    )


def _interface(name: str) -> str:
    if not re.fullmatch(r"[^\s\"\\/]{1,15}", name):
        raise ValueError(f"{name!r} is no network interface")
    return name


def _port(text: str) -> int:
    port = int(text)
    if not 0 < port < 65536:
        raise ValueError(f"{text!r} is no port")
    return port
