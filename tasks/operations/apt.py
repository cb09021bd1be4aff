"""Apt: shell that updates, installs and mends packages, with patience for another apt or dpkg that is at work."""

from tasks.facts.machine import HOLDERS

PATIENCE = 600
GET = f"apt-get -q -o DPkg::Lock::Timeout={PATIENCE}"
_QUIET = "DEBIAN_FRONTEND=noninteractive"
# Files of ours and of the operator's stay as they are.
KEEP = "-o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold"

# apt-get waits for dpkg's locks by itself, not for that of the package lists, which a fresh host's own first update
# may hold; dpkg waits for none. Who still holds one then is named by apt and dpkg themselves.
WAIT = f'for second in $(seq {PATIENCE}); do [ -n "$({HOLDERS})" ] || break; sleep 1; done'
UPDATE = f"{WAIT}; {GET} update"

# What an interrupted dpkg left: unpacked packages are configured, half unpacked ones installed again.
MEND = f"""
{WAIT}
export {_QUIET}
dpkg --force-confdef --force-confold --configure -a || true
broken=$(dpkg-query -W -f '${{db:Status-Eflag}} ${{binary:Package}}\\n' | sed -n 's/^reinstreq //p')
[ -z "$broken" ] || {GET} {KEEP} install -y --reinstall $broken
{GET} {KEEP} --fix-broken install -y
left=$(dpkg --audit)
[ -z "$left" ] || {{ echo "$left" >&2; exit 1; }}
""".strip()


def install(*names: str) -> str:
    """One line that installs packages of the distribution, with an update only when they cannot be had without."""
    packages = f"{_QUIET} {GET} install -y --no-install-recommends {' '.join(names)}"
    return f"{packages} || {{ {UPDATE} && {packages}; }}"
