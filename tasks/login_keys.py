"""Login keys: for each user whom login_keys names these keys let in, and no others; live only once a new login has come through it.

A key that is taken away is proven refused (tasks/facts/keys_gone.py), by the next run where this one does not come to that.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pyinfra import logger

from tasks.connection.drafts import note
from tasks.connection.login import user as logged_in
from tasks.facts import MachineFact
from tasks.facts.keys_gone import KeysGoneFact
from tasks.facts.login_keys import UNPROVEN, LoginKeys
from tasks.model.login_keys import Key, keys
from tasks.operations import armed, own_key, questions
from tasks.operations import login_keys as judged
from tasks.operations.login_keys_change import change
from tasks.run import Commands, Refused, host, known, operation, stack, step


def run() -> None:
    """The phase."""
    let_in(name="SSH | whose keys let in")


def _client() -> Any:
    return getattr(host().connector, "client", None)


def found() -> LoginKeys:
    """Of whom the setting names; nothing where there is nothing to ask."""
    asked = questions.keys()
    return known(*asked[0]) if asked else LoginKeys()


def refusals() -> Iterator[str]:
    """Why these keys cannot be the ones, or would not let this run in again."""
    users = stack().login_keys
    machine = known(MachineFact) if questions.keys() else None
    if machine is None or not machine.access.sshd:
        return
    there = found()
    yield from judged.problems(users, there, str(host().name))
    came = (*machine.access.came, "")[0]
    for item in judged.wanted(users, there):
        if item.user == logged_in(host()) and not item.right:
            yield from own_key.shut_out(item, own_blob(_client()), came, time.time())


def own_blob(client: Any) -> bytes:
    """The public key by which the run is logged in; empty for a certificate, or another way."""
    key = getattr(client.get_transport().auth_handler, "private_key", None)
    certified = key is not None and (getattr(key, "public_blob", None) or "-cert-v01@" in key.get_name())
    return b"" if key is None or certified else bytes(key.asbytes())


@operation
def let_in() -> Commands:
    """The files of keys are what the setting says, and what is gone from them is refused. Raises Refused."""
    if not stack().login_keys:
        return
    if not questions.keys() or not known(MachineFact).access.sshd:
        why = "this run has not come over SSH, so that nobody could prove that a login still works"
        host().log(
            f"login_keys: {'keys are left as they are: ' + why if not questions.keys() else 'no sshd on this host'}"
        )
        return
    there = found()
    items = [*judged.wanted(stack().login_keys, there)]
    wrong = [item for item in items if not item.right]
    gone = _gone(items, there)
    for item in wrong:
        note(*judged.effects(item))
        for line in judged.meant(item):
            host().log(line)
        for line in judged.warnings(item):
            host().log_styled(line, fg="yellow", log_func=logger.warning)
    if wrong:
        lines = [f"{user} {key.public} {key.comment}".strip() for user, key in gone]
        yield from armed.proven(change(wrong, lines))
    if gone:
        host().log(
            f"login_keys: {', '.join(dict.fromkeys(key.fingerprint for _, key in gone))}: tried at sshd, which has to refuse what has gone"
        )
        yield step(lambda: _refused(gone))
        yield f"rm -f {UNPROVEN}"


def _gone(items: Iterable[judged.Wanted], there: LoginKeys) -> list[tuple[str, Key]]:
    """By user: keys that a run before this one has not proven refused, and those that this one takes away. Authorities open nothing themselves."""
    gone: dict[tuple[str, bytes], tuple[str, Key]] = {}
    for item in items:
        stays = {key.blob for key in item.keys}
        for key in (
            *keys("\n".join(there.unproven.get(item.user, ()))),
            *(item.goes if not item.right else ()),
        ):
            if key.blob not in stays and not key.authority:
                gone[item.user, key.blob] = (item.user, key)
    return [*gone.values()]


def _refused(gone: list[tuple[str, Key]]) -> None:
    """Each is tried. Raises Refused where one still opens."""
    name, bad = host().name, []
    tried = known(KeysGoneFact, tuple(gone))
    for (user, key), one in zip(gone, tried, strict=True):
        if one.opens:
            bad.append(
                f"login_keys.{user}: {key} was taken away on {name} and still lets in as {user}: sshd finds it at {one.opens}: take it out there"
            )
        elif one.unknown:
            bad.append(
                f"login_keys.{user}: whether {key} still lets in as {user} on {name} is not known: {one.unknown}"
            )
        for session in one.sessions:
            _warn(
                f"login_keys.{user}: {key}: a session that it has opened lives on: process {session}: `kill {session.split()[0]}` on {name} ends it"
            )
        if one.also and not one.opens:
            _warn(
                f"login_keys.{user}: {key} stands elsewhere on {name}, too, and may let in as somebody else: {', '.join(one.also)}"
            )
    if bad:
        raise Refused("\n".join(bad))
    host().log(f"login_keys: {len(gone)} of {len(gone)} keys that have gone are refused")


def _warn(line: str) -> None:
    host().log_styled(line, fg="yellow", log_func=logger.warning)


def files() -> Mapping[str, list[str]]:
    """User → paths that are ours, on a host whose keys this run looks after."""
    return {item.user: judged.paths(item) for item in judged.wanted(stack().login_keys, found())}
