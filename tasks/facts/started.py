"""Started: the shell function ``started`` of several facts: since when a unit is active."""

# In seconds since 1970, 0 for never. Not by the date that systemd prints for people, which not every `date` reads.
# A systemd before 251 knows no other; it does know the seconds since the boot.
STARTED = """
started() {
    if at=$(systemctl show "$1" -p ActiveEnterTimestamp --value --timestamp=unix 2>/dev/null); then
        at=${at#@}
    else
        at=$(systemctl show "$1" -p ActiveEnterTimestampMonotonic --value)
        [ "${at:-0}" = 0 ] ||
            at=$(awk -v now="$(date +%s)" -v at="$at" '{printf "%d", now - $1 + at / 1000000}' /proc/uptime)
    fi
    echo "${at:-0}"
}
""".strip()
