"""SmarterOS on a bare VPS: the phases of a run, in the order of deploy.py, and the rooms that they stand on."""

import gc

# A run is short and makes little garbage: looking for it while libraries load costs a tenth of a quiet run.
gc.freeze()
gc.set_threshold(200_000)
