"""A session with Vault from this machine: the way to it, and who we are there.

Errors of the network and of Vault come out as Refused, naming Vault's address and what to do.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tasks.clients import vault_answers as answers
from tasks.clients import vault_gone
from tasks.clients.lazily import lazily
from tasks.clients.vault_kept import Kept, kept, state_file
from tasks.model.shapes import Misshapen, shaped, shown
from tasks.model.targets import target
from tasks.run import Refused, host, recall, remember, stack

if TYPE_CHECKING:
    import hvac
    import requests

    from tasks.connection import tunnel_http
else:
    hvac, requests, tunnel_http = lazily("hvac"), lazily("requests"), lazily("tasks.connection.tunnel_http")

PORT = 8200
DEPLOYER = "smarteros-deployer"

# The AppRole of `make check`, and that of `make token`, with the seconds that their tokens live.
CHECKER = "smarteros-check"
MINUTE = 60
GUARD = "smarteros-guard"
GUARD_HOURS = 8

# Seconds after which the deployer's token is made anew: Vault's own end for it comes after 1200.
_FRESH = 600

# Seconds to connect, and for one answer. Generous: an answer to the initialisation that came too late would be lost keys.
_PATIENCE = (10, 120)


def client() -> hvac.Client:
    """A client without a token: through the SSH connection, or straight to an external Vault."""
    external = stack().vault_address
    if external:
        return hvac.Client(url=external, timeout=_PATIENCE, adapter=answers.adapter())
    session = requests.Session()
    session.trust_env = False  # no proxy of this machine between us and the host's loopback
    session.mount("http://", tunnel_http.Adapter(host(), PORT))
    return hvac.Client(
        url=f"http://127.0.0.1:{PORT}", session=session, timeout=_PATIENCE, adapter=answers.adapter()
    )


def warm() -> None:
    """Loads the client's libraries now, while there is something to wait for."""
    _ = hvac.Client, tunnel_http.Adapter


def deployer() -> hvac.Client:
    """The run's client, logged in with the least it needs; anew where a question or a package has taken long. Raises Refused."""
    found, until = remember("vault", _logged_in)
    if time.monotonic() < until:
        return found
    recall("vault")
    return remember("vault", _logged_in)[0]


def _logged_in() -> tuple[hvac.Client, float]:
    return _login(), time.monotonic() + _FRESH


def _login() -> hvac.Client:
    found = client()
    with foreseen("logging in to Vault"):
        try:
            if token := os.environ.get("VAULT_TOKEN") if stack().vault_address else None:
                found.token = token
                found.auth.token.lookup_self()
            else:
                answers.entered(found, *_approle())
        except (hvac.exceptions.Forbidden, hvac.exceptions.InvalidRequest) as error:
            raise Refused(_unknown(str(error).partition(", on ")[0])) from None
    return found


def _unknown(why: str) -> str:
    """A credential that Vault does not take, and where to get one that it takes."""
    pair, address = "VAULT_ROLE_ID and VAULT_SECRET_ID", stack().vault_address
    given = bool(os.environ.get("VAULT_ROLE_ID") and os.environ.get("VAULT_SECRET_ID"))
    if address and os.environ.get("VAULT_TOKEN"):
        what, todo = "VAULT_TOKEN, which is mistyped, has expired or was revoked", "set a live one"
    elif address:
        what = pair
        todo = "set those of a live secret id (vault write -f auth/approle/role/<role>/secret-id), or VAULT_TOKEN"
    elif given:
        what, todo = pair, f"unset them, so that {state_file()} counts"
    else:
        what, todo = f"the credential in {state_file()}", "restore that file from your backup of it"
    return f"{f'the Vault at {address}' if address else 'Vault'} refuses {what} ({shown(why)}): {todo}"


def _approle() -> tuple[str, ...]:
    """The role's id, and each secret id that may count."""
    role_id, secret_id = os.environ.get("VAULT_ROLE_ID"), os.environ.get("VAULT_SECRET_ID")
    if role_id and secret_id:
        return role_id, secret_id
    stored = None if stack().vault_address else kept()
    if not stored or not stored.role_id:
        raise Refused(_without_credential(stored))
    return (stored.role_id, stored.secret_id, *filter(None, [stored.other_secret_id]))


def _without_credential(stored: Kept | None) -> str:
    """Only an initialised Vault has keys that could be missing here, and the first deploy may still be on its way there."""
    name = host().name
    found = UNSEALED if stack().vault_address else health()
    if not found and stored is None:
        return f"nothing is deployed on {name} yet, or its Vault does not run: no Vault answers there: {target('deploy')}"
    if found == EMPTY or (stored and (stored.asked or stored.root_token)):
        return f"the first deploy to {name} has not come to its end: {target('deploy')} goes on with it"
    return lost_state()


# What /sys/health answers with.
UNSEALED, EMPTY, SEALED = 200, 501, 503


def health() -> int:
    """How the host's Vault says it is; 0: it does not answer, which the phase of Vault mends or says."""
    try:
        with foreseen("asking for its health"):
            return int(client().sys.read_health_status(method="HEAD").status_code)
    except Refused:
        return 0


def lost_state() -> str:
    """The error for a Vault that we have no credential for."""
    if stack().vault_address:
        return (
            f"the Vault at {stack().vault_address} needs a credential: set VAULT_TOKEN, "
            "or VAULT_ROLE_ID and VAULT_SECRET_ID, in the environment"
        )
    return (
        f"Vault is initialised, but its keys are not on this machine: restore {state_file()} "
        "from where it was first deployed (settings: state_dir). It is never initialised a second time, "
        "since that would lose every secret"
    )


@contextmanager
def foreseen(doing: str) -> Iterator[None]:
    """Turns errors of hvac and of the network, and answers that no Vault gives, into Refused without a secret."""
    where = stack().vault_address or f"Vault on {host().name}"
    try:
        yield
    except requests.RequestException as error:
        raise Refused(f"{doing}: {where} does not answer ({_root(error)})") from None
    except hvac.exceptions.Forbidden:
        raise Refused(
            f"{doing}: {where} refuses the credential (403): it may have expired or been revoked"
        ) from None
    except hvac.exceptions.VaultError as error:
        raise Refused(f"{doing}: {where} says: {shown(str(error))}") from None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        why = error if isinstance(error, Misshapen) else type(error).__name__
        raise Refused(f"{doing}: {where} answers as no Vault does ({why})") from None


def _root(error: BaseException) -> str:
    while error.__context__ is not None:
        error = error.__context__
    return str(error) or type(error).__name__


def read(path: str) -> tuple[dict[str, Any], int]:
    """A service's secrets and their version; ({}, 0) when there never were any. Raises Refused."""
    mount = stack().vault_mount
    with foreseen(f"reading {mount}/{path}"):
        try:
            found = deployer().secrets.kv.v2.read_secret_version(
                path, mount_point=mount, raise_on_deleted_version=True
            )
        except hvac.exceptions.InvalidPath as error:
            if deleted := answers.absent(error).get("data"):
                gone = shaped(answers.Deleted, deleted)["metadata"]
                raise Refused(vault_gone.said(path, gone["version"], destroyed=gone["destroyed"])) from None
            return {}, 0
        stored = shaped(answers.Stored, found)["data"]
    return stored["data"], stored["metadata"]["version"]


def wrote() -> bool:
    """Whether this run has written a secret."""
    return remember("wrote", bool)


def write(path: str, values: dict[str, str], version: int) -> None:
    """Writes only on top of ``version`` (check-and-set), so that nobody's value is overwritten. Raises Refused."""
    mount = stack().vault_mount
    with foreseen(f"writing {mount}/{path}"):
        try:
            deployer().secrets.kv.v2.create_or_update_secret(path, values, cas=version, mount_point=mount)
        except hvac.exceptions.InvalidRequest as error:
            if "check-and-set" not in str(error):
                raise
            raise Refused(f"{mount}/{path} was changed by somebody else during this run: run again") from None
    recall("wrote")
    remember("wrote", lambda: True)
