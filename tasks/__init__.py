"""SmarterOS on a bare VPS: settings, catalogue, rendering, and the phases of a run."""

import gc

# A run is short and makes little garbage: looking for it while libraries load costs a tenth of a quiet run.
gc.freeze()
gc.set_threshold(200_000)
