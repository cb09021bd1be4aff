"""Status: the table and the failure for everything that can be wrong, and the fact from Docker's own words."""

import json
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyinfra.api.exceptions import FactProcessError

from tasks import backup
from tasks.commands import report, status
from tasks.facts import Outbound, Room, Standing, Status, StatusFact
from tasks.facts.backups import Progress
from tasks.facts.objects import OTHER_FORMAT
from tasks.facts.usage import Usage
from tasks.model.words import ago
from tasks.operations import container_health, host_health, lost
from tasks.operations.container_health import Line
from tasks.run import services
from tests.fake import commands, fake
from tests.operations.test_namesakes import other

WELL = Standing("running", "healthy", since=7300)
DONE = Standing("exited", since=7400)
ROOM = Room("/", 40000, 41, 12)
FEW: dict[str, Any] = {"services": ["vault", "postgres", "botpress"], "acme_email": None}


def found(**changes: Any) -> Status:
    """A host that is well, but for these."""
    return Status(
        **{
            "docker": True,
            "containers": {"vault": WELL, "postgres": WELL, "botpress": WELL},
            "vault": {"sealed": False},
            "rooms": (ROOM,),
            **changes,
        }
    )


def lines(state: Status, **settings: Any) -> list[Line]:
    with fake({}, **{**FEW, **settings}):
        return list(container_health.judged(services(), state))


def wrong(name: str, standing: Standing | None) -> tuple[str, str, str]:
    """State, why and what to do of one container that is not well; the others are."""
    containers = {"vault": WELL, "postgres": WELL, "botpress": WELL, name: standing}
    here = {key: value for key, value in containers.items() if value}
    [line] = [line for line in lines(found(containers=here)) if line.why]
    assert line.container == name
    return line.state, line.why, line.todo


def test_a_host_that_is_well_has_nothing_to_say() -> None:
    assert lines(found()) == [
        Line("vault", "vault", "healthy", "2 h"),
        Line("postgres", "postgres", "healthy", "2 h"),
        Line("botpress", "botpress", "healthy", "2 h"),
    ]
    assert list(host_health.machine_problems(found(), ())) == []


def test_where_a_restore_was_cut_short_no_deploy_is_named() -> None:
    ended = {"vault": WELL, "postgres": Standing("exited"), "botpress": Standing("exited")}
    cut = found(containers=ended, backup=Progress(cut={"botpress": "undo"}))
    assert {line.service: line.todo for line in lines(cut) if line.why} == {
        "postgres": "see `docker logs --tail 50 postgres`; `make deploy` starts it",
        "botpress": "its restore was cut short, and is ended first, as is said below",
    }


def test_containers_without_a_way_out_are_named_with_what_the_host_itself_reaches() -> None:
    outbound = Outbound("10.0.0.2, port 53", ("botpress", "postgres"))
    assert list(host_health.machine_problems(found(outbound=outbound), ())) == [
        (
            "network: botpress, postgres: no way out, where the host itself reaches 10.0.0.2, port 53: a firewall is in between "
            "(`nft list ruleset`); `make deploy` has Docker write its rules anew"
        )
    ]
    assert list(host_health.machine_problems(found(outbound=Outbound("10.0.0.2, port 53")), ())) == []


def test_a_container_without_its_network_is_no_firewalls_doing() -> None:
    def standing(*networks: str) -> Standing:
        return replace(WELL, usage=Usage(networks=networks))

    there = {"vault": standing("5" * 64, "smarter-net"), "postgres": standing(), "botpress": standing("own")}
    alone = found(containers=there, outbound=Outbound("10.0.0.2, port 53", ("postgres",)))
    assert {line.container: (line.why, line.todo) for line in lines(alone)} == {
        "vault": ("", ""),
        "postgres": ("is in no network, and belongs into smarter-net", "`make deploy` makes it anew"),
        "botpress": ("is not in smarter-net", "`make deploy` makes it anew"),
    }
    assert list(host_health.machine_problems(alone, ())) == []


def test_what_containers_reach_is_read() -> None:
    lines = ["clock 1", "outbound 10.0.0.2 53", "cut_off postgres", "cut_off botpress"]
    assert StatusFact().process(lines).outbound == Outbound("10.0.0.2, port 53", ("botpress", "postgres"))
    assert StatusFact().process(lines[:1]).outbound == Outbound()
    with pytest.raises(FactProcessError, match="cannot read how the host is"):
        StatusFact().process(["clock 1", "outbound 10.0.0.2"])


LOGS = "see `docker logs --tail 50 botpress`"
WRONG: Mapping[str, tuple[Standing | None, tuple[str, str, str]]] = {
    "missing": (None, ("missing", "does not exist", "`make deploy` makes it")),
    "starting": (
        Standing("running", "starting"),
        ("starting", "its health check has not passed yet", "wait, and ask again"),
    ),
    "unhealthy": (
        Standing("running", "unhealthy", checked="wget: server returned error: HTTP/1.1 503"),
        (
            "unhealthy",
            "does not answer as it should, its health check says: wget: server returned error: HTTP/1.1 503",
            LOGS,
        ),
    ),
    "unhealthy without a word": (
        Standing("running", "unhealthy"),
        ("unhealthy", "does not answer as it should", LOGS),
    ),
    "unchecked": (Standing("running"), ("running", "does not answer as it should", LOGS)),
    "restarting": (
        Standing("restarting", exit_code=1, restarts=7),
        ("restarting", "ends again and again (exit code 1, 7 restarts)", LOGS),
    ),
    "killed for memory": (
        Standing("restarting", exit_code=137, killed_for_memory=True, restarts=2),
        (
            "restarting",
            "ends again and again (exit code 137, killed for memory, 2 restarts)",
            "give it more (overrides.botpress.memory_mb), then `make deploy`",
        ),
    ),
    "stopped": (
        Standing("exited", exit_code=143),
        ("exited", "has ended (exit code 143)", f"{LOGS}; `make deploy` starts it"),
    ),
    "never started": (
        Standing("created", exit_code=127, error="exec: no such file"),
        (
            "created",
            "was never started (exit code 127, exec: no such file)",
            f"{LOGS}; `make deploy` starts it",
        ),
    ),
    "paused": (Standing("paused", "healthy"), ("paused", "is paused", "`docker unpause botpress`")),
}


@pytest.mark.parametrize(("standing", "said"), WRONG.values(), ids=WRONG)
def test_why_a_container_is_not_well_and_what_to_do(
    standing: Standing | None, said: tuple[str, str, str]
) -> None:
    assert wrong("botpress", standing) == said


NEXT = "its replacement botpress-next: "


@pytest.mark.parametrize(
    ("standing", "said"),
    [
        (
            Standing("restarting", exit_code=2, restarts=7),
            ("restarting", "ends again and again (exit code 2, 7 restarts)", f"{LOGS[:-1]}-next`"),
        ),
        (
            Standing("running", "starting"),
            ("starting", "its health check has not passed yet", "wait, and ask again"),
        ),
        (
            WELL,
            (
                "healthy",
                "is well, and does not have its name yet",
                "wait where a deploy is at work, else `make deploy` goes on",
            ),
        ),
    ],
    ids=["restarting", "starting", "healthy"],
)
def test_a_container_that_is_being_replaced_is_as_well_as_what_replaces_it(
    standing: Standing, said: tuple[str, str, str]
) -> None:
    containers = {"vault": WELL, "postgres": WELL, "botpress-next": standing}
    [line] = [line for line in lines(found(containers=containers)) if line.why]
    state, why, todo = said
    assert (line.container, line.state, line.why, line.todo) == ("botpress", state, NEXT + why, todo)


def test_a_job_is_well_once_it_has_succeeded() -> None:
    chatwoot: dict[str, Any] = {"services": ["vault", "postgres", "redis", "chatwoot"]}
    names = ("vault", "postgres", "redis", "chatwoot", "chatwoot-sidekiq")

    def job(standing: Standing) -> Line:
        containers = {**dict.fromkeys(names, WELL), "chatwoot-prepare": standing}
        [line] = [
            line
            for line in lines(found(containers=containers), **chatwoot)
            if line.container == "chatwoot-prepare"
        ]
        return line

    assert job(DONE) == Line("chatwoot", "chatwoot-prepare", "done", "2 h")
    assert job(Standing("running")) == Line(
        "chatwoot", "chatwoot-prepare", "running", "0 s", "has not ended yet", "wait, and ask again"
    )
    assert job(Standing("exited", exit_code=1)) == Line(
        "chatwoot",
        "chatwoot-prepare",
        "exited",
        "0 s",
        "failed (exit code 1)",
        "see `docker logs --tail 50 chatwoot-prepare`; `make deploy` runs it again",
    )


def test_a_vault_that_docker_calls_healthy_may_be_sealed() -> None:
    assert lines(found(vault={"sealed": True}))[0] == Line(
        "vault",
        "vault",
        "sealed",
        "2 h",
        "is sealed: nobody reads a secret",
        "`make deploy` unseals it; `journalctl -u smarteros-unseal` says why the host did not",
    )
    assert lines(found(vault=None))[0] == Line(
        "vault", "vault", "silent", "2 h", "does not answer", "see `docker logs --tail 50 vault`"
    )


def test_an_external_vault_is_not_asked_for() -> None:
    external = {"vault_address": "https://vault.example:8200", "services": ["postgres"]}
    assert [line.why for line in lines(found(vault=None), **external)] == [""]


ADVICE = "`docker system df` and `du -xh --max-depth 2 {}` say what takes it"


def test_what_is_wrong_with_the_host_itself() -> None:
    rooms = (
        Room("/", 1023, 97, 12),
        Room("/var/lib", 1024, 97, 12),
        Room("/var/lib/docker", 9000, 50, 95),
    )
    units = ("smarteros-firewall.service", "smarteros-unseal.service")
    assert list(host_health.machine_problems(found(rooms=rooms, units=units), ())) == [
        "disk: / is 97 % full, 1023 MB are free: " + ADVICE.format("/"),
        "disk: /var/lib/docker has room for no more files (95 % used): " + ADVICE.format("/var/lib/docker"),
        (
            "smarteros-firewall.service: has failed: see `journalctl -u smarteros-firewall.service`; "
            "`make deploy` sets it up again"
        ),
        "smarteros-unseal.service: is not active, so Vault would stay sealed after a boot: `make deploy` mends it",
    ]


def test_what_does_not_start_by_itself_is_wrong() -> None:
    off = {
        "docker.socket": "masked",
        "docker.service": "disabled",
        "smarteros-drift.timer": "stopped",
        "smarteros-backup-redis.timer": "stopped",  # backup: says it
        "smarteros-backup-postgres.timer": "disabled",
        "smarteros-notify.timer": "masked",
    }
    assert list(host_health.machine_problems(found(off=off), ())) == [
        "systemd: docker.socket is masked: `systemctl unmask docker.socket`, if it may run",
        "docker.service: is disabled, so that it does not start at boot: `make deploy` sets that right",
        "smarteros-drift.timer: is stopped, so that it does nothing: `make deploy` sets that right",
        "smarteros-backup-postgres.timer: is disabled, so that it does nothing: `make deploy` sets that right",
        "smarteros-notify.timer: is masked, so that it does nothing: `make deploy` sets that right",
    ]


def test_a_length_of_time_as_people_say_it() -> None:
    said = [ago(seconds) for seconds in (0, 119, 120, 7199, 7200, 172799, 172800)]
    assert said == ["0 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 days"]


def test_the_table_is_aligned_and_has_a_line_for_each_container() -> None:
    ends = Standing("restarting", exit_code=1, restarts=7, since=3, usage=Usage("botpress:1.0", 0, 2048))
    containers = {"vault": replace(WELL, usage=Usage("vault:2.0", 100, 512)), "botpress": ends}
    there = found(containers=containers)
    assert container_health.table(lines(there), there) == [
        "SERVICE   CONTAINER  STATE       SINCE  MEMORY      IMAGE         WHY",
        "vault     vault      healthy     2 h    100/512 MB  vault:2.0     -",
        "postgres  postgres   missing     -      -           -             does not exist",
        "botpress  botpress   restarting  3 s    -           botpress:1.0  ends again and again (exit code 1, 7 restarts)",
    ]


NOW = 1795413600  # 2026-11-23T06:00:00Z
CHECKS = [{"ExitCode": 0, "Output": "fine"}, {"ExitCode": 1, "Output": "wget: error\n 503 | x\n"}]
UP = {
    "Status": "running",
    "ExitCode": 0,
    "OOMKilled": False,
    "Error": "",
    "StartedAt": "2026-11-23T05:59:00.123456789Z",
    "FinishedAt": "0001-01-01T00:00:00Z",
}
HOST = [
    f"clock {NOW}",
    "disk /               71815464  41%   -",
    "disk /var/lib/docker     1024 100%  99%",
    "unit smarteros-images.service",
    "unit smarteros-unseal.service",
    "unit smarteros-unseal.service",
    "docker",
    f"container /botpress 0 {json.dumps({**UP, 'Health': {'Status': 'unhealthy', 'Log': CHECKS}})}",
    f"container /redis 3 {json.dumps({**UP, 'Status': 'exited', 'ExitCode': 137, 'OOMKilled': True, 'FinishedAt': '2026-11-23T05:50:00Z'})}",
    f"container /odoo 0 {json.dumps({**UP, 'Status': 'created', 'Error': 'no such image'})}",
    'vault {"type":"shamir","initialized":true,"sealed":true,"t":3,"n":5}',
]


def test_a_host_is_read() -> None:
    assert StatusFact().process(HOST) == Status(
        docker=True,
        containers={
            "botpress": Standing("running", "unhealthy", since=60, checked="wget: error 503 | x"),
            "redis": Standing("exited", exit_code=137, killed_for_memory=True, restarts=3, since=600),
            "odoo": Standing("created", error="no such image"),
        },
        vault={"sealed": True},
        rooms=(Room("/", 70132, 41, 0), Room("/var/lib/docker", 1, 100, 99)),
        units=("smarteros-images.service", "smarteros-unseal.service"),
        clock=1795413600,
    )


def test_a_host_without_docker_is_read() -> None:
    assert StatusFact().process(HOST[:2]) == Status(rooms=(Room("/", 70132, 41, 0),), clock=1795413600)
    assert StatusFact().process([*HOST[:2], "docker", "vault "]) == Status(
        docker=True, rooms=(Room("/", 70132, 41, 0),), clock=1795413600
    )


@pytest.mark.parametrize(
    "output",
    [
        [],
        ["clock soon"],
        [HOST[0], "disk /"],
        [HOST[0], "container /botpress"],
        [HOST[0], "container /botpress 0 {}"],
        [HOST[0], "container /botpress 0 []"],
        [HOST[0], f"container /botpress 0 {json.dumps({**UP, 'StartedAt': 'today'})}"],
    ],
)
def test_what_no_host_prints_is_refused(output: list[str]) -> None:
    with pytest.raises(FactProcessError, match=r"^cannot read how the host is: "):
        StatusFact().process(output)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from([*UP, "Health", "Log"]), inner)
    ),
    max_leaves=8,
).map(json.dumps)


@given(st.sampled_from(["container /botpress 0 ", "vault ", "disk ", "unit "]), _JSON | st.text(max_size=20))
def test_whatever_a_host_prints_is_read_or_refused(key: str, value: str) -> None:
    with suppress(FactProcessError):
        assert isinstance(StatusFact().process([HOST[0], key + value]), Status)


def test_the_facts_command_is_valid_and_works_without_docker() -> None:
    command = StatusFact().command()
    subprocess.run(["sh", "-n", "-c", command], check=True)
    absent = command.replace("command -v docker", "command -v no-docker-here")
    done = subprocess.run(["sh", "-c", absent], capture_output=True, text=True, check=True)
    state = StatusFact().process(done.stdout.splitlines())
    assert not state.docker
    assert {room.path for room in state.rooms} >= {"/"}


def said(monkeypatch: pytest.MonkeyPatch, output: list[str], **settings: Any) -> tuple[list[str], list[str]]:
    """The table and the failure of one run."""
    shown: list[str] = []
    failed: list[str] = []
    with fake({'echo "clock': output}, **{**FEW, **settings}) as host:
        monkeypatch.setattr("tasks.commands.status.logger.info", shown.append)
        monkeypatch.setattr(host, "log_styled", lambda text, **_: failed.append(text))
        for failure in commands(status.well):
            assert failure.function(host.state, host) is False
    return [line for line in shown if "Connected" not in line], failed


HEALTHY = [
    f"container /{name} 0 {json.dumps({**UP, 'Health': {'Status': 'healthy'}})}" for name in FEW["services"]
]
QUIET = [HOST[0], HOST[1], "docker", *HEALTHY, 'vault {"sealed":false}']


def test_a_run_on_a_host_that_is_well_ends_with_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    shown, failed = said(monkeypatch, QUIET)
    assert shown == [
        "SERVICE   CONTAINER  STATE    SINCE  MEMORY  IMAGE  WHY",
        "vault     vault      healthy  60 s   -       -      -",
        "postgres  postgres   healthy  60 s   -       -      -",
        "botpress  botpress   healthy  60 s   -       -      -",
        "generation: none",
        "last run: none is noted",
        "memory: unknown",
        "disk: / 41 % used, 68 GB free",
        "certificates: no domain is served",
        "drift: not looked for yet; the host does so daily, and at once by systemctl start smarteros-drift there",
        "images: not asked about yet; the host does so weekly, and at once by systemctl start smarteros-outdated there",
        "reboot: not due",
        "proven restore: no backup",
        backup.NOTHING,
    ]
    assert failed == []


def test_a_run_on_any_other_fails_with_all_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    shown, failed = said(monkeypatch, [*QUIET[:4], HOST[2], QUIET[5], 'vault {"sealed":true}'])
    assert len(shown) == 14
    assert failed == [
        (
            "is not well:\n"
            "    vault: is sealed: nobody reads a secret: `make deploy` unseals it; "
            "`journalctl -u smarteros-unseal` says why the host did not\n"
            "    postgres: does not exist: `make deploy` makes it\n"
            "    disk: /var/lib/docker is 100 % full, 1 MB are free: `docker system df` and "
            "`du -xh --max-depth 2 /var/lib/docker` say what takes it"
        )
    ]


FULL = "OCI runtime exec failed: open /tmp/runc-process1: no space left on device"


def test_a_docker_exec_that_starts_nothing_is_said_beside_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    shown, failed = said(monkeypatch, [*QUIET[:-1], FULL, f"vault {FULL}\r"])
    assert shown[:3] == [
        "SERVICE   CONTAINER  STATE    SINCE  MEMORY  IMAGE  WHY",
        "vault     vault      unasked  60 s   -       -      cannot be asked whether it is sealed",
        "postgres  postgres   healthy  60 s   -       -      -",
    ]
    assert failed == [
        (
            "is not well:\n"
            "    vault: cannot be asked whether it is sealed: docker exec starts nothing there, as is said below\n"
            "    docker exec: cannot start a program in a container, so that what only they know is not known: "
            "open /tmp/runc-process1: no space left on device: `df -h /tmp /run` and `df -i /tmp /run` there say "
            "whether there is room for that"
        )
    ]


@pytest.mark.parametrize("answer", ["", "[]", "{}", "null", "wget: bad address", "[" * 100000])
def test_what_is_no_answer_of_vaults_is_none(answer: str) -> None:
    assert StatusFact().process([HOST[0], f"vault {answer}"]).vault is None


WIRED = [
    "n|smarter-net|bridge|false|10.207.0.0/24 ||br-0123456789ab|yes|",
    "n|tenants-net|bridge|false|10.207.1.0/24 ||br-ba9876543210|yes|",
    *(f"r|{kind} br-{name}" for kind in ("nat", "forward") for name in ("0123456789ab", "ba9876543210")),
    "r|",
]
IDLE = ("r|idle DOCKER (iptables -t nat)", "r|idle DOCKER-USER (ip6tables -t filter)")
ANEW = "are gone (a flush?): `make deploy` has Docker write them anew, which restarts it"


@pytest.mark.parametrize(
    ("lines", "wrong"),
    [
        (WIRED, []),
        (WIRED[:2], []),
        ([*WIRED[:2], "r|"], [f"firewall: Docker's rules for smarter-net, tenants-net {ANEW}"]),
        ([*WIRED[:5], *IDLE], [f"firewall: Docker's rules for tenants-net {ANEW}"]),
        (
            [*WIRED, *IDLE],
            [
                (
                    "firewall: Docker's rules that lead to DOCKER (iptables -t nat), DOCKER-USER (ip6tables -t filter) "
                    + ANEW
                )
            ],
        ),
        (
            [*WIRED, "firewall gone"],
            [
                (
                    "firewall: our table is gone, so that the world may reach what listens on the host: `make deploy` "
                    "loads it"
                )
            ],
        ),
        (
            [*WIRED, "firewall changed"],
            [
                (
                    "firewall: our table was changed (`nft list table inet smarter_fw` shows it), so that the world may "
                    "reach what listens on the host: `make deploy` loads it"
                )
            ],
        ),
    ],
)
def test_what_a_flush_has_taken_is_wrong(lines: list[str], wrong: list[str]) -> None:
    found = StatusFact().process([*QUIET, *lines])
    assert list(host_health.firewall_problems(found, ("smarter-net", "tenants-net"))) == wrong


def test_a_volume_that_is_gone_is_said_in_place_of_a_deploy_that_would_be_refused() -> None:
    """From the host's own lines to what is said of each container."""
    here = StatusFact().process(
        ["clock 9", "docker", "volume postgres_data", "g|postgres_data", "g|botpress_data", "g|theirs"]
    )
    with fake({}, **FEW) as host:
        made = {line.container: (line.state, line.todo) for line in report.made(here).lines}
        (whole,) = lost.of(here).values()
        name = host.name
    later = ("missing", "a deploy makes it, once the volumes are there that are said to be gone")
    assert (made["postgres"], made["vault"]) == (later, later)
    assert made["botpress"] == ("missing", whole)
    assert whole == (
        f"botpress_data: there after the last deploy of {name}, and gone with what it held: bring it back from a copy of yours, "
        "or begin with an empty one (docker volume create --label smarteros.service=botpress botpress_data)"
    )


def test_a_run_on_a_host_without_docker_says_only_that(monkeypatch: pytest.MonkeyPatch) -> None:
    assert said(monkeypatch, HOST[:2]) == (
        [],
        [
            (
                "Docker does not answer: `systemctl status docker` on the host says why; `make deploy` "
                "installs and starts it, and `systemctl restart docker` one that runs and hangs"
            )
        ],
    )


def test_a_docker_that_is_masked_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    assert said(monkeypatch, [*HOST[:2], "off docker.service masked"])[1] == [
        (
            "Docker does not answer: systemd: docker.service is masked: `systemctl unmask docker.service`, if it may run, and "
            "then `make deploy`"
        )
    ]


def test_a_plan_asks_nobody() -> None:
    with fake({}, executing=False):
        assert commands(status.well) == []


def test_a_container_of_somebody_elses_that_answers_to_a_name_of_ours_is_wrong() -> None:
    assert OTHER_FORMAT in StatusFact().command()
    shared = {"networks": ["smarter-net", None], "aliases": [["smarter-net", "postgres"], None]}
    named = [other("shop", **shared), other("botpress"), other("alone")]
    found = StatusFact().process([*QUIET, *named])
    about = "is not ours (shop:1, since 2024-03-01, running)"
    for settings, more in (
        (
            {},
            [
                (
                    f"container botpress: {about}: rename it (docker rename botpress old-botpress), or set "
                    'adopt = ["container:botpress"]: it is stopped just before ours starts, and kept as botpress-before-smarteros'
                )
            ],
        ),
        ({"adopt": ["container:botpress"]}, []),
    ):
        with fake({}, **{**FEW, **settings}):
            assert list(report.made(found).problems) == [
                (
                    f"container shop: {about}, and cannot be adopted: it answers to postgres on smarter-net, where ours is "
                    "looked for, and would get a part of what is meant for that: take it out of there (docker network "
                    "disconnect smarter-net shop), or start it again under another alias, hostname or Compose service"
                ),
                *more,
            ]
