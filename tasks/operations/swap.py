"""Swap: a file of ours, where a host has little memory; what the host has of its own counts and is never touched."""

from collections.abc import Iterator

from pyinfra.api import StringCommand

from tasks.facts import Machine, MachineFact
from tasks.facts.swap import FILE, LEFT, UNIT
from tasks.operations.kept import keep
from tasks.run import Commands, executing, host, known, operation, stack

# What is called 8 GB shows more than this.
_SMALL_MB = 7500
_DEFAULT_MB = 2048
# Less is not worth a file, and an update needs as much of the disk beside it.
_LEAST_MB = 256
_ROOM_MB = 2048


def wanted_mb(swap_gb: int | None, machine: Machine) -> int:
    """MB of swap that ours has to have, beside the host's own. Pure."""
    default = _DEFAULT_MB if machine.memory_mb < _SMALL_MB else 0
    missing = (default if swap_gb is None else swap_gb * 1024) - machine.swap.others
    return missing if missing >= _LEAST_MB else 0


def problems(swap_gb: int | None, machine: Machine) -> Iterator[str]:
    """Swap that was asked for and has no room; of the default, only what is there is made. Pure."""
    wanted = wanted_mb(swap_gb, machine) if swap_gb else 0
    free = machine.disk_free_mb + machine.swap.active.get(FILE, 0)
    if wanted and machine.swap.active.get(FILE) != wanted and free < wanted + _ROOM_MB:
        yield (
            f"swap_gb: {swap_gb} needs {wanted + _ROOM_MB} MB below {FILE.rpartition('/')[0]}, with the room that an update needs, and "
            f"{free} MB are free: ask for less, or take a larger disk"
        )


@operation
def swapped() -> Commands:
    """The file is there, in use, and at the next boot; a host that cannot have it is told so, and goes on."""
    machine = known(MachineFact)
    wanted = wanted_mb(stack().swap_gb, machine)
    ours = machine.swap.active.get(FILE, 0)
    if not wanted and (ours or machine.swap.enabled):
        yield StringCommand(_GONE)
    if wanted and machine.swap.left[0] != wanted and not (ours == wanted and machine.swap.enabled):
        yield StringCommand(made(wanted))
    mb, why = known(MachineFact).swap.left
    if executing() and wanted and mb == wanted:
        host().log(f"host: {wanted} MB of swap are wanted (swap_gb), and there are none: {why}")


_NAME = UNIT.rpartition("/")[2]
# Given back first: memory that has no room for what it holds keeps it.
_GONE = f"""
set -e
rm -f {LEFT}
systemctl disable --quiet --now {_NAME} 2>/dev/null || true
if grep -q '^{FILE} ' /proc/swaps; then swapoff {FILE}; fi
rm -f {FILE} {UNIT}
systemctl daemon-reload
""".strip()


def made(mb: int) -> str:
    """Shell that makes the file anew. What a host cannot do goes into a note, so that it is tried only once."""
    return f"""
{_GONE}
left() {{
    rm -f {FILE} {UNIT}
    systemctl daemon-reload
    mkdir -p {LEFT.rpartition("/")[0]}
    echo "{mb} $1" >{LEFT}
    exit 0
}}
! systemd-detect-virt --quiet --container || left "it is a container, whose swap is its machine's"
{keep([UNIT])}
umask 077
mkdir -p {FILE.rpartition("/")[0]}
kind=$(findmnt --noheadings --output FSTYPE --target {FILE.rpartition("/")[0]})
case $kind in
zfs | overlay | tmpfs | nfs | nfs4 | bcachefs) left "/var/lib is on $kind, which holds no swap" ;;
esac
free=$(df -Pk {FILE.rpartition("/")[0]} | awk 'NR == 2 {{print int($4 / 1024)}}')
[ "$free" -ge {mb + _ROOM_MB} ] || left "$free MB are free below /var/lib"
: >{FILE}
# No copies of what is written, which btrfs would make, and no holes, which XFS would have after fallocate.
[ "$kind" != btrfs ] || chattr +C {FILE}
dd if=/dev/zero of={FILE} bs=1M count={mb} 2>/dev/null || left "the file cannot be written"
mkswap {FILE} >/dev/null
printf '%s\\n' '[Unit]' 'Description=Swap beside little memory (SmarterOS)' '[Swap]' 'What={FILE}' '[Install]' 'WantedBy=swap.target' >{UNIT}
chmod 644 {UNIT}
systemctl daemon-reload
systemctl enable --quiet --now {_NAME} || {{
    systemctl disable --quiet {_NAME} || true
    left "the kernel does not take it (journalctl -u {_NAME})"
}}
""".strip()
