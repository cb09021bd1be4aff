"""First logins: handed to the operator once, in /root/GENERATED-SECRETS-<date>.txt.

``bash /root/generate-secrets.sh show`` prints and removes that file, a timer removes it after 24 hours.
Which services were handed out stays on the host, so that no later run writes them again.
"""

from collections.abc import Iterable
from shlex import quote

from pyinfra.api import StringCommand

from tasks.clients.vault_values import values
from tasks.facts import MachineFact
from tasks.model.catalogue import Admin, Service, domains
from tasks.operations.files import archive
from tasks.operations.units import units
from tasks.rendering.render import ROOT
from tasks.rendering.templates import HOME
from tasks.run import Commands, executing, host, known, operation, services, stack

_UNITS = ("smarteros-first-logins.service", "smarteros-first-logins.timer")
_PARTIAL = ".GENERATED-SECRETS-partial"


def run() -> None:
    """The phase. The timer comes first: no file is there without what removes it."""
    texts = {name: (HOME / "files" / "units" / name).read_text("utf-8") for name in _UNITS}
    units(texts, name="First logins | a timer removes them after 24 hours")
    handed_out(name="First logins | /root/GENERATED-SECRETS-<date>.txt")


@operation
def handed_out() -> Commands:
    """Writes the logins of all services that were never handed out, and notes them as handed out."""
    done = known(MachineFact).handed_out
    new = [(item, item.admin) for item in services() if item.admin and item.name not in done]
    if not new:
        return
    if not executing():
        yield "true"  # their passwords may not be there yet
        return
    host().log(
        "first logins: `bash /root/generate-secrets.sh show` on the host shows them once, within 24 hours"
    )
    names = " ".join(service.name for service, _ in new)
    yield StringCommand(_write(names), _stdin=archive({_PARTIAL: text(new)}, mode="600"))


def text(logins: list[tuple[Service, Admin]]) -> str:
    """What the operator reads."""
    head = f"First logins of SmarterOS on {host().name}. Shown once; the passwords stay in Vault.\n"
    return head + "".join(entry(service, admin) for service, admin in logins)


def entry(service: Service, admin: Admin) -> str:
    """One service's login, with where it is entered."""
    urls = [f"https://{domains(stack(), route)[0]}/" for route in service.routes[:1]]
    return (
        f"\n{service.title}\n"
        f"  URL       {urls[0] if urls else 'none'}\n"
        f"  login     {admin.login}\n"
        f"  password  {values(service.name)[admin.secret]}\n"
        f"  in Vault  {stack().vault_mount}/{service.name}, {admin.secret}\n"
    )


@operation
def renewed(found: Iterable[Service]) -> Commands:
    """What stands in a file that nobody has read gets the passwords that these services' admins have by now; its 24 hours go on."""
    if not executing():
        yield "true"
        return
    now = {item.title: values(item.name)[item.admin.secret] for item in found if item.admin}
    if lines := [f"{title}\t{value}" for title, value in now.items() if value.isprintable()]:
        yield StringCommand(f"sh -c {quote(_RENEWED)}", _stdin="\n".join(lines))


# Lines of "title<tab>password", which no command line has: printf is the shell's own.
_RENEWED = r"""
umask 077
cd /root || exit
new=$(cat)
for file in GENERATED-SECRETS-*.txt; do
    grep -qs '^First logins of SmarterOS on' "$file" || continue
    printf '%s\n' "$new" | awk -F '\t' '
        NR == FNR { of[$1] = $2; next }
        /^[^ ]/ { title = $0 }
        /^  password  / && title in of { print "  password  " of[title]; next }
        { print }' - "$file" >{partial} || exit
    touch -r "$file" {partial} && mv -f {partial} "$file" || exit
done
""".strip().replace("{partial}", _PARTIAL)


def _write(names: str) -> str:
    """File first, note last: a run killed in between makes the next one write another file, never none."""
    return f"""
set -e
umask 077
cd /root
base64 -d | tar -xzmf - --no-same-owner
name=GENERATED-SECRETS-$(date +%F)
while [ -e "$name.txt" ]; do name=$name+; done
mv {_PARTIAL} "$name.txt"
cd {ROOT}
touch handed-out
{{ cat handed-out; printf '%s\\n' {names}; }} | sort -u > .handed-out
mv -f .handed-out handed-out
""".strip()
