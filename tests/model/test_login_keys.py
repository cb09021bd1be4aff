"""Login keys: lines of authorized_keys in settings and in files, what is refused of them, and that nothing secret is repeated."""

import base64
from typing import Any

import pytest

from tasks.model import login_keys
from tests.samples import refusals, stack


def line(kind: str = "ssh-ed25519", comment: str = "ana@laptop", data: bytes = b"a" * 32) -> str:
    """A public key; of RSA with a modulus as long as the data."""
    parts = [kind.encode(), *([b"\1\0\1"] if kind == "ssh-rsa" else []), data]
    blob = b"".join(len(part).to_bytes(4) + part for part in parts)
    return f"{kind} {base64.b64encode(blob).decode()} {comment}".strip()


KEY = line()
PRIVATE = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ\n-----END OPENSSH PRIVATE KEY-----\n"
LIKE = 'a line of authorized_keys, as ssh-keygen has it in a .pub file: "ssh-ed25519 AAAA… ana@laptop"'
SECRET = (
    "login_keys.root.0: is a private key, which nobody else may have: name the public one (`ssh-keygen -y -f FILE` prints it), and make "
    "a new pair, since this one has been in a file of settings"
)


@pytest.mark.parametrize(
    "text",
    [
        KEY,
        line(comment=""),
        line("ssh-rsa", data=b"\x80" + b"a" * 255),
        line("sk-ssh-ed25519@openssh.com"),
        line("sk-ecdsa-sha2-nistp256@openssh.com"),
        f'from="203.0.113.0/24,!203.0.113.9",command="echo \\"hi, you\\"" {KEY}',
        f"restrict,pty\t{KEY}",
        f'cert-authority,principals="ops" {KEY}',
        f"{KEY} with more words\r\n",
    ],
)
def test_what_sshd_takes_is_taken_without_the_end_of_its_line(text: str) -> None:
    assert stack(login_keys={"root": [text]}).login_keys == {"root": (text.strip(),)}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([PRIVATE], SECRET),
        ([PRIVATE.split("\n")[1]], SECRET),
        (["PuTTY-User-Key-File-3: ssh-ed25519"], SECRET),
        (PRIVATE, "login_keys.root: has to be a list of lines, and is text"),
        ([3], "login_keys.root.0: has to be text, and is a number"),
        ([f"{KEY}\n{KEY}"], "login_keys.root.0: has more than one line: name each key by itself"),
        (
            ["---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n---- END SSH2 PUBLIC KEY ----"],
            "login_keys.root.0: is a public key in another format: `ssh-keygen -i -f FILE` prints it as a line",
        ),
        (["ana@laptop"], f"login_keys.root.0: is no public key: it has to be {LIKE}, with options before it where you want some"),
        ([KEY[:40]], f"login_keys.root.0: is no whole public key: copy it again, as {LIKE}"),
        (["ssh-ed25519"], f"login_keys.root.0: is no whole public key: copy it again, as {LIKE}"),
        (
            [KEY.replace("ssh-ed25519 ", "ssh-rsa ")],
            f"login_keys.root.0: says ssh-rsa, and holds another kind of key: copy it again, as {LIKE}",
        ),
        ([line("ssh-dss")], "login_keys.root.0: is a DSA key, which sshd takes no more: make a new one (ssh-keygen -t ed25519)"),
        (
            [line("ssh-rsa", data=b"\x80" + b"a" * 127)],
            "login_keys.root.0: is an RSA key of 1024 bits, fewer than 2048: make a new one (ssh-keygen -t ed25519)",
        ),
        (
            [line("ssh-ed25519-cert-v01@openssh.com")],
            "login_keys.root.0: is a certificate, which no file lets in: name its authority, as `cert-authority ssh-ed25519 AAAA…`",
        ),
        (
            [f'restrict,form="10.0.0.1" {KEY}'],
            "login_keys.root.0: has an option that sshd does not know, 'form' (did you mean 'from'?): it would let nobody in",
        ),
        ([f"from {KEY}"], "login_keys.root.0: has the option from without a value: see man authorized_keys"),
        ([f'pty="x" {KEY}'], "login_keys.root.0: has the option pty with a value: see man authorized_keys"),
        (
            [KEY, f'from="10.0.0.1" {line(comment="bo@desk")}'],
            f"login_keys.root: {login_keys.key(KEY).fingerprint} bo@desk is listed twice",
        ),
        (
            [],
            (
                "login_keys.root: lists no key, and nobody could log in as this user: take the user out of login_keys, and the keys stay as "
                "they are; who may not log in at all is not named in login_users"
            ),
        ),
    ],
)  # fmt: skip
def test_what_is_no_key_of_anybodys_is_refused_and_nothing_of_it_is_repeated(given: Any, said: str) -> None:
    assert refusals(login_keys={"root": given}) == [said]


def test_keys_are_of_users_who_may_log_in() -> None:
    table = 'login_keys: names keys where users have to stand: {"root": ["ssh-ed25519 AAAA… ana@laptop"]}'
    for name in (PRIVATE, PRIVATE[:40], KEY):
        assert refusals(login_keys={name: ["root"]}) == [table]
    assert refusals(login_keys=[KEY]) == ["login_keys: has to be a table like {…: …}, and is a list"]
    assert refusals(login_keys={"root": [KEY]}, login_users=["deploy"]) == [
        "login_keys.root: is not in login_users, so that no key lets them in: add the name there, or take it out here"
    ]
    assert refusals(login_keys={"deploy": [KEY]}, login_users=["deploy"]) == []
    assert refusals(login_keys={"deploy": [KEY]}) == []


def test_of_a_file_counts_what_sshd_takes() -> None:
    """With Windows' ends of lines, without one at the end, with what ssh-copy-id and others have left."""
    old, weak, other = line("ssh-dss"), line("ssh-rsa", data=b"a" * 64), line(data=b"b" * 32, comment="bo")
    text = f'# of ours\r\n\r\n{KEY}\r\n  {other}\n{old}\nno key\nssh-ed25519 AAAA cut\n{weak}\nfoo="x" {KEY}\n{line(data=b"c" * 32)}'
    assert [(key.kind, key.comment) for key in login_keys.keys(text)] == [
        ("ssh-ed25519", "ana@laptop"),
        ("ssh-ed25519", "bo"),
        ("ssh-dss", "ana@laptop"),
        ("ssh-rsa", "ana@laptop"),
        ("ssh-ed25519", "ana@laptop"),
    ]


def test_a_key_is_shown_as_ssh_keygen_shows_it() -> None:
    assert str(login_keys.key(KEY)) == "SHA256:TGIk2D1DFZBKmjWssB2+Qdiona/OUK1TSuWAAHMK+n0 ana@laptop"
    assert str(login_keys.key(f"cert-authority {KEY}")).startswith("the authority SHA256:")
    assert str(login_keys.keys(f"{line(comment='')} \x1b[2J")[0]).endswith(r" \x1b[2J")
