"""Test notify: tells everybody whom the setting ``notify`` names, from the host, and says what each has answered.

``pyinfra -y inventories/prod.py tasks.commands.test_notify.run``
"""

import re
import shlex

from tasks.connection.line import Line
from tasks.model.shapes import shown
from tasks.model.targets import target
from tasks.rendering.notify_files import STATE
from tasks.run import Commands, Refused, executing, host, operation, stack

_SCRIPT = f"""
say() {{ printf '\\n%s-notify %s\\n' smarteros "$*"; }}
[ -e /etc/systemd/system/smarteros-notify.timer ] || {{ say missing; exit; }}
install -d -m 700 {STATE} {STATE}/new
echo 'test ok' >{STATE}/new/.test
echo 'Whoever reads this is told what happens on this host.' >>{STATE}/new/.test
rm -f {STATE}/last
mv -f {STATE}/new/.test {STATE}/new/test
timeout 60 systemctl start smarteros-notify.service
[ -e {STATE}/last ] || {{ say silent; exit; }}
sed 's/^/smarteros-notify answered /' {STATE}/last
say end
"""


def run() -> None:
    """The command ``make test-notify``."""
    told(name="Test notify | everybody whom the settings name")


@operation
def told() -> Commands:
    """Fails the host with what each said that has not taken it."""
    if not executing():
        return
    yield from ()
    if stack().notify is None:
        raise Refused("notify: not set, so nobody is told anything (README, Who is told)")
    answers = _answers()
    for channel, why in answers.items():
        if why == "ok":
            host().log(f"notify: {channel} has taken it")
    if wrong := [f"    {channel}: {shown(why)}" for channel, why in answers.items() if why != "ok"]:
        todo = f"{target('give-secrets')} writes another address, {target('deploy')} brings it to the host"
        raise Refused("\n".join(("notify: not told:", *wrong, f"    {todo}")))


def _answers() -> dict[str, str]:
    """Channel → ``ok``, or why not. Raises Refused."""
    line = Line(host(), f"exec bash --norc -c {shlex.quote(_SCRIPT)}")
    printed, found = [], {}
    while (text := line.receive()) is not None:
        printed.append(text)
        if "smarteros-notify missing" in text:
            raise Refused(
                f"notify: this host does not know of it yet: {target('deploy')} tells it whom to tell"
            )
        if "smarteros-notify silent" in text:
            raise Refused("notify: nothing was sent: `journalctl -u smarteros-notify` on the host says why")
        if answered := re.search(r"smarteros-notify answered (\S+) (.*?)\r?$", text):
            found[answered[1]] = answered[2]
        if "smarteros-notify end" in text:
            return found
    raise Refused(f"notify: the host does not answer: {shown(' '.join(printed[-3:]))}")
