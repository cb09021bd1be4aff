"""Apt: shell that updates, installs and mends packages, with patience for another apt or dpkg that is at work.

Nothing is ever removed for it, nothing restarted behind anybody's back, and sources that fail stop nothing as long as
what is needed can be had without them.
"""

from collections.abc import Iterable

from tasks.facts.holders import HOLDERS
from tasks.facts.packages import PINNING

PATIENCE = 600
GET = f"apt-get -q -o DPkg::Lock::Timeout={PATIENCE}"
INSTALL = f"{GET} install -y --no-install-recommends --no-remove"
# needrestart would restart what uses a library that is new: a Docker, and with it every container.
_QUIET = "DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1"
# Files of ours and of the operator's stay as they are.
KEEP = "-o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold"

# apt-get waits for dpkg's locks by itself, not for that of the package lists, which a fresh host's own first update
# may hold; dpkg waits for none. Who still holds one then is named by apt and dpkg themselves.
WAIT = f'for second in $(seq {PATIENCE}); do [ -n "$({HOLDERS})" ] || break; sleep 1; done'
_SAID = "/run/smarteros-apt"
UPDATE = f"{WAIT}; {{ {GET} update 2>&1 || true; }} | tee {_SAID}"

# What an interrupted dpkg left: unpacked packages are configured, half unpacked ones installed again.
MEND = f"""
{WAIT}
export {_QUIET}
dpkg --force-confdef --force-confold --configure -a || true
broken=$(dpkg-query -W -f '${{db:Status-Eflag}} ${{binary:Package}}\\n' | sed -n 's/^reinstreq //p')
[ -z "$broken" ] || {GET} {KEEP} install -y --no-remove --reinstall $broken
{GET} {KEEP} --fix-broken install -y --no-remove
left=$(dpkg --audit)
[ -z "$left" ] || {{ echo "$left" >&2; exit 1; }}
""".strip()

# Why an install failed, for the operator: what would have had to go, what is pinned, which program that apt starts first
# may have refused (those of packages say so themselves), and which sources could not be read.
_WHY = f"""
{PINNING}
why() {{
    for name; do
        apt-cache policy "$name" 2>/dev/null | grep -q 'Candidate: (none)' || continue
        file=$(pinning "$name")
        [ -z "$file" ] || echo "apt: $name is kept from being installed by $file: take that out"
    done
    for file in $(grep -lsE '(Pre-Install-Pkgs|Pre-Invoke)' /etc/apt/apt.conf /etc/apt/apt.conf.d/*); do
        dpkg -S "$file" >/dev/null 2>&1 || echo "apt starts a program of the host's own before it changes anything: $file says which"
    done
    gone=$(apt-get -s install --no-install-recommends "$@" 2>/dev/null | sed -n 's/^Remv \\([^ ]*\\).*/\\1/p' | paste -sd' ')
    [ -z "$gone" ] || echo "apt would have to remove: $gone; nothing was removed: remove or upgrade it yourself, or take another host"
    grep -E '^(Err:|[EW]:)' {_SAID} 2>/dev/null | grep -oE "[a-z+]+://[^ ']+" |
        sed 's|/dists/.*||; s|/$||; s|^cdrom:.*|cdrom:|' | sort -u | while read -r address; do
        grep -HnF -e "$address" /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null || true
    done | grep -vE '^[^:]*:[0-9]*: *#' | LC_ALL=C sort -u | sed 's/^\\([^:]*\\):\\([0-9]*\\):/apt cannot read a source, \\1 line \\2: /'
}}
""".strip()


def script(names: Iterable[str], options: str = "", *before: str) -> str:
    """Shell that installs packages, with fresh lists. before: lines of shell between the update and the install."""
    packages = " ".join(names)
    install = " ".join(filter(None, (INSTALL, options, packages)))
    return "\n".join(
        (
            _WHY,
            "set -e",
            f"export {_QUIET}",
            UPDATE,
            *before,
            f"{install} || {{ why {packages} >&2; exit 1; }}",
        )
    )


def tried(names: Iterable[str]) -> str:
    """A line for ``script``: apt is asked whether all of these that its sources have can be had, before the first is."""
    return f"""
later=
for name in {" ".join(names)}; do [ -z "$(apt-cache madison $name)" ] || later="$later $name"; done
[ -z "$later" ] || {{
    said=$({INSTALL} -s $later 2>&1) || {{ echo "$said" >&2; why $later >&2; exit 1; }}
}}
""".strip()


def install(*names: str) -> str:
    """Shell that installs packages of the distribution, with an update only when they cannot be had without."""
    packages = " ".join(names)
    return f"{_QUIET} {INSTALL} {packages} || {{\n{script(names)}\n}}"
