"""Architecture: images that do not exist for the host's processor."""

from collections.abc import Iterable, Iterator

from tasks.model.catalogue import Service

# What the kernel calls itself → what Docker calls it.
DOCKERS = {"x86_64": "amd64", "aarch64": "arm64"}


def problems(architecture: str, chosen: Iterable[Service]) -> Iterator[str]:
    """A line for each image that would not start there ("exec format error"). Pure."""
    here = DOCKERS.get(architecture)
    for service in chosen:
        for container in service.containers:
            if here and container.architectures and here not in container.architectures:
                yield (
                    f"{service.name}: {container.image} exists for {', '.join(container.architectures)} only, and this "
                    f"host is {here}: take {service.name!r} off services, or name an image that exists for {here} "
                    f"(overrides.{service.name}.image, or build, from a fork)"
                )
