"""Holders: the processes that hold one of apt's locks, asked within MachineFact."""

HOLDERS = (
    "stat -c %i /var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/lib/apt/lists/lock 2>/dev/null | "
    "awk 'NR == FNR {lock[$1]; next} {split($6, part, \":\")} part[3] in lock {print $5}' - /proc/locks | sort -u"
)

QUESTION = f'{HOLDERS} | while read -r pid; do echo "apt $(cat "/proc/$pid/comm" 2>/dev/null) ($pid)"; done &'
