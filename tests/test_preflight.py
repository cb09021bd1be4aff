"""Preflight: the exact line for every reason against a host, and none against one that is fine."""

from dataclasses import replace
from typing import Any

import pytest

from tasks import lock, preflight, run
from tasks.facts import Machine, MachineFact
from tasks.facts.listeners import Listener
from tasks.model import acts, mail, sizing
from tasks.operations import apt, daemon, questions
from tasks.run import Refused, known, services
from tasks.services import load
from tests.facts.test_facts import MACHINE
from tests.fake import commands, fake, texts
from tests.samples import HELPDESK, stack

GOOD = Machine(
    system="debian",
    release="13",
    architecture="x86_64",
    init="systemd",
    user="root",
    memory_mb=7929,
    cpus=4,
    disk_free_mb=70132,
)
SERVICES = load(stack())
NEED = sizing.demand(SERVICES).memory_mb
DISK = round(sizing.demand(SERVICES).disk_gb * 1024)
WITHOUT_LARGEST = "vault, postgres, redis, chatwoot, botpress, n8n, odoo, mcp-registry, dokploy, vault-auth-validator, caddy"
LARGER = ": choose fewer services, a smaller profile, or take a larger host"


def problems(**changes: Any) -> list[str]:
    return list(preflight.problems(replace(GOOD, **changes), SERVICES))


@pytest.mark.parametrize(
    ("system", "release"),
    [("debian", "13"), ("ubuntu", "22.04"), ("ubuntu", "24.04"), ("ubuntu", "26.04")],
)
def test_a_bare_host_of_a_supported_system_is_fine(system: str, release: str) -> None:
    assert problems(system=system, release=release) == []


SYSTEMS = "use one of: debian 12, 13; ubuntu 22.04, 24.04, 26.04"
REASONS: list[tuple[dict[str, Any], list[str]]] = [
    ({"system": "fedora", "release": "43"}, [f"system: fedora 43 is not supported; {SYSTEMS}"]),
    ({"release": "11"}, [f"system: debian 11 is not supported; {SYSTEMS}"]),
    ({"architecture": "armv7l"}, ["system: armv7l is not supported; use x86_64 or aarch64"]),
    ({"init": "sh"}, ["system: process 1 is sh; a host booted by systemd is needed"]),
    ({"user": "admin"}, ["login: commands run as admin; log in as root, or set _sudo = True for the host"]),
    (
        {"memory_mb": NEED - 1},
        [
            f"memory: {NEED - 1} MB, and the chosen services need {NEED} MB{LARGER}; these would fit: {WITHOUT_LARGEST}"
        ],
    ),
    ({"memory_mb": NEED}, []),
    (
        {"cpus": 1},
        [
            (
                "cpus: 1, and the largest container needs 2 (postgres, odoo; lowered by overrides.postgres.cpus, "
                f"overrides.odoo.cpus){LARGER}"
            )
        ],
    ),
    (
        {"disk_free_mb": DISK - 1},
        [f"disk: {DISK - 1} MB free below /var/lib, and {DISK} MB are needed{LARGER}"],
    ),
    ({"disk_free_mb": 2048, "deployed": True}, []),
    (
        {"disk_free_mb": 2047, "deployed": True},
        [f"disk: 2047 MB free below /var/lib, and 2048 MB are needed{LARGER}"],
    ),
    ({"skew": 60}, ["clock: 60 s ahead: set it (timedatectl set-ntp true)"]),
    ({"skew": -100}, ["clock: 100 s behind: set it (timedatectl set-ntp true)"]),
    ({"skew": -30}, []),
    (
        {"listeners": (Listener("tcp", "0.0.0.0", 80, "nginx", 911, "nginx.service"),)},
        [
            "port 80: taken by the process nginx (911, nginx.service): stop it (systemctl disable --now nginx.service)"
        ],
    ),
]


@pytest.mark.parametrize(("changes", "lines"), REASONS)
def test_each_reason_is_one_line(changes: dict[str, Any], lines: list[str]) -> None:
    assert problems(**changes) == lines


def test_the_needs_are_the_chosen_services() -> None:
    few = list(preflight.problems(replace(GOOD, memory_mb=500), (HELPDESK,)))
    assert few == [f"memory: 500 MB, and the chosen services need {1024 + 2 * 128 + 1024 + 400} MB{LARGER}"]


def now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1795413600.0)


def test_all_reasons_come_at_once_and_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    now(monkeypatch)
    lines = [line.replace("debian", "fedora").replace("init systemd", "init sh") for line in MACHINE[:9]]
    with fake({"/etc/os-release": lines}), pytest.raises(Refused, match="cannot take") as refused:
        list(preflight.checked._inner.__wrapped__())  # type: ignore[attr-defined]
    assert str(refused.value) == (
        "@fake/one cannot take this deployment:\n"
        f"    system: fedora 13 is not supported; {SYSTEMS}\n"
        "    system: process 1 is sh; a host booted by systemd is needed"
    )


def test_a_refused_host_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    now(monkeypatch)
    with fake({"/etc/os-release": [line.replace("debian", "fedora") for line in MACHINE[:9]]}) as host:
        (command,) = commands(preflight.checked)
        assert command.function(host.state, host) is False


def test_an_interrupted_dpkg_is_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    now(monkeypatch)
    with fake({"/etc/os-release": MACHINE[:9]}):
        assert texts(preflight.checked) == []
    with fake({"/etc/os-release": [*MACHINE[:9], "broken libc6"]}):
        assert texts(preflight.checked) == [apt.MEND]
        assert next(preflight.warnings(known(MachineFact))) == (
            "apt: libc6: not configured, or installed by halves: finished first (dpkg --audit), and a run stops where that fails"
        )
    unmet = {"cat /etc/apt/preferences": ["unmet shop : Depends: tree but it is not installed", "mended yes"]}
    with fake({"/etc/os-release": MACHINE[:9], **unmet}):
        assert texts(preflight.checked) == [apt.MEND]


def test_a_docker_of_ours_that_is_stopped_is_started_before_anything_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now(monkeypatch)
    stopped = [*MACHINE[:9], "deployed yes", "enabled yes", "compose 2.26.1-4", "engine "]
    with fake({"/etc/os-release": stopped}):
        assert texts(preflight.checked)[:1] == [daemon.restarted("systemctl start docker.service")]


def test_a_docker_or_an_sshd_that_is_masked_is_refused_before_anything_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now(monkeypatch)
    masked = [
        *MACHINE[:9],
        "off docker.service masked",
        "off ssh.service masked",
        "off docker.socket disabled",
    ]
    said = "systemd: docker.service, ssh.service are masked: `systemctl unmask docker.service ssh.service`, if they may run"
    with fake({"/etc/os-release": masked}):
        assert said in preflight.refusals(known(MachineFact))
    deployed = [*masked, "deployed yes", "enabled yes", "compose 2.26.1-4", "engine "]
    with fake({"/etc/os-release": deployed}) as host:
        [refused] = commands(preflight.checked)
        failed: list[str] = []
        monkeypatch.setattr(host, "log_styled", lambda text, **_: failed.append(text))
        assert refused.function(host.state, host) is False
        assert failed == [said]


def test_what_an_update_leaves_to_a_person_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now(monkeypatch)
    told: list[str] = []
    monkeypatch.setattr(lock, "told", lambda _, text: told.append(text))
    deployed = [*MACHINE[:9], "deployed yes"]
    with fake({"/etc/os-release": [*deployed, "acts 0"]}):
        [line] = preflight.refusals(known(MachineFact))
        assert line.startswith("acknowledged: an earlier version of this package made the host")
        assert len(commands(preflight.checked)) == 1
        assert told == []
    for noted, said in ((acts.newest(), 0), (0, acts.newest())):
        with fake({"/etc/os-release": [*deployed, f"acts {noted}"]}, acknowledged=said):
            assert commands(preflight.checked) == []
    assert told == [f"acts {acts.newest()}"] * 2


def test_nothing_is_made_where_a_restore_was_cut_short_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    now(monkeypatch)
    cut = ["cut n8n undo", "cut odoo to 2026-11-26 19:59:49+00"]
    with fake({"/etc/os-release": [*MACHINE[:9], "deployed yes", *cut]}):
        undone, restored = preflight.refusals(known(MachineFact))
    assert undone.endswith("`make restore-undo SERVICE=n8n` ends it")
    assert "`make restore SERVICE=odoo TO='2026-11-26 19:59:49+00'` ends it" in restored


def test_what_the_run_goes_on_with_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    now(monkeypatch)
    new = [line for line in MACHINE[:9] if not line.startswith("deployed")]
    answers = {
        "/etc/os-release": [*new, "apt apt-get (911)"],
        "perl -MSocket": [
            "own 10.0.0.7",
            "name api.smarterbot.cl 10.0.0.7",
            "name api.smarterbot.store 10.0.0.9",
        ],
    }
    said: list[str] = []
    with fake(answers, services=["vault", "vault-auth-validator", "caddy"]) as host:
        monkeypatch.setattr(host, "log_styled", lambda text, **_: said.append(text))
        assert texts(preflight.checked) == []
    assert said == [
        "apt is at work, apt-get (911): what has to be installed waits up to ten minutes for it",
        (
            "api.smarterbot.store leads to 10.0.0.9, not to @fake/one: it gets its certificate once its DNS record "
            "is right"
        ),
    ]
    with fake({**answers, "/etc/os-release": [*new, "deployed yes"]}) as host:
        monkeypatch.setattr(host, "log_styled", lambda text, **_: said.append(text))
        assert texts(preflight.checked) == []
    assert len(said) == 2


def test_a_first_deploy_says_once_who_sends_no_mail() -> None:
    with fake({}):
        assert list(mail.unsent(services(), run.stack())) == [
            "mail: not set, so Chatwoot CRM, n8n Workflows, Odoo ERP, Metabase KPI send no invitation and no password reset (README, Mail)"
        ]
    with fake({}, services=["vault", "postgres", "caddy"]):
        assert list(mail.unsent(services(), run.stack())) == []
    with fake({}, mail={"host": "smtp.example.com", "from": "ops@example.com"}):
        assert list(mail.unsent(services(), run.stack())) == []


def test_files_are_rendered_while_the_host_looks_at_what_needs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    for name in ("read_ahead", "read_as_one"):
        monkeypatch.setattr(
            questions, name, lambda *wanted: asked.append([key[0].__name__ for key in wanted])
        )
    monkeypatch.setattr(questions, "links", lambda: asked.append(["rendered"]) or {})  # type: ignore[func-returns-value]
    with fake({}):
        questions.leave()
    assert asked == [
        ["MachineFact", "DockerFact", "PostgresFact", "LoadedCaddyfileFact"],
        ["LinksFact", "CourseFact", "RedisFact"],
        ["rendered"],
        ["TreeFact", "TreeFact"],
    ]
