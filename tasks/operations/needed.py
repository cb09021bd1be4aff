"""Needed: the packages that every host gets, beside Docker's."""

# apparmor: Docker confines every container with it, where it is. cron: for debsums. python3-systemd: without it fail2ban
# reads no journal and ends (Debian 12, Ubuntu 22.04 only recommend it). The rest: see files/host.
PACKAGES = (
    "aide",
    "apparmor",
    "apt-listchanges",
    "cron",
    "debsums",
    "fail2ban",
    "libpam-pwquality",
    "needrestart",
    "python3-systemd",
    "unattended-upgrades",
)
