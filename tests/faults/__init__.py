"""`make test-faults`: the control process is killed at every point of a first deploy and of an update.

``state`` says what a host is like, ``course`` runs and kills, ``proof`` what has to hold after that.
"""
