"""`rails runner SCRIPT`, for the one script that makes Chatwoot's first administrator without a browser.

Upstream has no command for it; its onboarding page does exactly these two statements, so a script may hold them:

    exit if User.exists?
    AccountBuilder.new(account_name: 'Acme', user_full_name: ENV.fetch('NAME'), email: ENV.fetch('EMAIL'),
      user_password: ENV.fetch('PASSWORD'), super_admin: true, confirmed: true).perform
    Redis::Alfred.delete(Redis::Alfred::CHATWOOT_INSTALLATION_ONBOARDING)

Statements end with a line or a semicolon. Anything else is refused, since this is no Ruby.
"""

from __future__ import annotations

import re

from double.chatwoot_accounts import Accounts, Invalid
from double.contract import Environment, Refused

STOP = re.compile(r"(?:exit|return) if (?:User|SuperAdmin)\.(?:exists|any)\?")
BUILD = re.compile(r"(?:::)?AccountBuilder\.new\((.*)\)\.perform", re.DOTALL)
FINISH = re.compile(r"(?:::)?Redis::Alfred\.delete\((?:::)?Redis::Alfred::CHATWOOT_INSTALLATION_ONBOARDING\)")
ARGUMENT = re.compile(
    r"\s*(\w+):\s*(?:'([^'\\]*)'|ENV\.fetch\((?:'(\w+)'|\"(\w+)\")\)|ENV\[(?:'(\w+)'|\"(\w+)\")\]|(true|false))\s*(?:,|$)"
)
TEXTS = ("account_name", "user_full_name", "email", "user_password")
FLAGS = ("super_admin", "confirmed")


def run_script(script: str, environment: Environment, accounts: Accounts) -> None:
    """Run the statements one after the other."""
    for statement in _statements(script):
        if STOP.fullmatch(statement):
            if accounts.has_users():
                return
        elif found := BUILD.fullmatch(statement):
            _build(_arguments(found.group(1), environment), accounts)
        elif FINISH.fullmatch(statement):
            accounts.finish_onboarding()
        else:
            raise Refused(f"the double is no Ruby and cannot run: {statement.splitlines()[0]}")


def _statements(script: str) -> list[str]:
    """Lines and semicolons end a statement, but not within parentheses."""
    statements, depth, current = [], 0, ""
    for character in script:
        depth += (character == "(") - (character == ")")
        if character in "\n;" and depth == 0:
            statements.append(current.strip())
            current = ""
        else:
            current += character
    return [statement for statement in [*statements, current.strip()] if statement]


def _arguments(text: str, environment: Environment) -> dict[str, str]:
    given, position = {}, 0
    while position < len(text.rstrip()):
        found = ARGUMENT.match(text, position)
        if not found:
            raise Refused(
                f"the double cannot read AccountBuilder's arguments from: {text[position:].strip()[:60]}"
            )
        name, literal, *variables, flag = found.groups()
        variable = next((word for word in variables if word), "")
        if variable and variable not in environment:
            raise Refused(f'key not found: "{variable}" (KeyError)')
        given[name] = environment[variable] if variable else flag or literal or ""
        position = found.end()
    return given


def _build(given: dict[str, str], accounts: Accounts) -> None:
    if unknown := sorted(set(given) - {*TEXTS, *FLAGS, "locale"}):
        raise Refused(f"AccountBuilder takes no {', '.join(unknown)}")
    if "email" not in given:
        raise Refused("AccountBuilder needs email")
    account, name, email, password = (given.get(key, "") for key in TEXTS)
    super_admin, confirmed = (given.get(key) == "true" for key in FLAGS)
    try:
        accounts.build(account, name, email, password, super_admin=super_admin, confirmed=confirmed)
    except Invalid as error:
        raise Refused(str(error)) from None
