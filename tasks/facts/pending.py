"""Pending: what sshd's files say and its daemon may not have loaded; asked before a restart of it, which would load all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from shlex import quote

from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError

from tasks.facts.access import DROP_IN
from tasks.facts.ssh_says import MAIN
from tasks.facts.started import STARTED

# What lets people in, or not, and where.
_KEYS = (
    "(allow|deny)(users|groups)|permitrootlogin|port|listenaddress|addressfamily|match|authorizedkeys[a-z]*|authenticationmethods|"
    "pub(key)?[a-z]*|hostkey[a-z]*|hostcertificate|trustedusercakeys|authorizedprincipals[a-z]*|usepam|strictmodes|maxsessions|"
    "maxauthtries|forcecommand|chrootdirectory|requiredrsasize|kexalgorithms|ciphers|macs"
)


# As sshd itself prints it.
_DECIDES = (
    "(allow|deny)(users|groups)|permitrootlogin|pubkeyauthentication|authorizedkeys[a-z]*|authenticationmethods|"
    "forcecommand|chrootdirectory|maxsessions|trustedusercakeys|pubkeyacceptedalgorithms"
)


@dataclass(frozen=True)
class Pending:
    """newer: lines of files that are newer than the daemon, ``file:line: text``. bound: addresses and ports that sshd would listen on.
    says, groups: what counts for the login, from where it comes. apart: another address would have other settings.
    """

    newer: tuple[str, ...] = ()
    bound: tuple[str, ...] = ()
    says: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    apart: bool = False


class PendingFact(FactBase[Pending]):
    """Pending, for a login."""

    def command(self, unit: str, user: str, came: Sequence[str]) -> str:
        """Prints ``key value`` lines. came: the words of SSH_CONNECTION."""
        source, _, to, port = came
        ours = quote(f"user={user},host={source},addr={source},laddr={to},lport={port}")
        other = quote(f"user={user},host=UNKNOWN,addr=UNKNOWN,laddr=UNKNOWN,lport=65535")
        return f"""
{STARTED}
since=$(started {quote(unit)})
for file in {MAIN} /etc/ssh/sshd_config.d/*.conf; do
    [ -f "$file" ] && [ "$file" != {DROP_IN} ] && [ "$(stat -c %Y "$file")" -ge "$since" ] || continue
    grep -niE '^[[:blank:]]*({_KEYS})([[:blank:]=]|$)' "$file" | sed "s|^|newer $file:|"
done
deciding() {{ grep -E '^({_DECIDES}) '; }}
all=$(/usr/sbin/sshd -T -C {ours} 2>/dev/null)
printf '%s\\n' "$all" | sed -n 's/^listenaddress /bound /p'
printf '%s\\n' "$all" | deciding | sed 's/^/says /'
[ "$(printf '%s\\n' "$all" | deciding)" = "$(/usr/sbin/sshd -T -C {other} 2>/dev/null | deciding)" ] || echo "apart yes"
echo "groups $(id -Gn {quote(user)} 2>/dev/null)"
""".strip()

    @staticmethod
    def default() -> Pending:
        """Nothing is known."""
        return Pending()

    def process(self, output: list[str]) -> Pending:
        """Lines → Pending. Raises FactProcessError for a line that is cut."""
        values: dict[str, list[str]] = {}
        for key, _, value in (line.partition(" ") for line in output):
            values.setdefault(key, []).append(value.strip())
        says: dict[str, tuple[str, ...]] = {}
        try:
            for key, _, pattern in (line.partition(" ") for line in values.get("says", ())):
                says[key] = (*says.get(key, ()), *pattern.split())
            return Pending(
                newer=tuple(values.get("newer", ())),
                bound=tuple(values.get("bound", ())),
                says=says,
                groups=tuple(" ".join(values.get("groups", ())).split()),
                apart="apart" in values,
            )
        except ValueError as error:
            raise FactProcessError(f"cannot read what sshd's files say: {error}") from None
