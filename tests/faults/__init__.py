"""`make test-faults`: the control process is killed at every point of `make bootstrap`, of a first deploy and of an update, and the
host's own scripts at every command of a restore, its undoing and a recovery.

``state`` says what a host is like, ``course`` runs and kills, ``proof`` what has to hold after that. ``script`` kills what the host
runs itself, ``restoring`` and ``recovery`` say what holds then; ``bootstrapping`` kills also where this machine writes a file (``writes``).
"""
