"""The lab: what differs there, since it is offline and small."""

import json
import os
from pathlib import Path

_folder = Path(__file__).parents[1] / ".lab" / os.environ.get("SMARTEROS_LAB", "default")
_description = _folder / "lab.json"
# pyinfra reads this file for every inventory, production's too, where there need not be a lab.
_lab = json.loads(_description.read_text("utf-8")) if _description.exists() else {"images": "local"}

acme_email = "ops@smarterbot.cl"
# For an inventory that does not say it, as `make bootstrap` writes one.
ssh_key = str(_folder / "ssh_key")
trusted_root = str(_folder / "acme-root.pem")
state_dir = str(_folder / "state")
# Upstream's Caddy image does not know the lab's authority, which ours trusts like any public one.
if _lab["images"] == "upstream":
    acme_directory = "https://acme-v02.api.letsencrypt.org/directory"
    acme_root = str(_folder.parent / "authority" / "ca.pem")
# `python -m tests.lab bucket` makes it.
if (_bucket := _folder / "bucket.json").exists():
    backup = json.loads(_bucket.read_text("utf-8"))
# PyPI ships OpenBao's program; Vault's is to be had as an image only.
vault_engine = "vault" if _lab["images"] == "upstream" else "openbao"
