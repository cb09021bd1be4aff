"""SmarterOS on a bare VPS: settings, catalogue, rendering, and the phases of a run."""
