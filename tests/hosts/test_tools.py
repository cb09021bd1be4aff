"""Tools as systems have them: what differs on Ubuntu 22.04, 24.04 and 26.04, put on a host one by one."""

import pytest

from tests.e2e.deployment import Deployment
from tests.hosts.conditions import Condition, check

FEW = ["vault", "redis"]
SYSTEM = "cp -P /etc/os-release /run/os-release && rm /etc/os-release && printf 'ID=ubuntu\\nVERSION_ID=\"{}\"\\n' >/etc/os-release"
SYSTEM_BACK = "rm /etc/os-release && cp -P /run/os-release /etc/os-release"
# uutils' date takes no options after the format, busybox' stat no --printf: a tool that refuses what only GNU's knows.
STRICT_DATE = """
cat >/usr/local/bin/date <<'END'
#!/bin/sh
case $1 in
+*) [ $# = 1 ] || { echo "date: unexpected argument '$2' found" >&2; exit 1; } ;;
esac
exec /usr/bin/date "$@"
END
chmod 755 /usr/local/bin/date
"""

CONDITIONS = [
    *(
        Condition(
            f"Ubuntu {release} by its own word",
            SYSTEM.format(release),
            SYSTEM_BACK,
            settings={"services": FEW},
        )
        for release in ("22.04", "24.04", "26.04")
    ),
    Condition(
        "26.04: date takes its options first (uutils)",
        STRICT_DATE,
        "rm /usr/local/bin/date",
        settings={"services": FEW},
    ),
    Condition(
        "24.04: needrestart asks by default",
        "mkdir -p /etc/needrestart && echo '$nrconf{restart} = \"i\";' >/etc/needrestart/needrestart.conf",
        "rm -r /etc/needrestart",
        settings={"services": FEW},
    ),
    Condition(
        "22.04 to 26.04: the resolver is systemd's stub, and the real ones are known to it alone",
        "cp /etc/resolv.conf /run/resolv.kept && printf 'nameserver 127.0.0.53\\noptions edns0 trust-ad\\n' >/etc/resolv.conf",
        "cp /run/resolv.kept /etc/resolv.conf",
        settings={"services": FEW},
    ),
    Condition(
        "24.04 and 26.04: apparmor keeps namespaces from programs without a profile",
        "mkdir -p /etc/sysctl.d && echo 'kernel.apparmor_restrict_unprivileged_userns = 1' >/etc/sysctl.d/10-apparmor.conf",
        "rm /etc/sysctl.d/10-apparmor.conf",
        settings={"services": FEW},
    ),
]


@pytest.mark.parametrize("condition", CONDITIONS, ids=str)
def test_a_system_that_differs_changes_nothing_of_the_plan(
    odd_bare: Deployment, condition: Condition
) -> None:
    check(odd_bare, condition)
