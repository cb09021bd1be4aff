"""Audit: what the tools print becomes verdicts; nothing is passed over, and no reason outlives its suggestion."""

import subprocess
from pathlib import Path

import pytest

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
INDEX = Verdict("Lynis hardening index", passed=True, figure="86 (at least 85)")
WARNINGS = Verdict("Lynis warnings", passed=True, figure="0 (0)")
SUGGESTIONS = Verdict("Lynis suggestions", passed=True, figure="4 left open, each with its reason")


def test_a_report_with_a_reason_for_everything_passes() -> None:
    assert lynis.verdicts(REPORT, Reasons(OPEN, {})) == [INDEX, WARNINGS, SUGGESTIONS]


def test_an_index_below_the_least_fails() -> None:
    verdict = lynis.verdicts(REPORT.replace("=86", "=84"), Reasons(OPEN, {}))[0]
    assert (verdict.passed, verdict.figure) == (False, "84 (at least 85)")


def test_lynis_sees_the_kernel_settings_of_a_machine_and_none_of_them_stays(tmp_path: Path) -> None:
    """On a folder instead of /proc/sys, with the mounts only noted. A setting that this kernel lacks is passed over."""
    files = {
        tmp_path / "kernel/kptr_restrict": ("0", "2"),
        tmp_path / "kernel/core_pattern": ("core %p", "|/bin/false"),
    }
    (tmp_path / "kernel").mkdir()
    for path, (before, _) in files.items():
        path.write_text(before)
    look = f"cat {' '.join(map(str, files))}; find {tmp_path} -type f | wc -l; exit 3"
    assert "unprivileged_bpf_disabled" not in lynis.on_a_machine("")  # nobody could put that one back
    script = lynis.on_a_machine(look).replace("/proc/sys", str(tmp_path))
    mount = 'mount() { echo "$2"; }\n'
    done = subprocess.run(["sh", "-c", mount + script], capture_output=True, text=True, check=False)
    mounts = [["remount,bind,rw"] * 4, ["remount,bind,ro"] * 4]
    assert done.stdout.split() == [*mounts[0], *(value for _, value in files.values()), "2", *mounts[1]]
    assert (done.stderr, done.returncode) == ("", 3)
    assert {path: path.read_text().strip() for path in files} == {
        path: pair[0] for path, pair in files.items()
    }


def test_the_kernel_has_its_own_settings_again_when_the_audit_is_interrupted(tmp_path: Path) -> None:
    file = tmp_path / "kernel/kptr_restrict"
    file.parent.mkdir()
    file.write_text("0")
    script = lynis.on_a_machine("echo begun; sleep 1; echo and on").replace("/proc/sys", str(tmp_path))
    with subprocess.Popen(["sh", "-c", f"mount() {{ :; }}\n{script}"], stdout=subprocess.PIPE) as shell:
        assert shell.stdout
        assert shell.stdout.readline() == b"begun\n"
        assert file.read_text() == "2\n"
        shell.stdout.close()
    assert file.read_text() == "0\n"


def test_a_warning_fails_and_is_named() -> None:
    report = REPORT + "warning[]=NETW-2705|Couldn't find 2 responsive nameservers|-|-|\n"
    assert lynis.verdicts(report, Reasons(OPEN, {}))[1] == Verdict(
        "Lynis warnings", passed=False, figure="1 (0)", details=("NETW-2705",)
    )


def test_a_suggestion_without_a_reason_fails() -> None:
    rest = {key: why for key, why in OPEN.items() if key != "KRNL-6000 kernel.modules_disabled"}
    verdict = lynis.verdicts(REPORT, Reasons(rest, {}))[2]
    assert (verdict.passed, verdict.details) == (False, ("no reason for: KRNL-6000 kernel.modules_disabled",))


def test_a_reason_that_nothing_needs_fails_unless_it_is_the_labs() -> None:
    verdict = lynis.verdicts(REPORT, Reasons({**OPEN, "FINT-4350": "because"}, {}))[2]
    assert (verdict.passed, verdict.details) == (False, ("not found any more, remove its reason: FINT-4350",))
    assert lynis.verdicts(REPORT, Reasons(OPEN, {"FINT-4350": "because"}))[2].passed


@pytest.mark.parametrize("report", ["", "Permission denied"])
def test_no_report_is_no_good_report(report: str) -> None:
    assert [verdict.passed for verdict in lynis.verdicts(report, Reasons({}, {}))] == [
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
