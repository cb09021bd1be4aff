"""What a host's own files say of kernel, modules and updates: it counts before ours, and a plan names it."""

import pytest

from tests.e2e.deployment import Deployment
from tests.hosts.conditions import Condition, check

SYSCTL, MODULES, APT = (
    "/etc/sysctl.d/50-vpn.conf",
    "/etc/modules-load.d/exchange.conf",
    "/etc/apt/apt.conf.d/51-own",
)

# As `setfacl -m u:33:rwx` writes it, which a bare host does not have.
ACCESS = (
    'python3 -c \'import os, struct; os.setxattr("/etc/cron.d", "system.posix_acl_access", struct.pack("<I", 2) + b"".join('
    'struct.pack("<HHI", *item) for item in ((1, 7, 2**32 - 1), (2, 7, 33), (4, 5, 2**32 - 1), (16, 7, 2**32 - 1), '
    "(32, 5, 2**32 - 1))))'"
)
WAS = (
    "for path in /etc/crontab /etc/ssh/sshd_config /etc/cron.d /etc/cron.hourly /etc/cron.daily /etc/cron.weekly /etc/cron.monthly; do "
    "stat -c '%n (%a %U:%G)' $path 2>/dev/null; done | paste -sd, | sed 's/,/, /g'"
)
TIMES = ("hourly", "daily", "weekly", "monthly")

CONDITIONS = [
    Condition(
        "a folder of jobs that somebody else may write, too",
        f"mkdir -p /etc/cron.d; {ACCESS}",
        "rmdir /etc/cron.d",
        said=("host: /etc/cron.d: open to whom an access list names, as before (getfacl)",),
    ),
    Condition(
        "modes that become ours",
        f"mkdir -p {' '.join(f'/etc/cron.{time}' for time in TIMES)}; chown root:33 /etc/cron.daily",
        "chown root:root /etc/cron.daily",
        said=("host: for root alone from now on: {was}",),
        values={"was": WAS},
    ),
    Condition(
        "kernel settings for a VPN",
        f"printf 'net.ipv4.conf.all.rp_filter = 0\\nnet.ipv4.ip_forward = 1\\n' >{SYSCTL}",
        f"rm {SYSCTL}",
        said=(f"host: its kernel keeps what its own files say: net.ipv4.conf.all.rp_filter=0 ({SYSCTL})",),
    ),
    Condition(
        "a module that is loaded at boot",
        f"echo sctp >{MODULES}",
        f"rm {MODULES}",
        said=("host: it can go on loading sctp, which it uses or its files name",),
    ),
    Condition(
        "a disk on USB",
        f"echo usb-storage >{MODULES}",
        f"rm {MODULES}",
        said=("host: it can go on loading usb-storage, uas, which it uses or its files name",),
    ),
    Condition(
        "a small disk's journal",
        "mkdir -p /etc/systemd/journald.conf.d; printf '[Journal]\\nSystemMaxUse=200M\\n' >/etc/systemd/journald.conf.d/10-own.conf",
        "rm /etc/systemd/journald.conf.d/10-own.conf; rmdir --ignore-fail-on-non-empty /etc/systemd/journald.conf.d",
        said=("host: its own settings count: SystemMaxUse=200M (/etc/systemd/journald.conf.d/10-own.conf)",),
    ),
    Condition(
        "updates that restart the host at night",
        f"echo 'Unattended-Upgrade::Automatic-Reboot \"true\";' >{APT}",
        f"rm {APT}",
        said=('host: its own settings of apt count: Unattended-Upgrade::Automatic-Reboot "true"',),
    ),
]


@pytest.mark.parametrize("condition", CONDITIONS, ids=str)
def test_what_the_hosts_own_files_say_counts(odd_bare: Deployment, condition: Condition) -> None:
    check(odd_bare, condition)
