"""Boot: the host unseals its own Vault after a boot and whenever Vault's container has started again.

As many unseal keys as it takes go over standard input into an encrypted credential, which only this host's key
(or its TPM) opens. What stands there is compared by a digest, so that no run has to decrypt it.
"""

import hashlib

from pyinfra.api import StringCommand

from tasks.clients.vault_kept import kept
from tasks.connection import grouped
from tasks.facts import MachineFact
from tasks.facts.unsealer import CREDENTIAL, NAME, NOTE, PROGRAM, SUM, UNIT
from tasks.model.targets import target
from tasks.operations.kept import keep
from tasks.rendering.templates import HOME
from tasks.run import Commands, executing, host, known, operation, services, stack


def run() -> None:
    """The phase. A cluster's node without Vault has nothing to unseal."""
    if grouped.cluster() and not any(service.phase == "vault" for service in services()):
        return
    unsealer(name="Boot | Vault is unsealed after a boot and a restart of its container")


@operation
def unsealer() -> Commands:
    """Credential and unit are there, made of these keys; gone where they are not wanted."""
    machine = known(MachineFact)
    if not (stack().unseal_at_boot and stack().vault_address is None):
        if machine.unsealer:
            yield StringCommand(_REMOVE)
    elif not machine.credentials:
        _say(
            "systemd cannot hand a unit an encrypted credential here (it is older than 250, or in a container)"
        )
    elif keys := _keys():
        if machine.unsealer != digest(keys):
            yield StringCommand(_write(keys), _stdin=keys)
    elif machine.unsealer:
        pass  # by a machine that has the keys
    elif not executing():
        yield "true"  # planning before the first run, which makes the keys
    else:
        _say("this machine has no unseal keys")


def _say(reason: str) -> None:
    if executing():
        host().log(f"{reason}: after a boot Vault stays sealed until the next run ({target('deploy')})")


def stands() -> bool:
    """Whether the host unseals Vault by itself: all is there, made of our keys if this machine has any."""
    unsealer, keys = known(MachineFact).unsealer, _keys()
    return unsealer not in ("", "differs") and (not keys or unsealer == digest(keys))


def out_of_the_way(*, new: bool) -> Commands:
    """Part of an operation: a host with other keys must not hand them to Vault while the run does."""
    if known(MachineFact).unsealer and (new or not stands()):
        yield StringCommand(f"systemctl stop {NAME}.service 2>/dev/null || true")


def _keys() -> str:
    """As many keys as unseal Vault, one a line, of either set while they are being changed; empty when this machine has none."""
    stored, many = kept(), stack().vault_threshold
    return "\n".join((*stored.keys[:many], *stored.other_keys[:many])) if stored else ""


def digest(keys: str) -> str:
    """Of all that the host's part is made from. Not keyed: keys of 256 random bits cannot be guessed from it."""
    return _sha256("\0".join((keys, _text("units", f"{NAME}.service"), _text("boot", "unseal"))))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _text(folder: str, name: str) -> str:
    return (HOME / "files" / folder / name).read_text("utf-8")


def _write(keys: str) -> str:
    """The keys have to have arrived whole. A TPM's registers are left out: an update of the firmware changes them."""
    return f"""
set -e
umask 022
{keep([PROGRAM, UNIT, CREDENTIAL])}
keys=$(cat)
[ "$(printf %s "$keys" | sha256sum)" = "{_sha256(keys)}  -" ] || {{ echo "the unseal keys were cut on their way" >&2; exit 1; }}
rm -f {NOTE}
mkdir -p {PROGRAM.rpartition("/")[0]} {NOTE.rpartition("/")[0]}
cat >{PROGRAM}.new <<'END_OF_FILE'
{_text("boot", "unseal")}END_OF_FILE
mv -f {PROGRAM}.new {PROGRAM}
cat >{UNIT}.new <<'END_OF_FILE'
{_text("units", f"{NAME}.service")}END_OF_FILE
mv -f {UNIT}.new {UNIT}
umask 077
mkdir -p {CREDENTIAL.rpartition("/")[0]}
printf '%s\\n' "$keys" | systemd-creds encrypt --name={NAME} --tpm2-pcrs= - {CREDENTIAL}.new
sync {PROGRAM} {UNIT} {CREDENTIAL}.new
mv -f {CREDENTIAL}.new {CREDENTIAL}
systemctl daemon-reload
systemctl enable --quiet {NAME}.service
systemctl restart {NAME}.service
printf '%s %s\\n' {digest(keys)} "$({SUM})" >{NOTE}.new
sync {NOTE}.new
mv -f {NOTE}.new {NOTE}
""".strip()


_REMOVE = f"""
systemctl disable --quiet --now {NAME}.service 2>/dev/null || true
rm -f {NOTE} {PROGRAM} {UNIT}
systemctl daemon-reload
rm -f {CREDENTIAL} {CREDENTIAL}.new
""".strip()
