"""Off: units that are to start by themselves and do not: those of ours, and those that Docker and sshd are. Asked within MachineFact and
StatusFact.
"""

from collections.abc import Mapping, Sequence

# What somebody has masked starts for nobody. A service of ours that a timer starts has nothing to be enabled.
NEEDED = ("docker.service", "docker.socket", "containerd.service", "ssh.service")
# Where ssh.socket starts an sshd for each connection (ssh@.service), nobody needs ssh.service.
_SOCKET = "ssh.socket"
# Prints ``off <unit> <masked, disabled or stopped>`` lines.
QUESTION = f"""
systemctl show --property=Id,LoadState,UnitFileState,ActiveState,Accept {" ".join((_SOCKET, *NEEDED))} $(
    cd /etc/systemd/system || exit
    ls smarteros-*.timer smarteros-firewall.service 2>/dev/null) 2>/dev/null |
    awk -F = '
        function told() {{
            ours = id ~ /^smarteros-/
            if (id == "{_SOCKET}") each = active == "active" && accept == "yes"
            else if (id == "ssh.service" && each) ;
            else if (file ~ /^masked/ || load == "masked") print "off", id, "masked"
            else if (file == "disabled" && (ours || id == "docker.service")) print "off", id, "disabled"
            else if (ours && id ~ /timer$/ && active != "active") print "off", id, "stopped"
            fflush()
            id = file = load = active = accept = ""
        }}
        $1 == "Id" {{id = $2}} $1 == "LoadState" {{load = $2}} $1 == "UnitFileState" {{file = $2}} $1 == "ActiveState" {{active = $2}}
        $1 == "Accept" {{accept = $2}}
        $0 == "" {{told()}} END {{told()}}'
""".strip()


def off(values: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Unit → how. Raises ValueError for other lines."""
    return dict(line.split(" ", 1) for line in values.get("off", ()))
