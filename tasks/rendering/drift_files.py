"""Drift files: the program that looks on the host for what differs, with what it is made of beside it, and the units that start it daily. Pure."""

from tasks.rendering.templates import HOME, jinja

PROGRAM = "drift/drift.py"
_UNITS = ("service", "timer")


def files() -> dict[str, str]:
    """Path in a generation → text."""
    programs = [*sorted((HOME / "files" / "drift").glob("*.py")), HOME / "files" / "written.py"]
    return {f"drift/{path.name}": path.read_text("utf-8") for path in programs}


def units(current: str) -> dict[str, str]:
    """Name → text of each systemd unit. current: the path of the active generation."""
    program = f"{current}/{PROGRAM}"
    return {
        f"smarteros-drift.{kind}": jinja().get_template(f"units/drift.{kind}.j2").render(program=program)
        for kind in _UNITS
    }
