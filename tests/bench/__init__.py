"""How much a run costs beside the floor: a hand-written shell script that does the same over one SSH session."""
