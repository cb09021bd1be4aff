"""SmarterOS on a bare VPS: the phases of a run, in the order of deploy.py, and the rooms that they stand on."""

import gc
import sys
from types import ModuleType
from typing import NoReturn

# A run is short and makes little garbage: looking for it while libraries load costs a tenth of a quiet run.
gc.freeze()
gc.set_threshold(200_000)


class _Moved(ModuleType):
    """A module of an earlier release that inventories, scripts and timers may still name."""

    def __getattr__(self, name: str) -> NoReturn:
        """Ends the program with the new name."""
        if name.startswith("__"):
            raise AttributeError(name)
        sys.exit(f"{self.__name__} is now {_MOVED[self.__name__]}: write that in its place")


_MOVED = {"tasks.inventory": "tasks.connection.inventory"}
sys.modules.update({name: _Moved(name) for name in _MOVED})
