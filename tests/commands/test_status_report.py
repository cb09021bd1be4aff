"""Status as data: the JSON object, the page's file, what is worth knowing, and several hosts of one run."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyinfra.context import ctx_host

from tasks.commands import report, status
from tasks.connection.answer import NoAnswer
from tasks.facts import Room, Standing, Status, StatusFact
from tasks.facts.backups import Progress
from tasks.facts.certificates import Certificate
from tasks.facts.last_run import Back, Course, Deploy
from tasks.facts.usage import Memory, Usage
from tasks.operations import described, host_health, host_summary
from tasks.run import Refused, host, services
from tests.fake import commands, fake, several

NOW = 1795413600  # 2026-11-23T06:00:00Z
HOUR, DAY = 3600, 86400
DEPLOY = Deploy("root@laptop", NOW - 7200, 61, "ok", "1a2b3c4d5e6f", "", ("Applications | n8n",))
LONG = Certificate("Let's Encrypt", NOW - 30 * DAY, NOW + 60 * DAY)
UP = Standing("running", "healthy", since=7300, usage=Usage("caddy:2.11.7-alpine", 100, 256))
FEW: dict[str, Any] = {
    "services": ["vault", "postgres", "mcp-registry", "vault-auth-validator", "caddy"],
    "mirror_zones": [],
}
NAMES = ("mcp.smarterbot.cl", "api.smarterbot.cl")
CONTAINERS = ("vault", "postgres", "mcp-registry-web", "vault-auth-validator", "caddy-proxy")


def found(**changes: Any) -> Status:
    """A host that is well, but for these."""
    return Status(
        **{
            "docker": True,
            "containers": dict.fromkeys(CONTAINERS, UP),
            "vault": {"sealed": False},
            "rooms": (Room("/", 40000, 41, 12),),
            "clock": NOW,
            "memory": Memory(7936, 3027, 2047, 1953),
            "certificates": dict.fromkeys(NAMES, LONG),
            "course": Course("1a2b3c4d5e6f", NOW - 7100, DEPLOY),
            **changes,
        }
    )


def made(state: Status, **settings: Any) -> report.Report:
    with fake({}, **{**FEW, **settings}):
        return report.made(state)


def noticed(**changes: Any) -> list[str]:
    one = made(found(**changes))
    assert one.problems == ()
    return list(one.notices)


def test_nothing_is_worth_knowing_of_a_host_that_is_as_it_should_be() -> None:
    assert noticed() == []


def test_what_should_not_stay_so_is_no_failure() -> None:
    failed = replace(DEPLOY, result="failed", at="Applications | n8n")
    packages = ("libc6", "linux-image-6.12.57")
    assert noticed(course=Course("1a2b3c4d5e6f", NOW, failed, NOW - 3 * DAY, packages)) == [
        (
            'deploy: the last one (root@laptop, 118 min ago) has failed at "Applications | n8n": `make deploy` goes on, and says '
            "what is in its way"
        ),
        (
            "reboot: is due for 3 days (libc6, linux-image-6.12.57): `systemctl reboot` in a quiet hour, everything comes back by "
            "itself"
        ),
    ]
    killed = replace(DEPLOY, result="interrupted")
    assert noticed(course=Course("1a2b3c4d5e6f", NOW, killed)) == [
        "deploy: the last one (root@laptop, 118 min ago) was interrupted: `make deploy` goes on, and says what is in its way"
    ]
    assert noticed(course=Course("1a2b3c4d5e6f", NOW, replace(DEPLOY, result="under way"))) == []
    for command, goes_on in {
        "rotate": "`make rotate SERVICE=…` once more ends it, and proves the old passwords refused",
        "rollback": "`make rollback TO=…` once more ends it, `make deploy` leads forward again",
        "update": "`make update SERVICE=…` once more ends it, there or back",
    }.items():
        cut = replace(killed, at="Data | PostgreSQL", command=command)
        assert noticed(course=Course("1a2b3c4d5e6f", NOW, cut)) == [
            f'{command}: the last one (root@laptop, 118 min ago) was interrupted at "Data | PostgreSQL": {goes_on}'
        ]
    cut = replace(killed, at="Data | PostgreSQL", command="rotate", about="all")
    (said,) = noticed(course=Course("1a2b3c4d5e6f", NOW, cut, cut_short=(cut,)))
    assert said.startswith("rotate: that of all (root@laptop, ")
    (said,) = noticed(course=Course("1a2b3c4d5e6f", NOW, cut))
    assert "`make rotate SERVICE=all` once more ends it" in said


def test_until_a_deploy_a_rollback_is_said_with_what_the_next_one_does() -> None:
    back = Back(3, "ann@laptop", NOW - 7200)
    course = Course("1a2b3c4d5e6f++", NOW - 7100, DEPLOY, number=6, back=back)
    one = made(found(course=course))
    assert one.notices == (
        (
            "generation: the host was rolled back to generation 3 (ann@laptop, 2026-11-23 04:00:00Z): the next `make deploy` rolls "
            "forward to what your settings describe, `make plan` shows it"
        ),
    )
    assert report.summary(one)["generation"] == "6, 1a2b3c4d5e6f (copy 3 of these files), active for 118 min"
    data = report.data(report.Reports("inventories/prod.py", NOW, {"vps": one}))
    assert data["hosts"]["vps"]["generation"] == {
        "name": "1a2b3c4d5e6f++",
        "number": 6,
        "active_since": "2026-11-23T04:01:40Z",
        "rolled_back": {"to": 3, "operator": "ann@laptop", "time": "2026-11-23T04:00:00Z"},
    }
    with fake({}, **FEW):
        same = f"{described.name(described.tree())}+"
        assert report.made(found(course=replace(course, generation=same))).notices == ()


def test_memory_that_is_nearly_all_used_is_worth_knowing() -> None:
    full = replace(UP, usage=Usage("caddy:2.11.7-alpine", 236, 256))
    assert noticed(
        containers={**dict.fromkeys(CONTAINERS, UP), "mcp-registry-web": full}, memory=Memory(8000, 639)
    ) == [
        "memory: 639 of 8000 MB are left: the table says who has it; a host with more, or fewer services",
        (
            "memory: mcp-registry-web has 236 of the 256 MB that it may have: give it more (overrides.mcp-registry.memory_mb), "
            "then `make deploy`"
        ),
    ]
    assert noticed(memory=Memory(8000, 640)) == []


def test_a_domain_without_a_certificate_is_worth_knowing() -> None:
    assert noticed(certificates={"api.smarterbot.cl": LONG}) == [
        "certificate: none yet for mcp.smarterbot.cl: `make verify` says why"
    ]
    bare = {**FEW, "services": ["vault", "postgres"]}
    assert made(found(certificates={}), **bare).notices == ()


WHY = "`docker logs caddy-proxy` says why; the domain has to lead here, and port 80 to be open to the world"


@pytest.mark.parametrize(
    ("days", "left", "said"),
    [
        (90, 15 * DAY, ""),
        (90, 15 * DAY - 1, "ends in 14 days, and was not renewed"),
        (6, DAY, ""),
        (6, DAY - 1, "ends in 23 h, and was not renewed"),
        (90, -1, "has ended 1 s ago"),
    ],
)
def test_a_certificate_that_should_be_renewed_by_now_is_wrong(days: int, left: float, said: str) -> None:
    old = Certificate("Let's Encrypt", NOW + left - days * DAY, NOW + left)
    state = found(certificates={NAMES[0]: LONG, NAMES[1]: old, "gone.example": replace(old, until=1)})
    wrong = list(host_health.certificate_problems(state, NAMES))
    assert wrong == ([f"certificate: that of api.smarterbot.cl {said}: {WHY}"] if said else [])
    assert list(made(state).problems) == wrong


def test_what_people_ask_first_is_said_in_a_line_each() -> None:
    ends = {"mcp.smarterbot.cl": LONG, "api.smarterbot.cl": replace(LONG, until=NOW + 6 * DAY)}
    proven = Progress(verified={"n8n files": NOW - 20 * HOUR, "postgres database": NOW - HOUR})
    rooms = (Room("/", 40000, 41, 12), Room("/var/lib", 9000, 80, 30))
    course = Course("1a2b3c4d5e6f", NOW - 7300, DEPLOY, NOW - 3 * DAY, ("libc6",))
    state = found(certificates=ends, backup=proven, rooms=rooms, course=course)
    wanted = ["postgres database", "n8n files", "odoo files"]
    assert host_summary.summary(state, [*NAMES, "n8n.smarterbot.cl"], wanted, []) == {
        "generation": "1a2b3c4d5e6f, active for 2 h",
        "last run": "deploy by root@laptop, ended 118 min ago after 61 s, ok, 1 change",
        "memory": "3.0 GB of 7.8 GB free, swap 1.9 GB of 2.0 GB",
        "disk": "/ 41 % used, 39 GB free; /var/lib 80 % used, 8.8 GB free",
        "certificates": "2 of 3 domains, the first ends in 6 days (api.smarterbot.cl)",
        "drift": "not looked for yet; the host does so daily, and at once by systemctl start smarteros-drift there",
        "images": "not asked about yet; the host does so weekly, and at once by systemctl start smarteros-outdated there",
        "reboot": "due for 3 days (libc6)",
        "proven restore": "2 of 3 parts, the oldest 20 h ago (n8n files)",
    }


def test_a_deploy_is_said_whichever_way_it_went() -> None:
    going = replace(DEPLOY, result="under way", seconds=0, at="Docker | packages", command="rollback")
    assert host_summary.run(going, NOW) == "rollback by root@laptop, under way for 2 h, at Docker | packages"
    failed = replace(DEPLOY, result="failed", at="Docker | packages", changed=())
    assert (
        host_summary.run(failed, NOW)
        == "deploy by root@laptop, ended 118 min ago after 61 s, failed, at Docker | packages, 0 changes"
    )
    assert host_summary.run(replace(DEPLOY, command="rotate"), NOW).startswith("rotate by root@laptop, ended")
    long = replace(DEPLOY, started=NOW - 870, seconds=840)
    assert host_summary.run(long, NOW) == "deploy by root@laptop, ended 30 s ago after 14 min, ok, 1 change"
    killed = replace(DEPLOY, result="interrupted", seconds=0)
    assert host_summary.run(killed, NOW) == "deploy by root@laptop, began 2 h ago, interrupted, 1 change"
    assert host_summary.run(None, NOW) == "none is noted"
    assert [one.ended for one in (DEPLOY, going, killed)] == [DEPLOY.started + 61, 0, 0]


CONTAINER = {
    "service": "vault",
    "container": "vault",
    "state": "healthy",
    "since": "2026-11-23T03:58:20Z",
    "restarts": 0,
    "image": "caddy:2.11.7-alpine",
    "memory_mb": 100,
    "limit_mb": 256,
    "why": None,
    "todo": None,
}
HOST: Mapping[str, Any] = {
    "well": True,
    "zone": "smarterbot.cl",
    "time": "2026-11-23T06:00:00Z",
    "docker": True,
    "problems": [],
    "notices": [],
    "generation": {
        "name": "1a2b3c4d5e6f",
        "number": None,
        "active_since": "2026-11-23T04:01:40Z",
        "rolled_back": None,
    },
    "last_deploy": {
        "command": "deploy",
        "about": "",
        "operator": "root@laptop",
        "started": "2026-11-23T04:00:00Z",
        "seconds": 61,
        "ended": "2026-11-23T04:01:01Z",
        "result": "ok",
        "at": None,
        "generation": "1a2b3c4d5e6f",
        "changed": ["Applications | n8n"],
    },
    "reboot": None,
    "memory": {"total_mb": 7936, "available_mb": 3027, "swap_mb": 2047, "swap_free_mb": 1953},
    "disks": [{"path": "/", "free_mb": 40000, "used_percent": 41, "files_used_percent": 12}],
    "certificates": [
        {"domain": name, "issuer": "Let's Encrypt", "ends": "2027-01-22T06:00:00Z"} for name in NAMES
    ],
    "outdated": None,
    "backup": None,
}


def test_the_object_has_the_documented_keys() -> None:
    data = json.loads(
        json.dumps(report.data(report.Reports("inventories/prod.py", NOW, {"vps": made(found())})))
    )
    [only] = data.pop("hosts").values()
    assert data == {
        "version": 1,
        "inventory": "inventories/prod.py",
        "time": "2026-11-23T06:00:00Z",
        "well": True,
        "unreachable": [],
    }
    containers = only.pop("containers")
    assert containers[0] == CONTAINER
    assert [item["container"] for item in containers] == list(CONTAINERS)
    assert list(only.pop("summary")) == [
        "generation", "last run", "memory", "disk", "certificates", "drift", "images", "reboot",
        "proven restore",
    ]  # fmt: skip
    assert only == HOST


def test_the_object_keeps_its_keys_where_nothing_is_known() -> None:
    full = report.data(report.Reports("i", NOW, {"vps": made(found())}))["hosts"]["vps"]
    with fake({}, **FEW):
        silent = report.made(Status(), "one: does not answer")
    least = report.data(report.Reports("i", NOW, {"vps": silent}))["hosts"]["vps"]
    assert least.keys() == full.keys()
    assert (least["well"], least["problems"], least["notices"]) == (False, ["one: does not answer"], [])
    assert (least["time"], least["generation"], least["last_deploy"], least["containers"]) == (
        None,
        None,
        None,
        [],
    )


def test_the_object_says_how_old_the_backups_are() -> None:
    bucket = {"endpoint": "https://s3.example.com", "bucket": "acme-backup"}
    progress = Progress(
        succeeded={"files": NOW - 60}, until=NOW - 5, verified={"postgres database": NOW - HOUR}, prepared=NOW
    )
    one = made(found(backup=progress), backup=bucket)
    backup = report.data(report.Reports("i", NOW, {"vps": one}))["hosts"]["vps"]["backup"]
    assert backup["parts"]["files"] == "2026-11-23T05:59:00Z"
    assert backup["parts"]["heartbeat"] == "2026-11-23T05:59:55Z"
    assert backup["parts"]["postgres"] is None
    assert set(backup["verified"]) == set(one.proofs)


UP_TEXT = json.dumps(
    {
        "Status": "running",
        "ExitCode": 0,
        "OOMKilled": False,
        "Error": "",
        "StartedAt": "2026-11-23T05:59:00Z",
        "FinishedAt": "0001-01-01T00:00:00Z",
        "Health": {"Status": "healthy", "Log": []},
    }
)
TWO: dict[str, Any] = {"services": ["vault", "postgres"], "acme_email": None}
PRINTED = [
    f"clock {NOW}",
    "disk /               71815464  41%   -",
    "docker",
    *(
        line
        for name in TWO["services"]
        for line in (
            f"container /{name} 0 {UP_TEXT}",
            f"limit {name} 4711 536870912 {name}:1.0",
            f"used {name} 1048576",
        )
    ),
    'vault {"sealed":false}',
]


def test_a_run_prints_one_object_and_fails_as_ever(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JSON", "1")
    with fake({'echo "clock': PRINTED}, **TWO):
        assert commands(status.well) == []
    out = json.loads(capsys.readouterr().out)
    assert (out["well"], list(out["hosts"])) == (True, ["@fake/one"])
    assert [item["memory_mb"] for item in out["hosts"]["@fake/one"]["containers"]] == [1, 1]
    with fake({'echo "clock': PRINTED[:5]}, **TWO) as one:
        [failure] = commands(status.well)
        assert failure.function(one.state, one) is False
    out = json.loads(capsys.readouterr().out)
    assert (out["well"], out["hosts"]["@fake/one"]["well"]) == (False, False)


def test_without_being_asked_it_prints_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("JSON", raising=False)
    with fake({'echo "clock': PRINTED}, **TWO):
        assert commands(status.well) == []
    assert capsys.readouterr().out == ""


def test_the_hosts_of_a_run_are_one_object(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JSON", "1")
    answers = {"@fake/0": found(), "@fake/1": None}

    def known(_: type[StatusFact]) -> Status:
        state = answers[str(host().name)]
        if state is None:
            raise Refused(str(NoAnswer("it says nothing")))
        return state

    monkeypatch.setattr(status, "known", known)
    with several(FEW, FEW, FEW) as one:
        state = one.state
        state.is_executing = True
        hosts = [state.inventory.get_host(f"@fake/{number}") for number in range(3)]
        state.limit_hosts = hosts
        for each in hosts[:2]:
            state.activate_host(each)
        commands(status.well)
        assert capsys.readouterr().out == ""
        with ctx_host.use(hosts[1]):
            commands(status.well)
    out = json.loads(capsys.readouterr().out)
    assert (out["well"], out["unreachable"]) == (False, ["@fake/2"])
    assert {name: (item["well"], item["problems"]) for name, item in out["hosts"].items()} == {
        "@fake/0": (True, []),
        "@fake/1": (False, ["it says nothing"]),
    }


def test_the_page_is_written_also_where_something_is_wrong(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    shown: list[str] = []
    monkeypatch.setattr("tasks.commands.status.logger.info", lambda text, *args: shown.append(text % args))
    with fake({'echo "clock': PRINTED[:5]}, **TWO):
        assert commands(status.drawn) == []
    assert "Not well" in (tmp_path / "status.html").read_text()
    assert shown[-1] == "status.html: 2 problems, `make status` says what to do"
    monkeypatch.setenv("OUT", str(tmp_path / "other.html"))
    with fake({'echo "clock': PRINTED}, **TWO):
        assert commands(status.drawn) == []
    assert "All is well" in (tmp_path / "other.html").read_text()
    assert shown[-1] == f"{tmp_path}/other.html: all is well"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.html", "status.html"]


@pytest.mark.parametrize(
    ("name", "why"), [("folder", "Is a directory"), ("nowhere/a.html", "No such file or directory")]
)
def test_a_page_that_cannot_be_written_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, why: str
) -> None:
    (tmp_path / "folder").mkdir()
    monkeypatch.setenv("OUT", str(tmp_path / name))
    with fake({'echo "clock': PRINTED}, **TWO) as one:
        said: list[str] = []
        monkeypatch.setattr(one, "log_styled", lambda text, **_: said.append(text))
        [failure] = commands(status.drawn)
        assert failure.function(one.state, one) is False
    assert said == [f"OUT={tmp_path / name}: cannot be written: {why}"]
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_plan_asks_nobody() -> None:
    with fake({}, executing=False):
        assert commands(status.drawn) == []
        assert services()
