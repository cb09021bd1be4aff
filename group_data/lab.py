"""The lab: what differs there, since it is offline and small."""

import json
import os
from pathlib import Path

_folder = Path(__file__).parents[1] / ".lab" / os.environ.get("SMARTEROS_LAB", "default")
_lab = json.loads((_folder / "lab.json").read_text())

acme_email = "ops@smarterbot.cl"
trusted_root = str(_folder / "acme-root.pem")
state_dir = str(_folder / "state")
# PyPI ships OpenBao's program; Vault's is to be had as an image only.
vault_engine = "vault" if _lab["images"] == "upstream" else "openbao"
