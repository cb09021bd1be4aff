"""Staging: what differs from all.py."""

zone = "staging.smarterbot.cl"
mirror_zones = []
acme_email = "ops@smarterbot.cl"
