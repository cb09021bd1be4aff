"""Jobs: one that has ended well need not exist any longer, and runs again when what it is made of has changed."""

import json
from dataclasses import replace

import pytest

from tasks.facts.status import Status
from tasks.model.catalogue import Service, Volume
from tasks.operations import containers, jobs
from tasks.operations.container_health import Line, judged
from tests.fake import fake, texts
from tests.samples import HELPDESK

DATA = Volume("helpdesk_data", "/app/storage")
(PREPARE,) = [replace(item, volumes=(DATA,)) for item in HELPDESK.containers if item.job]
SERVICE = replace(HELPDESK, containers=(PREPARE,))
DIGESTS = {"helpdesk-prepare": "d1"}
VOLUME = 'v|{"name":"helpdesk_data","service":"helpdesk","project":"","part":""}'
FINISHED = "c|/helpdesk-prepare|helpdesk|d1|s1|exited||0|example/helpdesk:4.2|smarter-net "
NOTING = (
    "told postgres -c "
    """'ALTER DATABASE "helpdesk" SET smarteros.helpdesk_prepare = '"'"'d1 s1'"'"''"""
)


def run(
    *docker: str, note: str | None = None, service: Service = SERVICE, postgres: bool = True
) -> list[str]:
    """The commands of a run on a host where Docker and Postgres say this."""
    done = {"smarteros.helpdesk_prepare": note} if note else None
    database = {"owner": "helpdesk", "public": False, "shut": False, "guests": None, "done": done}
    server = "server|" + json.dumps({"roles": {}, "databases": {"helpdesk": database}})
    answers = {"docker ps -aq": ["e|helpdesk|s1", *docker], "pg_authid": [server] if postgres else []}
    with fake(answers):
        return texts(containers.start, service, DIGESTS)


def test_a_finished_job_that_was_removed_stays_away() -> None:
    assert run(VOLUME, note="d1 s1") == []
    assert run(VOLUME, FINISHED) == []


@pytest.mark.parametrize(
    ("note", "docker"),
    [
        (None, (VOLUME,)),  # never done, or its database is another one
        ("d0 s1", (VOLUME,)),  # of another image or other files
        ("d1 s0", (VOLUME,)),  # of other secrets
        ("d1 s1", ()),  # what it has put into the volume is gone
        ("d1 s1", (VOLUME, FINISHED.replace("|0|", "|1|"))),  # it has failed since
    ],
)
def test_it_runs_again_when_what_it_did_is_not_there(note: str | None, docker: tuple[str, ...]) -> None:
    (script,) = run(*docker, note=note)
    lines = script.splitlines()
    end = lines.index(NOTING) + 1
    job, gate, noting = lines[end - 3 : end]
    assert job.endswith(
        "--profile job up -d --no-build --quiet-pull --force-recreate --no-deps helpdesk-prepare 2>&1"
    )
    assert gate.startswith("gate helpdesk-prepare ")
    assert noting == NOTING


def test_without_a_database_that_answers_nothing_counts_as_done() -> None:
    assert len(run(VOLUME, note="d1 s1", postgres=False)) == 1


def test_a_service_without_a_database_keeps_its_job() -> None:
    bare = replace(SERVICE, databases=())
    assert run(VOLUME, FINISHED, service=bare) == []
    (script,) = run(VOLUME, service=bare)
    assert "ALTER DATABASE" not in script


def test_a_job_that_gets_no_secrets_is_made_of_none() -> None:
    assert jobs.note(replace(PREPARE, env_file=False), "d1", "s1") == "d1 -"


def test_status_knows_a_job_that_was_removed() -> None:
    noted = frozenset({"helpdesk smarteros.helpdesk_prepare"})
    well = Status(docker=True, done=noted, volumes=frozenset({"helpdesk_data"}))
    assert list(judged([SERVICE], well)) == [Line("helpdesk", "helpdesk-prepare", "done")]
    for wrong in (replace(well, done=frozenset()), replace(well, volumes=frozenset())):
        assert [line.state for line in judged([SERVICE], wrong)] == ["missing"]
