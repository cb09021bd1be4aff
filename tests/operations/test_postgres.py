"""What somebody has shut of Postgres is said with what opens it again, and nothing is done before."""

import pytest

from tasks import data, preflight, verify
from tasks.facts.shut import Shut
from tasks.operations import host_health, postgres
from tasks.run import Refused, services
from tests.commands.test_status import found
from tests.facts.test_facts import MACHINE
from tests.fake import commands, fake

TOLD = "`docker exec -e PGOPTIONS='-c default_transaction_read_only=off' postgres psql -U postgres {}`"
ALL = (
    "Postgres: takes no writes, neither from us nor from a service: default_transaction_read_only is on: "
    + TOLD.format("-c 'ALTER SYSTEM RESET default_transaction_read_only' -c 'SELECT pg_reload_conf()'")
    + " undoes that"
)
RULES = (
    "Postgres: its own psql cannot log in (fe_sendauth: no password supplied): the first line of its pg_hba.conf that begins with `local` "
    "has to be `local all all trust`, and only its own container comes that way: "
    "`docker exec postgres sh -c 'sed -i \"1i local all all trust\" $PGDATA/pg_hba.conf'`, then `docker kill --signal HUP postgres`"
)
CLOSED = "closed|connection to server failed: fe_sendauth: no password supplied"
RUNS = "c|/postgres|postgres|d|s|{}|healthy|0|pgvector/pgvector:0.8.7-pg16-bookworm|smarter-net "


def said(shut: Shut) -> list[str]:
    with fake({}):
        return list(postgres.wrong(shut, services()))


def test_nothing_is_shut() -> None:
    assert said(Shut()) == []


def test_how_each_is_opened_is_said() -> None:
    assert said(Shut(closed="fe_sendauth: no password supplied")) == [RULES]
    out = 'FATAL:  role "postgres" is not permitted to log in'
    assert said(Shut(closed=out)) == [
        f"Postgres: its own psql cannot log in ({out}); see `docker logs postgres`"
    ]
    assert said(Shut(readonly=(("", ""),))) == [ALL]
    (standby,) = said(Shut(standby=True))
    assert "it is a standby" in standby
    assert TOLD.format("-c 'SELECT pg_promote()'") in standby


@pytest.mark.parametrize(
    ("role", "database", "whose", "reset"),
    [
        ("n8n", "", "the role n8n", 'ALTER ROLE "n8n"'),
        ("", "n8n", "the database n8n", 'ALTER DATABASE "n8n"'),
        ("n8n", "n8n", "the role n8n of the database n8n", 'ALTER ROLE "n8n" IN DATABASE "n8n"'),
        ("", "postgres", "the database postgres", 'ALTER DATABASE "postgres"'),
    ],
)
def test_a_services_own_role_and_database_count(role: str, database: str, whose: str, reset: str) -> None:
    undoes = TOLD.format(f"-c '{reset} RESET default_transaction_read_only'")
    assert said(Shut(readonly=((role, database),))) == [
        f"Postgres: takes no writes for {whose}: default_transaction_read_only is on: {undoes} undoes that, for who connects from then on"
    ]


def test_what_others_may_only_read_is_their_choice() -> None:
    """A role for reports; and the superuser's own sessions, of which ours say what they need."""
    others = (("reports", ""), ("reports", "n8n"), ("", "shop"), ("n8n", "shop"), ("postgres", ""))
    assert said(Shut(readonly=others)) == []


@pytest.mark.parametrize(
    ("line", "reason"), [(CLOSED, RULES), ('readonly|["", ""]', ALL)], ids=["kept out", "read-only"]
)
def test_a_run_is_refused_before_it_does_anything(line: str, reason: str) -> None:
    says = {"/etc/os-release": MACHINE, "docker ps -aq": [RUNS.format("running")], "pg_authid": [line]}
    with fake(says):
        assert postgres.refusals() == [reason]
        with pytest.raises(Refused, match="cannot take") as refused:
            list(preflight.checked._inner.__wrapped__())  # type: ignore[attr-defined]
        assert f"    {reason}" in str(refused.value).splitlines()
    with fake({"docker ps -aq": [RUNS.format("exited")], "pg_authid": [line]}):
        assert postgres.refusals() == []


def test_the_data_phase_says_why_psql_is_kept_out() -> None:
    with fake({"pg_authid": [CLOSED]}), pytest.raises(Refused) as refused:
        data._server()
    assert str(refused.value) == RULES


def test_verify_fails_with_it_where_every_domain_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    for status, reasons in (("running", [ALL]), ("exited", [])):
        answers = {"docker ps -aq": [RUNS.format(status)], "pg_authid": ['readonly|["", ""]']}
        with fake(answers, services=["vault", "postgres"]) as host:
            monkeypatch.setattr(host, "log_styled", lambda text, **_: said.append(text))
            failures = commands(verify.verified)
            assert [step.function(host.state, host) for step in failures] == [False for _ in reasons]
        assert said == [f"does not answer as it should:\n    {reason}" for reason in reasons]
        said.clear()


def test_status_says_it() -> None:
    with fake({}):
        shut = found(shut=Shut(readonly=(("", ""),)))
        assert list(host_health.machine_problems(shut, services())) == [ALL]
