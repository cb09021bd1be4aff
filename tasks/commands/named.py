"""Named: the secret of Vault's that NAME=path#name is about."""

import os
from difflib import get_close_matches

from tasks import dokploy
from tasks.model import notify
from tasks.model.rotation import Place, places
from tasks.run import Refused, services, stack

# What make hands NAME on as, since some shells have a NAME of their own.
VARIABLE = "SMARTEROS_SECRET"


def known_places() -> dict[str, Place]:
    """The catalogue's, and what our runs keep beside it."""
    told = {
        f"{path}#{name}": Place(path, name, service="the notices") for path, name in notify.places(stack())
    }
    found = told | places(services())
    if any(service.name == "dokploy" for service in services()):
        own = Place(dokploy.PATH, "API_KEY", "ours", made=("API_KEY_ID",))
        found[str(own)] = own
    return found


def asked() -> str:
    """What NAME says, without the mount; empty where it says nothing."""
    return os.environ.get(VARIABLE, "").strip().removeprefix(f"{stack().vault_mount}/")


def listed() -> str:
    """All that there are, in words."""
    names = ", ".join(sorted(known_places()))
    return f"there are {names}" if names else "there are none: none of the services has a secret"


def unknown(name: str) -> Refused:
    """The refusal of a name: the nearest that there are, or all of its path, or all."""
    known = known_places()
    near = get_close_matches(name, known, n=3) or [each for each in known if each.startswith(f"{name}#")]
    hint = f"did you mean {' or '.join(near)}?" if near else listed()
    return Refused(f"NAME={name}: Vault holds nothing of that name; {hint}")
