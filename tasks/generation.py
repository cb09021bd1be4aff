"""Generation: all rendered files of the host, active, and the architecture's paths as links into it."""

from tasks.operations import files, images, points
from tasks.operations.described import links, name, tree
from tasks.run import services, tasked


def run() -> None:
    """The phase. The images start to arrive in the background while the next phases work."""
    rendered = tree()
    files.generation(rendered, name(rendered), links(), name="Generation | rendered files and their links")
    images.fetch((*services(), *tasked()), name="Generation | missing images start to arrive")
    points.before_migrations(name="Generation | a restore point before new versions start")
