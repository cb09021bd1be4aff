"""Firewall: a table of our own in the kernel, before Docker's, so that nothing is open to the world but what is meant to be.

What is loaded is compared, not only the file: a table that somebody flushed or edited is found and put right.
"""

from ipaddress import ip_network

from tasks.facts import MachineFact
from tasks.facts.access import FIREWALL, FIREWALL_UNIT, TABLE, Access
from tasks.model.stack import Stack
from tasks.operations import apt, armed
from tasks.operations.files import expected
from tasks.rendering.templates import HOME, jinja
from tasks.run import Commands, Refused, host, known, operation, stack

_UNIT = f"/etc/systemd/system/{FIREWALL_UNIT}"
_WANTED = f"/etc/systemd/system/sysinit.target.wants/{FIREWALL_UNIT}"
_WEB = (80, 443)

_MAKE = f"""
/usr/sbin/nft --check --file {FIREWALL}
systemctl daemon-reload
systemctl enable --quiet {FIREWALL_UNIT}
systemctl restart {FIREWALL_UNIT}
""".strip()

_SNAPSHOT = f"/usr/sbin/nft -s list table {TABLE} >table.nft 2>/dev/null || : >table.nft"

_UNDO = f"""
{{ printf 'table {TABLE}\\ndelete table {TABLE}\\n'; cat undoing/table.nft; }} | /usr/sbin/nft -f - || /usr/sbin/nft delete table {TABLE}
systemctl --no-block daemon-reload
""".strip()


def run() -> None:
    """The phase. First what a run that was cut short has left unproven, here or in sshd."""
    armed.settled(name="Firewall | an unproven change is taken back")
    table(name="Firewall | our table, loaded at boot")


@operation
def table() -> Commands:
    """The file, the unit and the kernel hold the rules, and a new SSH connection has come through them."""
    found = known(MachineFact)
    files = {
        FIREWALL: text(found.access, stack()),
        _UNIT: (HOME / "files" / "units" / FIREWALL_UNIT).read_text(),
    }
    wanted = {
        path: f"{state.sha256} {state.mode} {state.owner}"
        for path, state in expected(files, mode="644").items()
    }
    if not found.access.nft:
        yield apt.install("nftables")
    if not (
        found.access.firewall_file == wanted[FIREWALL]
        and found.units.get(FIREWALL_UNIT) == wanted[_UNIT]
        and found.access.firewall_enabled
        and found.access.firewall_loaded
    ):
        others = (_WANTED, "/run/smarteros-firewall/loaded")
        yield from armed.proven(armed.Change("the firewall", files, _MAKE, _UNDO, others, _SNAPSHOT))


def text(access: Access, settings: Stack) -> str:
    """The rules as nft reads them. Raises Refused when nothing says which interfaces face the world."""
    wan = settings.wan_interfaces or access.wan
    if not wan:
        raise Refused(
            f"firewall: {host().name} has no default route, so that nothing says which interface faces the world: "
            'set wan_interfaces = ["eth0"]'
        )
    return (
        jinja()
        .get_template("firewall/firewall.nft.j2")
        .render(
            wan=wan,
            tcp=sorted({*(access.ssh_ports or (22,)), *_WEB}),
            peers_v4=[peer for peer in settings.peers if ip_network(peer).version == 4],
            peers_v6=[peer for peer in settings.peers if ip_network(peer).version == 6],
        )
    )
