"""described: what the host has to have of rendered files: the tree, its links, and what each container sees of it."""

from tasks.model.catalogue import Service
from tasks.model.stack import Stack
from tasks.rendering import host_files, render
from tasks.run import remember, services, stack, tasked


def tree() -> render.Files:
    """The host's rendered files, made once a run."""
    return remember("tree", lambda: render.tree(stack(), services(), tasked()))


def name(rendered: render.Files) -> str:
    """What a generation of these files is called."""
    return render.digest(*(part for item in sorted(rendered.items()) for part in item))


def digests(service: Service) -> dict[str, str]:
    """Container → the digest its label has to show, as the compose file has it."""
    return render.labelled(tree()[render.compose_path(service)])


def mounted(service: Service) -> dict[str, dict[str, str]]:
    """Container → the files of ours that it has to see, by path and SHA-256."""
    return {item.name: render.mounted(item, tree()) for item in service.containers}


def links() -> dict[str, str]:
    """The paths that the architecture names → where they are in the active generation."""
    paths = [render.compose_path(service) for service in services() if not service.nodes]
    named = {f"/root/{path}": path for path in paths} | host_files.links(tree())
    # While an old proxy may still read the file of that name, the takeover makes this link.
    if "caddy/Caddyfile" in tree() and not stack().takeover:
        named["/root/Caddyfile"] = "caddy/Caddyfile"
    return {link: f"{render.CURRENT}/{path}" for link, path in named.items()}


def back() -> tuple[int, dict[str, object]]:
    """The generation that this run goes back to, and its settings; 0 for a deploy."""
    return remember("back", lambda: (0, {}))


def unproven() -> bool:
    """Whether this run may still go back from what it makes, once that is noted."""
    return remember("unproven", lambda: False)


def now() -> Stack:
    """The settings as they are, also where this run goes back to earlier ones."""
    return remember("now", stack)
