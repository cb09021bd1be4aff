"""First run: which services have an admin, asked in their databases."""

from shlex import quote

from pyinfra.api import FactBase

# Before the name of a service in the place of an answer.
UNKNOWN = "?"


class FirstRunFact(FactBase[frozenset[str]]):
    """The names of the services that have an admin; one of a service without tables yet is not among them, and after
    UNKNOWN stands the name of one whose database cannot be asked.
    """

    def command(self, questions: tuple[tuple[str, str, str], ...]) -> str:
        """questions: service, database, SQL that has a row once there is an admin. All side by side, in one exec."""
        lines = "".join(_question(*question) for question in questions)
        unknown = " ".join(quote(f"{UNKNOWN}{service}") for service, _, _ in questions)
        return f"docker exec -i postgres sh <<'EOF' 2>/dev/null || printf '%s\\n' {unknown}\n{lines}wait\ntrue\nEOF"

    @staticmethod
    def default() -> frozenset[str]:
        """No Postgres."""
        return frozenset()

    def process(self, output: list[str]) -> frozenset[str]:
        """One name a line."""
        return frozenset(output)


def _question(service: str, database: str, owned: str) -> str:
    query = f"SELECT '{service}' WHERE EXISTS ({owned})"
    # 2: there is no connection to be had, or no such database. Without its tables it is 1.
    asked = f"psql -qAtX -U postgres -d {quote(database)} -c {quote(query)} </dev/null"
    return f"{{ {asked}; [ $? != 2 ] || echo {quote(UNKNOWN + service)}; }} &\n"
