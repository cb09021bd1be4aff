"""The machine itself: what differs from all.py."""

acme_email = "ops@smarterbot.cl"
