"""The machine itself: what differs from all.py."""

# An example, which `make bootstrap` replaces as long as nobody has edited it: 605ba186d8fae05f

acme_email = "ops@smarterbot.cl"
