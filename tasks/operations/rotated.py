"""Rotated: the env file that a service ran with is kept until it is well with its new secrets, or has it back.

What the new ones have changed elsewhere by then, the passwords of its database's role and of its Redis user, stays new. Such a mixture
says so in its digest, which then is of no values of Vault's: where the old ones come back there, its containers are made anew.
"""

import re
from collections.abc import Iterable, Iterator
from shlex import quote

from tasks.model.catalogue import Service
from tasks.model.given import place
from tasks.model.targets import target
from tasks.rendering.render import SECRETS, SECRETS_VARIABLE

_MIXED = "+"  # after the digest of the values that most of it is


def path(service: str) -> str:
    """Where it is kept: beside the one that counts."""
    return f"{SECRETS}/.before-{service}.env"


def keeping(names: Iterable[str]) -> str:
    """Shell, in the folder of the env files, before those in .incoming replace them: one that is kept already ran before."""
    return f"""
told() {{ grep -s '^{SECRETS_VARIABLE}=' "$1"; }}
for name in {" ".join(map(quote, names))}; do
    [ "$(told "$name")" = "$(told ".incoming/$name")" ] || ln "$name" ".before-$name" 2>/dev/null || true
done
""".strip()


def settled(service: Service) -> str:
    """Shell: it is well with what it has now."""
    return f"rm -f {quote(path(service.name))}"


def functions(service: Service, host_name: str, digest: str) -> str:
    """The functions ``name_changed``, which says of each that is another how another value is given, or the one before comes back, and ``secrets_back``, which fails where the file
    of that digest is not there.
    """
    named = "\n        ".join(
        f"{name}) echo {quote(f'{service.name} on {host_name}: {text}')} >&2 ;;"
        for name, text in _changed(service)
    )
    line = quote(f'^{SECRETS_VARIABLE}="{re.escape(digest.removesuffix(_MIXED))}[{_MIXED}]?"$')
    mixed = quote(f's/^\\({SECRETS_VARIABLE}="[^{_MIXED}"]*\\).*/\\1{_MIXED}"/')
    return f"""
env={quote(f"{SECRETS}/{service.name}.env")} before={quote(path(service.name))} elsewhere={quote(elsewhere(service))}
name_changed() {{
    [ -e "$before" ] || return 0
    LC_ALL=C grep -avxFf "$before" "$env" | sed 's/=.*//' | while read -r name; do
        case $name in
        {named}
        esac
    done
}}
secrets_back() {{
    ! grep -qsE {line} "$env" || return 0
    grep -qsE {line} "$before" || return
    told=
    [ "$(grep -aE "$elsewhere" "$before")" = "$(grep -aE "$elsewhere" "$env")" ] || told={mixed}
    ( umask 077 && LC_ALL=C && export LC_ALL && grep -avE "$elsewhere" "$before" >"$before.new" && sed -i "$told" "$before.new" \\
        && {{ grep -aE "$elsewhere" "$env" >>"$before.new" || true; }} \\
        && sort -t = -k 1,1 -o "$before.new" "$before.new" && mv -f "$before.new" "$env" && rm -f "$before" )
}}
""".strip()


def _changed(service: Service) -> Iterator[tuple[str, str]]:
    """Variable of each secret → what is said where it is another; what is made of others says nothing by itself."""
    for secret in service.secrets:
        at = "#".join(place(service.name, secret))
        if secret.lasting:
            yield (
                secret.name,
                (
                    f"{at} has changed since it was last well, and never may: it would cost {secret.lasting}. Put the value of before back, "
                    f"which an earlier version of Vault's has (vault kv get -version=…, vault kv patch), then {target('deploy')}"
                ),
            )
        elif secret.kind != "bcrypt":
            gives = target(f"give-secrets NAME={at}")
            yield secret.name, f"{at} has changed since it was last well: {gives} gives another value"


def elsewhere(service: Service, *, role: bool = True) -> str:
    """The lines of an env file whose values others have been told. role: whether Postgres has, too."""
    users = (service.redis,) if service.redis else ()
    told = {item.secret for item in (*(service.databases if role else ()), *users)}
    made = [name for name, text in service.composed.items() if any(f"{{{each}}}" in text for each in told)]
    return f"^({'|'.join((*sorted(told), *made)) or '-'})="
