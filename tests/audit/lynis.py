"""Lynis: hardening index, warnings, and a reason for each suggestion that is left open (lynis.toml).

Lynis itself runs untouched. A lab host is a container and leaves the kernel alone, which is its machine's: for as long
as Lynis looks at it, the kernel has the settings of a deployed machine.
"""

import re
from collections.abc import Iterator

from tasks import host
from tasks.operations import theirs
from tests.audit import Reasons, Target, Verdict, reasons

LEAST_INDEX = 85

# Debian's package with its own tests; gone again afterwards, so that the host stays as it was deployed.
_APT = "DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600"
_INSTALL = f"{_APT} update && {_APT} install -y --no-install-recommends lynis"
_RUN = "lynis audit system --no-colors --cronjob; cat /var/log/lynis-report.dat"
_REMOVE = f"{_APT} purge -y lynis; rm -f /var/log/lynis.log /var/log/lynis-report.dat"
_MARK = "# Lynis Report"
# Once it is 1, it stays so until the machine's next boot.
_FINAL = "/proc/sys/kernel/unprivileged_bpf_disabled"
_ON_A_MACHINE = """\
before=$(mktemp)
put() { while read -r path value; do [ ! -e "$path" ] || echo "$value" >"$path"; done; }
mounted() { for folder in kernel vm fs dev; do mount -o "remount,bind,$1" "/proc/sys/$folder"; done; }
trap 'put <"$before"; mounted ro; rm "$before"' EXIT
trap 'exit 1' HUP INT PIPE TERM
settings='SETTINGS'
echo "$settings" | while read -r path _; do [ ! -e "$path" ] || echo "$path $(cat "$path")"; done >"$before"
mounted rw
echo "$settings" | put
"""


def check(target: Target) -> list[Verdict]:
    """Runs Lynis on the host and judges its report."""
    target.host.run(_INSTALL)
    try:
        screen, _, report = target.host.run(on_a_machine(_RUN), check=False).stdout.partition(_MARK)
        log = target.host.run("cat /var/log/lynis.log").stdout
    finally:
        target.host.run(_REMOVE, check=False)
    for name, text in (("lynis.txt", screen), ("lynis-report.dat", report), ("lynis.log", log)):
        target.keep(name, text)
    return verdicts(report, reasons("lynis"))


def on_a_machine(command: str) -> str:
    """Shell that runs the command under a deployed machine's kernel settings, and puts back what there was."""
    texts = {path: text for path, text in host.files().items() if path in host.MACHINE_FILES}
    settings = "\n".join(f"{path} {value}" for path, value in theirs.kernel(texts).items() if path != _FINAL)
    return _ON_A_MACHINE.replace("SETTINGS", settings) + command


def verdicts(report: str, explained: Reasons) -> list[Verdict]:
    """Index, warnings and suggestions of a lynis-report.dat."""
    index = _value(report, "hardening_index")
    warnings = tuple(_findings(report, "warning"))
    suggestions = set(_suggestions(report))
    wrong = explained.against(suggestions)
    explanation = f"{len(suggestions)} left open, each with its reason"
    return [
        Verdict(
            "Lynis hardening index",
            int(index or 0) >= LEAST_INDEX,
            f"{index or 'none'} (at least {LEAST_INDEX})",
        ),
        Verdict("Lynis warnings", bool(index) and not warnings, f"{len(warnings)} (0)", warnings),
        Verdict("Lynis suggestions", bool(index) and not wrong, explanation, wrong),
    ]


def _value(report: str, key: str) -> str:
    found = re.search(rf"^{key}=(.*)$", report, re.MULTILINE)
    return found[1] if found else ""


def _findings(report: str, kind: str) -> Iterator[str]:
    """``TEST`` or ``TEST details`` of each warning or suggestion."""
    for line in re.findall(rf"^{kind}\[\]=(.*)$", report, re.MULTILINE):
        test, _, details = [*line.split("|"), "", "", ""][:3]
        yield test if details in {"", "-"} else f"{test} {details}"


def _suggestions(report: str) -> Iterator[str]:
    """The one suggestion for all sysctls stands for as many as differ."""
    differ = re.findall(r"^details\[\]=KRNL-6000\|sysctl\|.*?field:([^;]+);", report, re.MULTILINE)
    for item in _findings(report, "suggestion"):
        if item.startswith("KRNL-6000"):
            yield from (f"KRNL-6000 {key}" for key in differ or ["?"])
        else:
            yield item
