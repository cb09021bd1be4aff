"""The hosts of a lab that is up: of `default`, or of the one that SMARTEROS_LAB names."""

import json
import os
import sys
from pathlib import Path

from tasks.connection.inventory import hosts

folder = Path(__file__).parents[1] / ".lab" / os.environ.get("SMARTEROS_LAB", "default")
if not (folder / "lab.json").exists():
    sys.exit("no lab is up: run `make up`")

nodes = hosts(
    *(
        (
            name,
            {
                "ssh_hostname": address,
                "ssh_user": "root",
                "ssh_key": str(folder / "ssh_key"),
                "ssh_known_hosts_file": str(folder / "known_hosts"),
                "ssh_strict_host_key_checking": "yes",
                "ssh_config_file": os.devnull,
                "ssh_allow_agent": False,
                "ssh_look_for_keys": False,
            },
        )
        for name, address in json.loads((folder / "lab.json").read_text("utf-8"))["hosts"].items()
    )
)
