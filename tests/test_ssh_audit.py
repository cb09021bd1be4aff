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
WARNING = "(mac) umac-32@openssh.com -- [warn] using small 32-bit tag size"


def test_a_hardened_sshd_passes_both() -> None:
    policy, audit = verdicts(PASSED, AUDIT)
    assert str(policy) == f"ok    ssh-audit policy: {POLICY}: passed"
    assert str(audit) == "ok    ssh-audit: 0 fails and warnings (0)"


OLDER = f"""Host:   10.213.7.11:22
Policy: {POLICY}
Result: ❌ Failed!

Errors:
  * Key exchanges did not match.
    - Expected: mlkem768x25519-sha256, ext-info-s, kex-strict-s-v00@openssh.com
    - Actual:   mlkem768x25519-sha256, curve25519-sha256, ext-info-s, kex-strict-s-v00@openssh.com

  * MACs did not match.
    - Expected: hmac-sha2-512-etm@openssh.com
    - Actual:   hmac-sha2-512-etm@openssh.com, hmac-sha2-512
"""
OLDER_AUDIT = f"""{AUDIT}
(kex) curve25519-sha256                   -- [warn] does not provide protection against post-quantum attacks
                                          `- [info] available since OpenSSH 7.4
(mac) hmac-sha2-512                       -- [warn] using encrypt-and-MAC mode
                                          `- [info] available since OpenSSH 5.9
"""


def test_what_is_there_for_older_clients_is_no_fault() -> None:
    policy, audit = verdicts(OLDER, OLDER_AUDIT)
    assert (policy.passed, audit.passed) == (True, True)
    other = OLDER.replace(
        "mlkem768x25519-sha256, curve25519-sha256,", "curve25519-sha256, mlkem768x25519-sha256,"
    )
    assert verdicts(other, OLDER_AUDIT)[0].passed, "of what is allowed the client takes its own first"


@pytest.mark.parametrize(
    "report",
    [
        OLDER.replace("curve25519-sha256,", "diffie-hellman-group14-sha1,"),
        OLDER.replace("mlkem768x25519-sha256, curve25519-sha256,", "curve25519-sha256,"),
        f"{OLDER}\n  * Ciphers did not match.\n",
    ],
)
def test_more_than_that_is_one(report: str) -> None:
    assert verdicts(report, AUDIT)[0].passed is False
    line = "(kex) diffie-hellman-group14-sha1 -- [fail] using broken SHA-1 hash algorithm"
    assert verdicts(OLDER, f"{OLDER_AUDIT}{line}")[1].details == (line,)


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
