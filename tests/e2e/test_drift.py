"""Drift: what people change on a deployed host by hand is named, by one command and by the host itself; a deploy makes it good."""

import json
import os
import subprocess

from tests.e2e.deployment import Deployment
from tests.lab.smarteros import ROOT

DRIFT = "tasks.commands.drift.run"
MOST_COMMANDS = 6
FILE = "/etc/systemd/journald.conf.d/60-smarteros.conf"


def test_what_was_changed_by_hand_is_named_and_a_deploy_makes_it_good(deployed: Deployment) -> None:
    deployed.unchanged()
    run = deployed.run("-vvv", deploy=DRIFT)
    run.unchanged()
    assert any(line.startswith("nothing differs from what the deploy of ") for line in run.lines)
    assert 1 <= len([line for line in run.output.splitlines() if ">>> " in line]) <= MOST_COMMANDS
    deployed.sh(
        f"echo '# by hand' >>{FILE}; chmod 666 /opt/smarteros/current/caddy/Caddyfile; docker stop mcp-registry-web; "
        "docker rename smarteros-metabase smarteros-metabase-old; docker update --restart=no botpress"
    )
    try:
        done = subprocess.run(
            deployed.argv("-y", deploy=DRIFT),
            cwd=ROOT,
            env={**os.environ, "SMARTEROS_LAB": deployed.lab.name, "JSON": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2, done.stderr[-3000:]
        found = json.loads(done.stdout)["hosts"][deployed.host.name]["differences"]
        by_name = {item["name"]: item["what"] for item in found}
        (caddyfile,) = [name for name in by_name if name.endswith("/caddy/Caddyfile")]
        assert by_name == {
            FILE: "other content",
            caddyfile: "mode 666 instead of 644",
            "botpress": "restart no instead of unless-stopped",
            "mcp-registry-web": "state exited instead of running",
            "smarteros-metabase": "is gone",
            "smarteros-metabase-old": "is new",
        }
        # Nobody knows since when it is gone, nor since when limits are others.
        assert {item["name"] for item in found if not item["since"]} == {"smarteros-metabase", "botpress"}
        # The host by itself, confined.
        deployed.sh("systemctl start smarteros-drift.service")
        assert "smarteros_drifted_files 2\n" in deployed.sh("cat /var/lib/smarteros/metrics/drift.prom")
        status = deployed.run(deploy="tasks.commands.status.run")
        assert f"drift: file {FILE}, " in status.output
    finally:
        run = deployed.converge()
    assert run.changes
    assert deployed.sh("docker ps --all --format '{{.Names}}' | grep metabase") == "smarteros-metabase\n"
    assert deployed.run(deploy=DRIFT).code == 0
    deployed.sh("systemctl start smarteros-drift.service")
    assert "smarteros_drifted_files 0\n" in deployed.sh("cat /var/lib/smarteros/metrics/drift.prom")
    deployed.unchanged()
