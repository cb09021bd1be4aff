"""Unsealer: where the host keeps what unseals Vault after a boot, and the shell that says whether it is whole."""

from tasks.rendering.render import ROOT

NAME = "smarteros-unseal"
CREDENTIAL = f"/etc/credstore.encrypted/{NAME}"
UNIT = f"/etc/systemd/system/{NAME}.service"
PROGRAM = "/usr/local/lib/smarteros/unseal"
# Digest of all it was made from, and the SUM of what stood there then; written last.
NOTE = f"{ROOT}/unseal"

# Of what stands there now. The host's own key is part of it: without that the credential is worth nothing.
SUM = (
    f"{{ cat {CREDENTIAL} /var/lib/systemd/credential.secret {UNIT} {PROGRAM}; "
    f"stat -c '%a %U:%G' {CREDENTIAL} {UNIT} {PROGRAM}; }} 2>/dev/null | sha256sum | cut -c -64"
)

# Part of MachineFact: ``credentials yes`` where systemd can hand a unit an encrypted one, which it does through a
# shared mount (one is not, in some containers); ``unsealer <digest>`` where all is whole, enabled and active,
# ``unsealer differs`` where only something of it is there.
QUESTION = f"""
command -v systemd-creds >/dev/null &&
    awk '$5 == "/" && / shared:/ {{print "credentials yes"; exit}}' /proc/self/mountinfo
if [ -e {UNIT} ] || [ -e {CREDENTIAL} ]; then
    note=$(cat {NOTE} 2>/dev/null)
    [ "${{note#* }}" = "$({SUM})" ] && [ -e /etc/systemd/system/multi-user.target.wants/{NAME}.service ] &&
        systemctl is-active --quiet {NAME}.service || note=differs
    echo "unsealer ${{note%% *}}"
fi &
""".strip()
