"""lazily: a module loads at its first use and not when somebody looks at it; or ahead, when there is a wait."""

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest

from tasks.clients.lazily import ahead, lazily


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that modules are imported from; none of them stays."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "later_one.py").write_text("import sys\nsys.later_loaded = True\nVALUE = 5\n")
    (tmp_path / "later_broken.py").write_text("raise RuntimeError('broken')\n")
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]
    vars(sys).pop("later_loaded", None)


def test_a_module_loads_at_its_first_use_and_not_when_all_modules_are_looked_at(modules: Path) -> None:
    module = lazily("later_one")
    assert lazily("later_one") is module is sys.modules["later_one"]
    # As pyinfra does at each operation: a file that no module is from makes it look at them all.
    inspect.getmodule(compile("0", "no-module-is-from-here", "exec"))
    inspect.stack()
    assert not hasattr(module, "__wrapped__")
    assert module.__file__ == str(modules / "later_one.py")
    assert not hasattr(sys, "later_loaded")
    assert (module.VALUE, hasattr(sys, "later_loaded")) == (5, True)
    with pytest.raises(AttributeError, match="has no attribute 'OTHER'"):
        _ = module.OTHER


def test_a_module_that_is_not_there_is_said_at_once() -> None:
    with pytest.raises(ModuleNotFoundError, match="No module named 'later_missing'"):
        lazily("later_missing")


def test_what_is_loaded_ahead_is_loaded_in_the_next_wait_and_a_broken_one_is_left_to_who_imports_it(
    modules: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ahead("later_broken", "later_one")
    assert not hasattr(sys, "later_loaded")
    for _ in range(5):
        gevent.sleep(0)
    assert sys.modules["later_one"].VALUE == 5
    assert capfd.readouterr().err == ""
