"""SSH: keys only; live only once a new login has come through it.

The tunnels of this program to what listens on the host's loopback go on working, and so does every host key, or with
strict_ssh the one that the operator's known_hosts has, be it of an older type. Clients that could log in before still can.
"""

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import paramiko
from pyinfra import logger
from pyinfra.connectors.sshuserclient.client import get_ssh_config

from tasks.clients import dokploy_api
from tasks.connection import jumps
from tasks.connection.drafts import note
from tasks.facts import MachineFact
from tasks.facts.access import DROP_IN, EFFECTIVE, OURS, Access
from tasks.facts.kept import SHELL
from tasks.model.effects import File
from tasks.operations import armed, pending, shut_out, ssh_says
from tasks.rendering.templates import jinja
from tasks.run import Commands, Refused, host, known, operation, services, stack

# What of those that others agree on is recorded today, an attacker may read one day; and many clients of today know no
# others than those (OpenSSH before 9.0, PuTTY before 0.78, libraries in file managers, panels, CI), so strict_ssh is a choice.
_KEX = ("mlkem768x25519-sha256", "sntrup761x25519-sha512", "sntrup761x25519-sha512@openssh.com")

# Type of key as it is named in known_hosts → its file's name, and the signatures that it can make.
_HOST_KEYS = {
    "ssh-ed25519": ("ed25519", ("ssh-ed25519", "ssh-ed25519-cert-v01@openssh.com")),
    "ecdsa-sha2-nistp256": ("ecdsa", ("ecdsa-sha2-nistp256",)),
    "ssh-rsa": ("rsa", ("rsa-sha2-512", "rsa-sha2-256")),
}
_BEST = "ssh-ed25519"
_KEY = "/etc/ssh/ssh_host_ed25519_key"

_CHECK = f"""
/usr/sbin/sshd -t
{{ {EFFECTIVE}; }} || {{
    echo 'sshd: another file says otherwise than {DROP_IN}: take these lines out of it, or have it sort after ours:' >&2
    differs=$({{ printf '%s\n' "$all"; {OURS}; }} | sort | uniq -u | cut -d' ' -f1 | sort -u | paste -sd'|')
    case $differs in *kbdinteractive*) differs="$differs|ChallengeResponseAuthentication" ;; esac
    grep -rHinE "^[[:blank:]]*(${{differs:-$ours}})([[:blank:]]|=)" /etc/ssh/sshd_config /etc/ssh/sshd_config.d |
        grep -v '^{DROP_IN}:' >&2
    case $differs in *allowusers*) echo 'AllowUsers adds up over all files: login_users has to name everybody' >&2 ;; esac
    exit 1
}}
""".strip()


def run() -> None:
    """The phase."""
    hardened(name="SSH | keys only, named users")


@operation
def hardened() -> Commands:
    """Our drop-in is what sshd goes by, and a new connection has come in since. Raises Refused."""
    access = known(MachineFact).access
    client = getattr(host().connector, "client", None)
    if not access.sshd or client is None:
        why = "this run has not come over SSH, so that nobody could prove that a login still works"
        host().log(f"sshd: {'left as it is: ' + why if access.sshd else 'none on this host'}")
        return
    if not access.ssh_keywords:
        raise Refused(f"sshd on {host().name} cannot read its own configuration: `sshd -t` there says why")
    wanted = text(access, client)
    if _changes(access, wanted):
        note(File(DROP_IN, wanted, access.ssh_file.partition(" ")[0]))
        if not access.ssh_file:
            led = shut_out.tunnels(known(MachineFact).listeners, access.ssh_ports)
            own = ssh_says.remarks(access.ssh_says, _full(access, client))
            for line in (*shut_out.named(access.logins, stack().login_users), *led, *own):
                host().log_styled(line, fg="yellow", log_func=logger.warning)
            host().log(
                f"sshd: leads on to {', '.join(('loopback', *jumps_to()))} alone: who gets through this host to others "
                "(ProxyJump, ssh -L) needs them in jump_to"
            )
        yield f"[ -s {_KEY} ] || ssh-keygen -q -t ed25519 -N '' -f {_KEY}"
        make, undo = restarts(access)
        yield from armed.proven(armed.Change("sshd", {DROP_IN: wanted}, f"{_CHECK}\n{make}", undo))


def _changes(access: Access, wanted: str) -> bool:
    """Whether there is something to write, or to load."""
    return access.ssh_file != f"{sha256(wanted.encode()).hexdigest()} 644 root:root" or not access.ssh_live


def would_shut_out() -> Iterator[str]:
    """Why a restart of sshd, with what its files say now, would not let this run's own login in again."""
    machine, client = known(MachineFact), getattr(host().connector, "client", None)
    if client is not None:
        yield from pending.problems(machine.access, machine.listeners, client.get_transport().get_username())


def restarts(access: Access) -> tuple[str, str]:
    """Shell that has new connections served by what the files say now; to make the change, and to take it back.

    The old daemon's sessions live on: ours, too. A restart, unlike a reload, ends only when the new one listens.
    Where systemd listens, it goes on doing so; ssh.service started beside a socket that starts a process for each
    connection would end the socket, and listen somewhere else.
    """
    unit = access.ssh_unit
    if access.ssh_socket == "each":
        return ":", ":"
    if access.ssh_socket:
        again = f"systemctl reset-failed {unit} ssh.socket 2>/dev/null\nsystemctl --no-block start ssh.socket"
        return f"systemctl try-restart {unit}", f"{again}\nsystemctl --no-block try-restart {unit}"
    return (
        f"systemctl restart {unit}",
        f"systemctl reset-failed {unit} 2>/dev/null\nsystemctl --no-block restart {unit}",
    )


def taken_back() -> armed.Change:
    """What brings sshd back to what it was before our drop-in (tasks/commands/undo_host.py)."""
    make, undo = restarts(known(MachineFact).access)
    back = f"{SHELL}back {DROP_IN} || rm -f {DROP_IN}\n/usr/sbin/sshd -t"
    return armed.Change("sshd without our settings", {}, f"{back}\n{make}", undo, (DROP_IN,))


def refusals() -> Iterator[str]:
    """Why this login would not survive the settings."""
    client = getattr(host().connector, "client", None)
    if client is None:
        return
    users, transport = stack().login_users, client.get_transport()
    password = getattr(transport.auth_handler, "auth_method", "") in ("password", "keyboard-interactive")
    if password:
        yield (
            f"ssh_password: this run logs in with a password, and afterwards only keys count: give "
            f"{transport.get_username()!r} one (ssh-copy-id), and take ssh_password out of the inventory"
        )
    if users and (login := transport.get_username()) not in users:
        yield f"login_users: {login!r}, as whom this run logs in, is not among them: add it"
    access = known(MachineFact).access
    second = stack().second_factor
    # Where what PAM asks is let through, a line that came later could let in by that alone.
    if access.ssh_says and (second or not access.ssh_file):
        yield from ssh_says.problems(access.ssh_says, text(access, client), second_factor=second)
    elif access.ssh_says and not access.ssh_live:
        yield from ssh_says.overruled(access.ssh_says, text(access, client))
    if access.sshd and not password and _changes(access, text(access, client)):
        yield from would_shut_out()
    if stack().strict_ssh and access.sshd:
        left = key_exchanges(access.ssh_kex)
        if not set(left) & set(transport.get_security_options().kex):
            yield (
                f"strict_ssh: this machine could not log in any more: of the key exchanges that would be left there "
                f"({', '.join(left) or 'none'}) its SSH library (paramiko {paramiko.__version__}) knows none: install what "
                f"requirements.lock names, take a host whose OpenSSH is 9.9 or newer, or leave strict_ssh at False"
            )


def text(access: Access, client: Any) -> str:
    """The drop-in, for what this sshd knows and for whom and by what key it knows us, without what its own files may say."""
    return ssh_says.without(_full(access, client), access.ssh_says)


def _full(access: Access, client: Any) -> str:
    kept = older_host_key(client) if stack().strict_ssh else ""
    keys = [_HOST_KEYS[name] for name in (_BEST, kept) if name in _HOST_KEYS]
    if kept:
        host().log(
            f"sshd: goes on showing its {kept} key, the only one that known_hosts has for it: "
            f"log in once with `ssh -o UpdateHostKeys=yes`, and the next run leaves only {_BEST}"
        )
    return (
        jinja()
        .get_template("ssh/sshd.conf.j2")
        .render(
            users=sorted(stack().login_users),
            keywords=access.ssh_keywords,
            methods=ssh_says.methods(access.ssh_says) if stack().second_factor else "publickey",
            second_factor=stack().second_factor,
            strict=stack().strict_ssh,
            kex=key_exchanges(access.ssh_kex),
            host_keys=[name for name, _ in keys],
            host_key_algorithms=[name for _, names in keys for name in names],
            jumps=jumps_to(),
            container_ports=[dokploy_api.PORT for service in services() if service.name == "dokploy"],
        )
    )


def jumps_to() -> list[str]:
    """Where people get through this host: as the settings say, and as the inventory's other hosts are reached."""
    return sorted({*stack().jump_to, *jumps.through(host())})


def key_exchanges(offered: frozenset[str]) -> list[str]:
    """Those that a strict sshd may offer: none that a quantum computer breaks."""
    return [name for name in _KEX if name in offered]


def older_host_key(client: Any) -> str:
    """The type of the host's key as this machine knows it, when it knows none of the type that stays; else empty."""
    shown: str = client.get_transport().get_remote_server_key().get_name()
    if shown == _BEST:
        return ""
    data = host().connector.data
    name = data["ssh_hostname"] or host().name
    config = get_ssh_config(data["ssh_config_file"])
    name = config.lookup(name).get("hostname", name) if config else name
    port = client._ssh_config["port"]  # noqa: SLF001  pyinfra's own client keeps it there
    entry = client.get_host_keys().lookup(name if port == 22 else f"[{name}]:{port}")
    return "" if entry and _BEST in entry else shown
