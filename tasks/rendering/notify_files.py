"""Notify files: what tells people on the host, and the units that start it; none without the setting ``notify``. Pure."""

from typing import Any

from tasks.model.catalogue import Service, domains
from tasks.model.stack import Stack
from tasks.rendering.templates import HOME, jinja

# On the host: what is to be told, and what a channel said that was not.
STATE = "/var/lib/smarteros/notify"
# Below /vault/secrets.
CHANNELS = "notify.json"
VOLUME = "caddy_data"
_BESIDE = ("send_mail.py", "written.py")
_UNITS = ("notify.service", "notify.timer", "certificates.service", "certificates.timer")


def files(stack: Stack, services: tuple[Service, ...]) -> dict[str, str]:
    """Path in a generation → text."""
    if stack.notify is None:
        return {}
    programs = [
        *sorted((HOME / "files" / "notify").glob("*.py")),
        *(HOME / "files" / name for name in _BESIDE),
    ]
    found = {f"notify/{path.name}": path.read_text("utf-8") for path in programs}
    names = [name for item in services for route in item.routes for name in domains(stack, route)]
    if any(service.phase == "proxy" for service in services):
        found["notify/certificates.sh"] = _render(
            "notify/certificates.sh.j2", domains=" ".join(names), volume=VOLUME
        )
    return found


def units(stack: Stack, services: tuple[Service, ...], current: str, secrets: str) -> dict[str, str]:
    """Name → text of each systemd unit. current: the path of the active generation. secrets: the folder of Vault's."""
    served = any(service.phase == "proxy" for service in services)
    names = [name for name in _UNITS if served or name.startswith("notify")] if stack.notify else []
    words = {
        "certificates": _starting("/bin/sh", current, "notify/certificates.sh"),
        "send": _starting("/usr/bin/python3 -I -B", current, "notify/send.py"),
        "secrets": f"{secrets}/{CHANNELS}",
    }
    return {f"smarteros-{name}": _render(f"units/{name}.j2", **words) for name in names}


def _starting(program: str, current: str, path: str) -> str:
    """As a unit says it: the active generation's file; the newest other's where that one is of before anybody was told."""
    others = f"$$(ls -1dt {current.rpartition('/')[0]}/generations/*)"
    return (
        f"/bin/sh -c 'for tree in {current} {others}; do "
        f'[ ! -e "$$tree/{path}" ] || exec {program} "$$tree/{path}"; done; exit 1\''
    )


def is_ours(unit: str) -> bool:
    """Whether a unit of that name is one of these."""
    return unit.removeprefix("smarteros-") in _UNITS


def _render(template: str, **words: Any) -> str:
    return jinja().get_template(template).render(state=STATE, **words)
