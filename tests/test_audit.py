"""Audit: what the tools print becomes verdicts; nothing is passed over, and no reason outlives its suggestion."""

import pytest

from tasks import host
from tests.audit import Reasons, Verdict, lynis, reasons, units

REPORT = """
lynis_version=3.1.4
hardening_index=86
suggestion[]=AUTH-9262|Install a PAM module for password strength testing|-|-|
suggestion[]=SSH-7408|Consider hardening SSH configuration|Port (set 22 to )|-|
suggestion[]=KRNL-6000|One or more sysctl values differ|-|Change sysctl value|
details[]=KRNL-6000|sysctl|desc:sysctl -a;field:net.ipv4.conf.all.forwarding;prefval:0;value:1;|
details[]=KRNL-6000|sysctl|desc:sysctl -a;field:kernel.modules_disabled;prefval:1;value:0;|
"""
OPEN = {
    "AUTH-9262": "because",
    "SSH-7408 Port (set 22 to )": "because",
    "KRNL-6000 net.ipv4.conf.all.forwarding": "because",
    "KRNL-6000 kernel.modules_disabled": "because",
}
LOG = """
Performing test ID AUTH-9262 (Checking presence password strength testing tools (PAM))
Hardening: assigned maximum number of hardening points for this item (80). Currently having 80 points (out of 80)
Performing test ID KRNL-6000 (Check sysctl key pairs in scan profile)
Result: sysctl key net.ipv4.conf.all.forwarding has a different value than expected in scan profile. Expected=0, Real=1
Hardening: assigned partial number of hardening points (0 of 10). Currently having 80 points (out of 90)
Result: sysctl key kernel.sysrq contains equal expected and current value (0)
Hardening: assigned partial number of hardening points (0 of 10). Currently having 80 points (out of 100)
"""
INDEX = Verdict(
    "Lynis hardening index",
    passed=False,
    figure="80 (at least 85); 86 with what only the lab's machine decides",
)
WARNINGS = Verdict("Lynis warnings", passed=True, figure="0 (0)")
SUGGESTIONS = Verdict("Lynis suggestions", passed=True, figure="4 left open, each with its reason")


def test_a_report_with_a_reason_for_everything_passes() -> None:
    assert lynis.verdicts(REPORT, LOG, Reasons(OPEN, {})) == [INDEX, WARNINGS, SUGGESTIONS]


def test_the_index_is_lynis_own_sum_without_what_the_labs_machine_decides() -> None:
    assert lynis.index(LOG) == 80
    assert lynis.index(LOG, ["KRNL-6000 kernel.sysrq"]) == 88
    assert lynis.index(LOG, ["AUTH-9262"]) == 0
    index, *_ = lynis.verdicts(REPORT, LOG, Reasons(OPEN, {"KRNL-6000 kernel.sysrq": "because"}))
    assert (index.passed, index.figure.split(";")[0]) == (True, "88 (at least 85)")


def test_every_kernel_setting_that_the_labs_machine_decides_is_set_on_a_machine() -> None:
    keys = [key.removeprefix("KRNL-6000 ") for key in reasons("lynis").lab if key.startswith("KRNL-6000 ")]
    ours = {path.removeprefix("/proc/sys/").replace("/", ".") for path in host.kernel(host.files())}
    assert set(keys) - ours == {"kernel.modules_disabled"}
    of_a_container = {
        path.removeprefix("/proc/sys/").replace("/", ".") for path in host.kernel(host.files("docker"))
    }
    assert set(keys) & of_a_container == set()


def test_a_warning_fails_and_is_named() -> None:
    report = REPORT + "warning[]=NETW-2705|Couldn't find 2 responsive nameservers|-|-|\n"
    assert lynis.verdicts(report, LOG, Reasons(OPEN, {}))[1] == Verdict(
        "Lynis warnings", passed=False, figure="1 (0)", details=("NETW-2705",)
    )


def test_a_suggestion_without_a_reason_fails() -> None:
    rest = {key: why for key, why in OPEN.items() if key != "KRNL-6000 kernel.modules_disabled"}
    verdict = lynis.verdicts(REPORT, LOG, Reasons(rest, {}))[2]
    assert (verdict.passed, verdict.details) == (False, ("no reason for: KRNL-6000 kernel.modules_disabled",))


def test_a_reason_that_nothing_needs_fails_unless_it_is_the_labs() -> None:
    verdict = lynis.verdicts(REPORT, LOG, Reasons({**OPEN, "FINT-4350": "because"}, {}))[2]
    assert (verdict.passed, verdict.details) == (False, ("not found any more, remove its reason: FINT-4350",))
    assert lynis.verdicts(REPORT, LOG, Reasons(OPEN, {"FINT-4350": "because"}))[2].passed


@pytest.mark.parametrize("report", ["", "Permission denied"])
def test_no_report_is_no_good_report(report: str) -> None:
    assert [verdict.passed for verdict in lynis.verdicts(report, LOG, Reasons({}, {}))] == [
        False,
        False,
        False,
    ]


@pytest.mark.parametrize("name", ["lynis"])
def test_every_reason_says_why(name: str) -> None:
    found = reasons(name)
    assert [key for key, why in {**found.open, **found.lab}.items() if len(why) < 20] == []
    assert set(found.open) & set(found.lab) == set()


@pytest.mark.parametrize(
    ("word", "passed"), [("OK", True), ("SAFE", True), ("MEDIUM", False), ("UNSAFE", False)]
)
def test_a_unit_has_to_be_ok_or_better(word: str, passed: bool) -> None:
    report = f"→ Overall exposure level for smarteros-x.service: 4.1 {word} :-)"
    verdict = units.verdict("smarteros-x.service", report)
    assert verdict == Verdict("unit smarteros-x.service", passed, f"exposure 4.1 {word} (OK or better)")


def test_a_unit_that_systemd_does_not_know_fails() -> None:
    assert units.verdict("smarteros-x.service", "").passed is False
