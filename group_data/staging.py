"""Staging: what differs from all.py."""

# An example, which `make bootstrap` replaces as long as nobody has edited it: a6998235c744b681

zone = "staging.smarterbot.cl"
mirror_zones = []
acme_email = "ops@smarterbot.cl"
