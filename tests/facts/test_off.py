"""Off: units that are to start by themselves and do not, from what a systemctl says of them."""

import os
import subprocess
from pathlib import Path

import pytest

from tasks.facts import MachineFact, StatusFact, off
from tests.facts.test_facts import MACHINE

# What systemctl show says of docker.service, docker.socket, … in the order in which it was asked; of one that is not there, too.
SAID = {
    "ssh.socket": "not-found  inactive",
    "docker.service": "loaded enabled active",
    "docker.socket": "masked masked inactive",
    "containerd.service": "loaded disabled active",
    "ssh.service": "not-found  inactive",
    "smarteros-a.timer": "loaded enabled active",
    "smarteros-b.timer": "loaded disabled active",
    "smarteros-c.timer": "loaded enabled inactive",
    "smarteros-d.timer": "masked masked inactive",
    "smarteros-firewall.service": "loaded disabled active",
}
FOUND = {
    "docker.socket": "masked",
    "smarteros-b.timer": "disabled",
    "smarteros-c.timer": "stopped",
    "smarteros-d.timer": "masked",
    "smarteros-firewall.service": "disabled",
}


@pytest.mark.parametrize(
    ("ssh", "told"),
    [
        ({}, {}),
        ({"ssh.service": "masked masked active"}, {"ssh.service": "masked"}),
        (
            {
                "ssh.socket": "loaded enabled active\\nAccept=no",
                "ssh.service": "masked masked active",
            },
            {"ssh.service": "masked"},
        ),
        (
            {
                "ssh.socket": "loaded enabled active\\nAccept=yes",
                "ssh.service": "masked masked inactive",
            },
            {},
        ),
        ({"ssh.socket": "masked masked inactive\\nAccept=no"}, {}),
    ],
)
def test_what_does_not_start_by_itself_is_told(
    tmp_path: Path, ssh: dict[str, str], told: dict[str, str]
) -> None:
    says, expected = {**SAID, **ssh}, {**FOUND, **told}
    for name in says:
        (tmp_path / name).write_text("")
    (tmp_path / "smarteros-a.service").write_text("")
    systemctl = (
        '#!/bin/sh\nshift 2\nfor unit; do\n[ -z "$next" ] || echo\nnext=yes\necho "Id=$unit"\ncase $unit in\n'
    )
    for name, states in says.items():
        load, file, active = states.split(" ")
        systemctl += (
            f"{name}) printf 'LoadState={load}\\nUnitFileState={file}\\nActiveState={active}\\n' ;;\n"
        )
    (tmp_path / "systemctl").write_text(f"{systemctl}*) exit 1 ;;\nesac\ndone\n")
    (tmp_path / "systemctl").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    text = off.QUESTION.replace("/etc/systemd/system", str(tmp_path))
    done = subprocess.run(["sh", "-c", text], env=environment, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert off.off({"off": [line.removeprefix("off ") for line in lines]}) == expected
    assert StatusFact().process(["clock 1", *lines]).off == expected
    assert MachineFact().process([*MACHINE, *lines]).off == expected
    assert off.QUESTION in StatusFact().command()
    assert off.QUESTION in MachineFact().command()


def test_where_systemd_says_nothing_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "systemctl").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "systemctl").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", "-c", off.QUESTION], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
