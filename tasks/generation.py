"""Generation: all rendered files of the host, active, and the architecture's paths as links into it."""

from tasks import host_files, render
from tasks.catalogue import Service
from tasks.operations import files, images
from tasks.run import remember, services, stack


def run() -> None:
    """The phase. The images start to arrive in the background while the next phases work."""
    rendered = tree()
    name = render.digest(*(part for item in sorted(rendered.items()) for part in item))
    files.generation(rendered, name, links(), name="Generation | rendered files and their links")
    images.fetch(services(), name="Generation | missing images start to arrive")


def tree() -> render.Files:
    """The host's rendered files, made once a run."""
    return remember("tree", lambda: render.tree(stack()))


def digests(service: Service) -> dict[str, str]:
    """Container → the digest its label has to show."""
    return render.digests(stack(), service, tree())


def mounted(service: Service) -> dict[str, dict[str, str]]:
    """Container → the files of ours that it has to see, by path and SHA-256."""
    return {item.name: render.mounted(item, tree()) for item in service.containers}


def links() -> dict[str, str]:
    """The paths that the architecture names → where they are in the active generation."""
    paths = [render.compose_path(service) for service in services()]
    named = {f"/root/{path}": path for path in paths} | host_files.links(tree())
    # While an old proxy may still read the file of that name, the takeover makes this link.
    if "caddy/Caddyfile" in tree() and not stack().takeover:
        named["/root/Caddyfile"] = "caddy/Caddyfile"
    return {link: f"{render.CURRENT}/{path}" for link, path in named.items()}
