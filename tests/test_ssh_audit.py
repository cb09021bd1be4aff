"""ssh-audit: what its two reports say becomes verdicts; a report that has seen no sshd passes nothing."""

import subprocess

import pytest

from tests.audit import ssh
from tests.audit.ssh import POLICY, verdicts

PASSED = f"""Host:   10.213.7.11:22
Policy: {POLICY}
Result: ✔ Passed
"""
FAILED = f"""Host:   10.213.7.11:22
Policy: {POLICY}
Result: ❌ Failed!

Errors:
  * Ciphers did not match.
"""
AUDIT = """# general
(gen) banner: SSH-2.0-OpenSSH_10.0p2
(gen) compression: disabled

# key exchange algorithms
(kex) mlkem768x25519-sha256               -- [info] available since OpenSSH 9.9

# host-key algorithms
(key) ssh-ed25519                         -- [info] available since OpenSSH 6.5

# encryption algorithms (ciphers)
(enc) aes256-gcm@openssh.com              -- [info] available since OpenSSH 6.2

# message authentication code algorithms
(mac) hmac-sha2-512-etm@openssh.com       -- [info] available since OpenSSH 6.2
"""
WARNING = "(mac) hmac-sha2-256 -- [warn] using encrypt-and-MAC mode"


def test_a_hardened_sshd_passes_both() -> None:
    policy, audit = verdicts(PASSED, AUDIT)
    assert str(policy) == f"ok    ssh-audit policy: {POLICY}: passed"
    assert str(audit) == "ok    ssh-audit: 0 fails and warnings (0)"


def test_a_policy_that_is_not_met_says_why() -> None:
    policy, _ = verdicts(FAILED, AUDIT)
    assert (policy.passed, policy.figure) == (False, f"{POLICY}: not passed")
    assert policy.details[-1] == "  * Ciphers did not match."


@pytest.mark.parametrize(
    "line",
    [
        WARNING,
        "(kex) diffie-hellman-group1-sha1 -- [fail] using small 1024-bit modulus",
        "(nfo) Potentially insufficient connection throttling detected, resulting in possible vulnerability",
    ],
)
def test_a_warning_fails_and_is_named(line: str) -> None:
    _, audit = verdicts(PASSED, f"{AUDIT}{line}\n")
    assert (audit.passed, audit.figure, audit.details) == (False, "1 fails and warnings (0)", (line,))


def test_an_sshd_that_does_not_answer_passes_nothing() -> None:
    policy, audit = verdicts("[exception] cannot connect", "[exception] cannot connect")
    assert (policy.passed, audit.passed) == (False, False)
    assert audit.details == tuple(f"says nothing of {kind}" for kind in ("enc", "kex", "key", "mac"))


def test_the_policy_is_one_that_the_program_has() -> None:
    done = subprocess.run([str(ssh._PROGRAM), "--list-policies"], capture_output=True, text=True, check=False)
    assert POLICY in done.stdout
