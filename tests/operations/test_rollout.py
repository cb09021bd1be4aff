"""Rollout: what is replaced, and the shell that replaces it and goes back, with a docker that notes its calls."""

import os
import re
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote

import pytest

from tasks.facts import ContainerState
from tasks.model.catalogue import Database, Health, Route, Secret, Service
from tasks.operations import door, rollout, rollout_shell, rotated
from tasks.operations.rollout import Replaced, replaced, start_script
from tests.samples import HELPDESK, container

WEB = container("web")
SITE = Service("site", "Site", (WEB, container("worker")), routes=(Route("www", "web", 80),))
RUNNING = ContainerState(
    "web", "site", "d1", "", "running", "healthy", 0, "example/web:1.0", ("smarter-net",)
)
BOTH = (RUNNING, replace(RUNNING, name="worker", digest="d2"))
PROXY = replace(RUNNING, name="caddy-proxy", service="caddy")
SAME, OTHER = {"web": "d1", "worker": "d2"}, {"web": "d1", "worker": "d9"}


# What is replaced


def of(
    *states: ContainerState, digests: dict[str, str] = OTHER, service: Service = SITE, secrets: str = ""
) -> Replaced:
    found = {item.name: item for item in (*states, PROXY)}
    return replaced(service, found, digests, secrets, "caddy-proxy")


def test_a_first_deploy_replaces_nothing() -> None:
    found = of()
    assert (found.hidden, found.labels, found.running, found.holds) == ((), (), (), "")


def test_what_is_well_and_described_otherwise_has_a_way_back() -> None:
    assert of(*BOTH) == Replaced(("web",), ("d1", "d2"), "", ("web", "worker"), "caddy-proxy")


@pytest.mark.parametrize(
    ("states", "digests"),
    [
        (BOTH, SAME),
        ((replace(RUNNING, health="unhealthy"), BOTH[1]), OTHER),
        ((replace(RUNNING, status="exited"), BOTH[1]), OTHER),
    ],
    ids=["the same description", "unhealthy", "stopped"],
)
def test_else_there_is_none(states: tuple[ContainerState, ...], digests: dict[str, str]) -> None:
    assert of(*states, digests=digests).labels == ()


# Its worker is told no secrets.
KEPT = replace(
    SITE,
    containers=(replace(WEB, env_file=True), SITE.containers[1]),
    secrets=(Secret("KEY"), Secret("SEED", lasting="all"), Secret("PASSWORD"), Secret("MAIL", "given", of="mail#PASSWORD")),
    databases=(Database("site", secret="PASSWORD"),),
    composed={"URL": "postgres://site:{PASSWORD}@postgres/site", "SIGNS": "{KEY}"},
)  # fmt: skip
HAD = (replace(RUNNING, secrets_digest="s1"), BOTH[1])


def test_what_is_well_and_had_other_secrets_has_a_way_back() -> None:
    found = of(*HAD, digests=SAME, service=KEPT, secrets="s2")
    assert (found.labels, found.secrets) == (("d1", "d2"), "s1")
    assert of(*HAD, digests=SAME, service=KEPT, secrets="s1").labels == ()


def test_a_container_that_a_killed_run_left_hidden_is_hidden_again() -> None:
    assert of(replace(RUNNING, name="web-next")).hidden == ("web",)


def test_nothing_is_held_without_the_proxy_and_not_for_the_proxy_itself() -> None:
    assert replaced(SITE, {"web": RUNNING}, OTHER, "", "caddy-proxy").holds == ""
    proxy = replace(SITE, name="caddy", phase="proxy")
    found = replaced(proxy, {"caddy-proxy": PROXY}, {}, "", "caddy-proxy")
    assert found.holds == ""


def test_only_what_keeps_visitors_waiting_is_measured() -> None:
    """A job, or a worker that nobody reaches, takes another time than what the next plan tells visitors."""
    old = of(*BOTH)
    assert "/var/lib/smarteros/replaced" in start_script(SITE, "web-1", old=old)
    assert "/var/lib/smarteros/replaced" not in start_script(SITE, "web-1", old=replace(old, measured=False))


def test_nobody_new_comes_in_while_the_proxy_is_replaced() -> None:
    proxy = replace(SITE, name="caddy", phase="proxy")
    lines = start_script(proxy, "web-1", old=replaced(proxy, {"caddy-proxy": PROXY}, {}, "", "caddy-proxy"))
    shut = door.shut(proxy.main.stop_seconds + proxy.main.health.seconds)
    assert lines.index(shut) < lines.index("\nbring_up /root")
    assert f"{door.OPEN}' EXIT" in lines
    for first in (
        start_script(proxy, "web-1", old=replaced(proxy, {}, {}, "", "caddy-proxy")),
        start_script(SITE, "web-1", old=of(*BOTH)),
    ):
        assert "nft" not in first


# The shell

SITE_FILE = "compose -f home/dkcompose/site-deploy.yaml --project-name site --env-file /dev/null"

# States are those of the compose file that came up last: STATE for the new one, BACK for an old one.
DOCKER = r"""#!/bin/sh
# Compose gets no environment.
. "${0%/*}/environment"
cd "$BOX"
echo "$*" >>calls
for last; do :; done
case "$*" in
"image inspect "* | "volume inspect "*) ;;
"exec caddy-proxy touch "*) shift 2; echo "$*" >>held ;;
"exec --detach caddy-proxy sh -c "*) echo "led on $last" >>held ;;
"exec -i -e PGAPPNAME=smarteros -e PGOPTIONS="*)
    said=$(cat; echo .)
    case $said in
    BEGIN*) printf '%s' "${said%.}" >>tried; exit ${LOCKED:-0} ;;
    esac
    [ -z "$AWAITED" ] || for _ in $(seq 100); do [ -e "$AWAITED" ] && break; sleep 0.05; done
    [ -z "$AWAITED" ] || [ -e "$AWAITED" ] || exit 9
    printf '%s' "${said%.}" >>told; exit ${PSQL:-0} ;;
"compose -f "*" --profile job up "*) ;;
"compose -f "*" up "*) echo "$3" >file; [ "$3" != home/dkcompose/site-deploy.yaml ] || exit ${COMPOSE:-0} ;;
"compose -f "*" start" | "start web-next") ;;
"inspect --type container --format {{.Config.User}} web") echo "$USER_OF" ;;
"cp web:/etc/passwd -") tar -c passwd ;;
"inspect --type container --format {{range .Mounts}}"*" web") echo "site_data $BOX/volume" ;;
"inspect --type container --format {{.State.OOMKilled}} {{.Id}} "*) echo "${KILLED:-false} 12ab" ;;
"inspect --type container --format {{.State.Status}} web") echo created ;;
"inspect --type container --format {{.State.Status}}/"*)
    case $last in *-next) [ -e hidden ] || exit 1 ;; esac
    ! grep -qsx "$last" missing || exit 1
    case $(cat file 2>/dev/null) in *generations*) echo "$BACK" ;; *) echo "$STATE$(restarts)" ;; esac ;;
"logs --tail 50 "*) echo "log of $last" >&2 ;;
"ps -a --filter label=smarteros.service=site "*) cat others 2>/dev/null ;;
"ps -a --filter "*) ;;
"stop "* | "rm "[0-9]*) ;;
"rename web web-next") touch hidden ;;
"rename "[0-9]*) sed -i "/^$last\$/d" missing ;;
"rename web-next web") rm hidden ;;
"rm --force web-next") rm -f hidden ;;
"network disconnect smarter-net web-next" | "network connect smarter-net web-next") ;;
"info --format {{.Swarm.LocalNodeState}}") echo "${SWARM:-inactive}" ;;
*) echo "unexpected: $*" >&2; exit 99 ;;
esac
"""
# How often a container has started again: once more each time somebody looks.
RESTARTS = '#!/bin/sh\n[ -z "$LOOPS" ] || { echo >>"$BOX/looks"; wc -l <"$BOX/looks"; }\n'

WELL, STARTING = "running/healthy/0/0", "running/starting/0/0"
GOOD = 'services:\n    labels:\n      smarteros.digest: "d1"\n      smarteros.digest: d2\n'


@dataclass(frozen=True)
class Box:
    """A host in a folder."""

    root: Path

    def run(self, script: str, state: str = WELL, given: str = "", **environ: str) -> tuple[int, list[str]]:
        """Exit code and the lines that are said. given: its standard input."""
        env = {
            "PATH": f"{self.root}:{os.environ['PATH']}",
            "BOX": str(self.root),
            "STATE": state,
            "BACK": WELL,
            "LOOPS": "",
            "USER_OF": "",
            "AWAITED": "",
            **environ,
        }
        exports = [f"export {name}={quote(value)}\n" for name, value in env.items() if name != "PATH"]
        (self.root / "environment").write_text("".join(exports))
        done = subprocess.run(
            [
                "sh",
                "-c",
                script.replace("/sys/fs/cgroup", "cgroup")
                .replace("/opt/smarteros", "opt")
                .replace("/vault/secrets", "vault")
                .replace("/var/lib/smarteros/replaced", "replaced")
                .replace("/root/", "home/"),
            ],
            env={"COMPOSE_PROJECT_NAME": "shop", **env},
            input=given,
            cwd=self.root,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        return done.returncode, (done.stdout + done.stderr).splitlines()

    def lines(self, name: str) -> list[str]:
        """Of a file here, none where there is none."""
        path = self.root / name
        return path.read_text().splitlines() if path.exists() else []

    def called(self, *words: str) -> list[str]:
        """The calls of docker that begin with one of the words."""
        return [line for line in self.lines("calls") if line.split()[0] in words]


@pytest.fixture
def box(tmp_path: Path) -> Box:
    """Three generations: one that worked, a newer one of other settings, and the bad one, which is active."""
    for name, text in (("docker", DOCKER), ("restarts", RESTARTS)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    for age, name in enumerate(("bad", "newer", "good")):
        folder = tmp_path / "opt/generations" / name / "dkcompose"
        folder.mkdir(parents=True)
        (folder / "site-deploy.yaml").write_text("services: {}\n" if name == "bad" else GOOD)
        os.utime(folder.parent, (10**9 - age, 10**9 - age))
    (tmp_path / "opt/current").symlink_to("generations/bad")
    (tmp_path / "opt/generations/.previous").symlink_to("good")
    return Box(tmp_path)


def script(service: Service = SITE, old: Replaced | None = None, *, seconds: int = 0) -> str:
    hasty = [replace(item, health=Health(("true",), seconds)) for item in service.containers]
    return start_script(
        replace(service, containers=tuple(hasty)),
        "host-1",
        [(item, "told postgres -c done") for item in hasty if item.job],
        old=old,
    )


def gate(name: str, what: str) -> list[str]:
    return [f"site: container {name} on host-1 {what}; its last 50 log lines:"]


def test_a_first_deploy_is_one_compose_up(box: Box) -> None:
    assert box.run(script()) == (0, [])
    assert box.called("compose", "rename", "exec") == [f"{SITE_FILE} up -d --no-build --quiet-pull"]


def test_what_an_earlier_description_had_goes_and_nothing_else_of_the_project(box: Box) -> None:
    """Docker is asked for our label, so that it names nothing of the operator's."""
    (box.root / "home/dkcompose").mkdir(parents=True)
    (box.root / "home/dkcompose/site-deploy.yaml").write_text(
        "services:\n  web:\n    container_name: web\n  worker:\n    container_name: worker\n"
    )
    (box.root / "others").write_text("0a web web\n1b cron-old cron\n2c worker-next worker\n")
    assert box.run(script()) == (0, [])
    assert box.called("stop", "rm", "rename") == ["stop 1b", "rm 1b"]
    assert [call for call in box.called("ps") if "smarteros.service=site" not in call] == []


def test_what_somebody_has_renamed_gets_its_name_back(box: Box) -> None:
    """Compose takes it for its own as it is, and would make no other."""
    (box.root / "home/dkcompose").mkdir(parents=True)
    (box.root / "home/dkcompose/site-deploy.yaml").write_text(
        "services:\n  web:\n    container_name: web\n  worker:\n    container_name: worker\n"
    )
    (box.root / "others").write_text("0a web-old web\n1b mine worker\n")
    (box.root / "missing").write_text("web\n")
    assert box.run(script()) == (0, [])
    # Of the second another has the name.
    assert box.called("stop", "rm", "rename") == ["rename 0a web"]


def test_without_its_file_nothing_is_taken_for_what_an_earlier_description_had(box: Box) -> None:
    (box.root / "others").write_text("0a web web\n1b cron cron\n")
    assert box.run(script()) == (0, [])
    assert box.called("ps", "stop", "rm") == []


def test_compose_gets_no_environment_but_its_own(box: Box) -> None:
    (box.root / "docker").write_text(
        '#!/bin/sh\n[ "$1" != compose ] || env >"${0%/*}/seen"\n[ "$1" != inspect ] || echo running/healthy/0/0\n'
    )
    assert (
        box.run(script(), DOCKER_CONTEXT="other", COMPOSE_PROFILES="job", HTTP_PROXY="http://proxy")[0] == 0
    )
    seen = dict(line.split("=", 1) for line in box.lines("seen"))
    assert {
        name: seen[name] for name in sorted(seen) if name not in ("PATH", "PWD", "OLDPWD", "_", "SHLVL")
    } == {
        "COMPOSE_IGNORE_ORPHANS": "1",
        "DOCKER_CONFIG": "/run/smarteros/no-docker-config",
        "DOCKER_HOST": "unix:///var/run/docker.sock",
        "HOME": "/root",
    }


def test_the_gate_names_service_host_and_last_log_lines(box: Box) -> None:
    said = [*gate("web", "is not healthy after 0 s (running/starting/0)"), "log of web"]
    assert box.run(script(), STARTING) == (1, said)


@pytest.mark.parametrize(
    ("user", "mode", "runs_as"),
    [
        ("node", 0o755, "4711"),
        ("node:node", 0o755, "4711"),
        ("4711:4712", 0o755, "4711"),
        ("4711", 0o700, "4711"),
        ("", 0o755, ""),
        ("root", 0o755, ""),
        ("0:0", 0o755, ""),
        ("node", 0o777, ""),
        ("unheard-of", 0o755, ""),
        (f"4711:{os.getgid()}", 0o770, ""),
        (f"4711:{os.getgid()}", 0o750, "4711"),
        (f"{os.getuid()}:4712", 0o755, ""),
    ],
)
def test_whose_volume_it_may_not_write_to_is_said_with_what_gives_it_back(
    box: Box, user: str, mode: int, runs_as: str
) -> None:
    volume = box.root / "volume"
    volume.mkdir()
    volume.chmod(mode)
    (box.root / "passwd").write_text("root:x:0:0::/root:/bin/sh\nnode:x:4711:4712::/home/node:/bin/sh\n")
    _, said = box.run(script(), STARTING, USER_OF=user)
    is_of = f"site: its volume site_data belongs to the user {os.getuid()}, and it runs as {runs_as}: chown -R {runs_as} {volume} gives it back"
    assert said[2:] == ([is_of] if runs_as else [])


PSI = "some avg10=0.00 avg60=40.00 avg300=9.00 total=1\nfull avg10=0.00 avg60={}.50 avg300=0.00 total=1\n"


@pytest.mark.parametrize(
    ("killed", "events", "pressure", "hit"),
    [
        ("false", "max 900\noom 0\noom_kill 0\n", PSI.format(9), False),
        ("false", "", "", False),
        ("true", "", "", True),
        ("false", "max 900\noom 1\noom_kill 1\n", PSI.format(0), True),
        ("false", "max 900\noom 0\noom_kill 0\n", PSI.format(38), True),
    ],
)
def test_who_has_run_out_of_memory_is_told_the_setting(
    box: Box, killed: str, events: str, pressure: str, hit: bool
) -> None:
    if events:
        group = box.root / "cgroup/system.slice/docker-12ab.scope"
        group.mkdir(parents=True)
        (group / "memory.events").write_text(events)
        (group / "memory.pressure").write_text(pressure)
    _, said = box.run(script(), STARTING, KILLED=killed)
    memory = SITE.main.size.memory_mb
    assert said[2:] == (
        [f"site: it has come to the end of its {memory} MB of memory: raise overrides.site.memory_mb"]
        if hit
        else []
    )


def test_who_ends_again_and_again_is_not_waited_for(box: Box) -> None:
    code, said = box.run(script(seconds=60), "restarting//1/", LOOPS="yes")
    # Not that it had all of its time.
    why = re.sub(r" \d s", " N s", said[0])
    assert (code, why) == (1, gate("web", "has ended and been restarted 5 times in N s (restarting//1)")[0])
    assert len(box.lines("looks")) == rollout_shell._RESTARTS + 1


def test_who_cannot_come_back_is_not_said_to_have_had_its_time(box: Box) -> None:
    code, said = box.run(script(seconds=60), "dead//137/0")
    assert (code, re.sub(r" \d s", " N s", said[0])) == (
        1,
        gate("web", "is not healthy after N s (dead//137)")[0],
    )


def test_one_that_has_restarted_before_and_comes_up_is_waited_for(box: Box) -> None:
    assert box.run(script(), "running/healthy/0/7") == (0, [])


def test_a_compose_that_fails_fails_the_start(box: Box) -> None:
    assert box.run(script(), COMPOSE="17") == (17, [])


def test_a_failed_job_shows_its_log_and_nothing_is_brought_up(box: Box) -> None:
    line = (
        "helpdesk: container helpdesk-prepare on host-1 has not succeeded (exited//1); its last 50 log lines:"
    )
    assert box.run(script(HELPDESK), "exited//1/0") == (1, [line, "log of helpdesk-prepare"])
    assert len(box.called("compose")) == 1


def test_who_replaces_a_container_has_no_name_before_it_is_healthy_and_visitors_wait(box: Box) -> None:
    assert box.run(script(old=of(*BOTH))) == (0, [])
    calls = box.called("exec", "compose", "rename", "network", "start")
    assert [call.split()[0] + " " + call.split()[-1] for call in calls] == [
        "exec /tmp/replaced-web",
        "compose --quiet-pull",
        "rename web-next",
        "network web-next",
        "network web-next",
        "start web-next",
        "compose start",
        "rename web",
        "exec /tmp/replaced-web",
    ]
    looked = next(number for number, line in enumerate(box.lines("calls")) if "RestartCount" in line)
    assert looked < box.lines("calls").index("rename web-next web")
    assert box.lines("held") == ["touch /tmp/replaced-web", "led on /tmp/replaced-web"]


def test_where_docker_takes_no_name_to_a_bridge_it_keeps_its_own(box: Box) -> None:
    """In a swarm that somebody has made of the host (moby 26.1)."""
    assert box.run(script(old=of(*BOTH)), SWARM="active") == (0, [])
    assert box.called("rename", "network") == []
    assert box.called("compose")[-1].endswith(" start")
    assert box.lines("held") == ["touch /tmp/replaced-web", "led on /tmp/replaced-web"]


def test_on_a_node_nothing_is_renamed_as_no_proxy_is_where_it_starts(box: Box) -> None:
    own = [replace(item, networks=("local-net",)) for item in SITE.containers]
    assert box.run(script(replace(SITE, containers=tuple(own)), of(*BOTH))) == (0, [])
    assert box.called("rename", "network", "start") == []
    assert box.lines("held") == ["touch /tmp/replaced-web", "led on /tmp/replaced-web"]


def test_how_long_it_took_is_noted_where_something_was_replaced_and_went_well(box: Box) -> None:
    noted = box.root / "replaced/site"
    box.run(script())
    box.run(script(old=of(*BOTH)), STARTING)
    assert not noted.exists()
    box.run(script(old=of(*BOTH)))
    assert 0 <= int(noted.read_text()) <= 5


BACK = "site on host-1 runs as before again, and the generation {} is active"


@pytest.mark.parametrize("again", [False, True])
def test_visitors_wait_for_a_little_longer_and_for_the_next_replacement_as_well(
    tmp_path: Path, again: bool
) -> None:
    mark, other = tmp_path / "replaced-web", tmp_path / "replaced-api"
    for path in (mark, other):
        path.touch()
        os.utime(path, (1e9, 1e9))
    # The rush itself takes its time in a lab alone.
    (tmp_path / "sleep").write_text(
        f"#!/bin/sh\ntest -e {mark} || exit\n{'touch -d @2000000000' if again else ':'} {mark}\n"
    )
    (tmp_path / "sleep").chmod(0o755)
    words = ["sh", "-c", rollout_shell._LED_ON, str(tmp_path / "led-on"), str(mark), str(other)]
    subprocess.run(words, check=True, env={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert (mark.exists(), other.exists()) == (again, False)


@pytest.mark.parametrize(
    ("state", "compose"), [(STARTING, "0"), (WELL, "17")], ids=["never healthy", "compose fails"]
)
def test_what_fails_goes_back_to_the_generation_of_before(box: Box, state: str, compose: str) -> None:
    code, said = box.run(script(old=of(*BOTH)), state, COMPOSE=compose)
    assert (code, said[-1]) == (int(compose) or 1, BACK.format("good"))
    assert (box.root / "opt/current").readlink() == Path("generations/good")
    ups = [call.split()[2] for call in box.called("compose") if " up " in call]
    assert ups == [
        "home/dkcompose/site-deploy.yaml",
        f"{box.root}/opt/generations/good/dkcompose/site-deploy.yaml",
    ]
    assert not (box.root / "hidden").exists()
    assert box.lines("held")[-1] == "led on /tmp/replaced-web"


def test_where_nobody_knows_which_was_before_the_newest_that_describes_it_is_taken(box: Box) -> None:
    (box.root / "opt/generations/.previous").unlink()
    assert box.run(script(old=of(*BOTH)), STARTING)[1][-1] == BACK.format("newer")
    assert (box.root / "opt/current").readlink() == Path("generations/newer")


def test_the_generation_that_is_active_again_is_the_last_to_be_removed(box: Box) -> None:
    box.run(script(old=of(*BOTH)), STARTING)
    newest = max((box.root / "opt/generations").iterdir(), key=lambda path: path.lstat().st_mtime)
    assert newest.name in ("good", ".previous")


@pytest.mark.parametrize(
    ("label", "active"),
    [("d7", "bad"), ("d2", "good"), (".*", "bad"), ("'; touch \"$BOX/owned\"; : '", "bad")],
    ids=["nothing describes it", "not healthy", "a label that is a pattern", "a label that is a command"],
)
def test_what_cannot_be_brought_back_is_said(box: Box, label: str, active: str) -> None:
    """Labels are a host's word: they are looked for, and nothing else is done with them."""
    old = replace(of(*BOTH), labels=("d1", label))
    text = script(old=old).replace(f"={rollout._BACK_SECONDS}", "=0")
    code, said = box.run(text, STARTING, BACK=STARTING)
    assert (code, said[-1]) == (1, "site on host-1 cannot be brought back to what ran before")
    assert (box.root / "opt/current").readlink() == Path("generations", active)
    assert not (box.root / "owned").exists()
    assert box.lines("held")[-1] == "led on /tmp/replaced-web"


# The way back from secrets

OLD = 'KEY="old"\nMAIL="m"\nPASSWORD="p"\nSEED="x"\nSIGNS="old"\nSMARTEROS_SECRETS_DIGEST="s1"\nURL="p"\n'
NEW = 'KEY="xyz"\nMAIL="n"\nPASSWORD="q"\nSEED="y"\nSIGNS="xyz"\nSMARTEROS_SECRETS_DIGEST="s2"\nURL="q"\n'


@pytest.fixture
def rotated_box(box: Box) -> Box:
    """Only secrets have changed: the active generation is the one that ran, and it is not the newest."""
    (box.root / "opt/current").unlink()
    (box.root / "opt/current").symlink_to("generations/good")
    (box.root / "opt/generations/.previous").unlink()
    (box.root / "opt/generations/.previous").symlink_to("newer")
    (box.root / "vault").mkdir()
    (box.root / "vault/site.env").write_text(NEW)
    (box.root / "vault/.before-site.env").write_text(OLD)
    # The old secrets are those with which it becomes healthy.
    docker = (box.root / "docker").read_text()
    healthy = """case $(cat file 2>/dev/null) in *generations*) grep -q 's1' vault/site.env && echo "$BACK" || echo "$STATE" ;;"""
    before = """case $(cat file 2>/dev/null) in *generations*) echo "$BACK" ;;"""
    assert before in docker
    (box.root / "docker").write_text(docker.replace(before, healthy))
    return box


ROTATED = of(*HAD, digests=SAME, service=KEPT, secrets="s2")
GIVE = (
    "site on host-1: {0} has changed since it was last well: `make give-secrets NAME={0}` gives another value"
)
LASTS = (
    "site on host-1: site#SEED has changed since it was last well, and never may: it would cost all. Put the value of "
    "before back, which an earlier version of Vault's has (vault kv get -version=…, vault kv patch), then `make deploy`"
)


def test_secrets_that_fail_go_back_in_the_active_generation_and_the_target_that_gives_others_is_named(
    rotated_box: Box,
) -> None:
    code, said = rotated_box.run(script(KEPT, ROTATED), STARTING)
    assert (code, said[-1]) == (1, BACK.format("good"))
    assert (rotated_box.root / "opt/current").readlink() == Path("generations/good")
    assert [line for line in said if "last well" in line] == [
        *(GIVE.format(place) for place in ("site#KEY", "mail#PASSWORD", "site#PASSWORD")),
        LASTS,
    ]
    assert not (rotated_box.root / "vault/.before-site.env").exists()


def test_what_the_database_has_been_told_stays_new_on_the_way_back_and_is_seen_where_the_old_comes_back_to_vault(
    rotated_box: Box,
) -> None:
    """With a digest of Vault's the containers would be left with a password that their role has no more."""
    rotated_box.run(script(KEPT, ROTATED), STARTING)
    env = rotated_box.root / "vault/site.env"
    mixed = OLD.replace('PASSWORD="p"', 'PASSWORD="q"').replace('URL="p"', 'URL="q"')
    assert env.read_text() == mixed.replace('"s1"', '"s1+"')
    assert env.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("before", ["s1", "s1+"])
def test_what_is_a_mixture_already_stays_one_and_is_gone_back_to(rotated_box: Box, before: str) -> None:
    same = NEW.replace('PASSWORD="q"', 'PASSWORD="p"').replace('URL="q"', 'URL="p"')
    (rotated_box.root / "vault/site.env").write_text(same)
    (rotated_box.root / "vault/.before-site.env").write_text(OLD.replace("s1", before))
    had = replace(ROTATED, secrets=before)
    assert rotated_box.run(script(KEPT, had), STARTING)[1][-1] == BACK.format("good")
    assert (rotated_box.root / "vault/site.env").read_text() == OLD.replace("s1", before)
    for new, old in ((NEW, OLD.replace("s1", before)), (OLD.replace("s1", "s1+"), "")):
        (rotated_box.root / "vault/site.env").write_text(new)
        (rotated_box.root / "vault/.before-site.env").write_text(old)
        rotated_box.run(script(KEPT, had), STARTING)
        assert 'DIGEST="s1+"\n' in (rotated_box.root / "vault/site.env").read_text()


def test_secrets_that_did_not_run_are_not_gone_back_to(rotated_box: Box) -> None:
    (rotated_box.root / "vault/.before-site.env").write_text(OLD.replace("s1", "s0"))
    text = script(KEPT, ROTATED).replace(f"={rollout._BACK_SECONDS}", "=0")
    assert (
        rotated_box.run(text, STARTING)[1][-1] == "site on host-1 cannot be brought back to what ran before"
    )
    assert (rotated_box.root / "vault/site.env").read_text() == NEW


def test_with_secrets_that_are_well_the_old_ones_go(rotated_box: Box) -> None:
    assert rotated_box.run(script(KEPT, ROTATED)) == (0, [])
    assert sorted(path.name for path in (rotated_box.root / "vault").iterdir()) == ["site.env"]


# A role's password

TOLD = "ALTER ROLE \"site\" LOGIN PASSWORD 'SCRAM$x%s\\n';"
CHANGED = replace(ROTATED, role=True)


def course(box: Box) -> list[str]:
    """What was called, as far as the order matters."""
    short = {
        "exec caddy-proxy touch": "held",
        "exec --detach caddy-proxy sh": "led on",
        "stop": "stop",
        "exec -i": "told",
        "compose": "compose",
    }
    lines = [line.replace(f"{SITE_FILE} ", "compose ") for line in box.lines("calls")]
    return [
        f"{word} {line.split()[-1]}"
        for line in lines
        for start, word in short.items()
        if line.startswith(f"{start} ")
    ]


REPLACED = [
    "told postgres",
    "held /tmp/replaced-web",
    "compose --quiet-pull",
    "stop web",
    "told postgres",
    "compose start",
    "led on /tmp/replaced-web",
]


def test_who_has_the_password_of_before_stands_still_when_another_counts_and_visitors_are_held(
    box: Box,
) -> None:
    assert box.run(script(KEPT, CHANGED), given=TOLD) == (0, [])
    assert course(box) == REPLACED
    assert box.lines("tried") == ["BEGIN;", TOLD, "ROLLBACK;", "\\q"]
    assert box.lines("told") == [TOLD, "\\q"]
    assert "SCRAM" not in "".join(box.lines("calls"))


def test_postgres_is_told_while_who_comes_is_renamed_and_nobody_starts_before_both(box: Box) -> None:
    """Whoever is held waits for the slower of the two."""
    assert box.run(script(KEPT, CHANGED), given=TOLD, AWAITED="hidden") == (0, [])
    done = [line for line in box.lines("calls") if line == "start web-next" or "psql" in line]
    assert done[-1] == "start web-next"


PREPARED = replace(KEPT, containers=(container("prepare", env_file=True, job=True), *KEPT.containers))


def test_a_job_that_comes_first_has_it_too_and_visitors_are_held_meanwhile(box: Box) -> None:
    code, _ = box.run(script(PREPARED, CHANGED), "exited//1/0", given=TOLD)
    assert code == 1
    assert course(box)[:5] == [
        "told postgres",
        "held /tmp/replaced-web",
        "stop web",
        "told postgres",
        "compose prepare",
    ]


def test_a_job_of_which_only_the_secrets_have_changed_keeps_nobody_waiting(box: Box) -> None:
    code, _ = box.run(script(PREPARED, replace(CHANGED, late=True)), given=TOLD)
    assert code == 1  # the job is called healthy here, which is no end of one
    assert course(box)[:8] == [*REPLACED, "compose prepare"]


UNTOUCHED = (
    "site on host-1: nothing of it was touched, and it runs on as it is, since Postgres cannot be told its new password now "
    "(see the lines above); `make deploy` goes on once it can"
)


def test_where_postgres_cannot_be_told_now_nothing_stands_still_and_nothing_goes_back(
    rotated_box: Box,
) -> None:
    """A lock that somebody's open transaction holds is seen by all that the statement takes."""
    assert rotated_box.run(script(KEPT, CHANGED), given=TOLD, LOCKED="3") == (1, [UNTOUCHED])
    assert course(rotated_box) == ["told postgres"]
    assert (rotated_box.root / "vault/site.env").read_text() == NEW
    assert (rotated_box.root / "vault/.before-site.env").read_text() == OLD


@pytest.mark.parametrize(
    ("psql", "code", "counts"), [("0", 1, "q"), ("3", 3, "p")], ids=["never healthy", "psql fails"]
)
def test_what_goes_back_has_the_password_that_counts(
    rotated_box: Box, psql: str, code: int, counts: str
) -> None:
    """The new one where Postgres was told it, else that of before."""
    ended, said = rotated_box.run(script(KEPT, CHANGED), STARTING, given=TOLD, PSQL=psql)
    assert (ended, said[-1]) == (code, BACK.format("good"))
    env = (rotated_box.root / "vault/site.env").read_text()
    assert f'\nPASSWORD="{counts}"' in env
    assert f'URL="{counts}"' in env
    assert ('"s1+"' in env) == (counts == "q")
    assert course(rotated_box).count("told postgres") == 3
    last, up = [line for line in rotated_box.called("compose", "exec") if " up " in line or "psql" in line][
        -2:
    ]
    assert "psql" in last
    assert "generations/good" in up
    assert "SCRAM" not in "".join((*said, *rotated_box.lines("calls")))


def test_without_another_password_nothing_is_read_and_nobody_is_told(box: Box) -> None:
    assert "statement=$(cat)" not in script(KEPT, ROTATED)
    assert box.run(script(KEPT, ROTATED)) == (0, [])
    assert (box.called("stop"), box.lines("told")) == ([], [])


def test_the_first_file_that_is_replaced_is_kept_and_only_where_its_secrets_count(tmp_path: Path) -> None:
    """What a killed run has written over it has never run."""
    names = ("site.env", "same.env", "first.env")
    for name in names[:2]:
        (tmp_path / name).write_text(OLD)
    for digest in ("s2", "s3"):
        (tmp_path / ".incoming").mkdir()
        for name, text in zip(names, (NEW.replace("s2", digest), f'A="1"\n{OLD}', NEW), strict=True):
            (tmp_path / ".incoming" / name).write_text(text)
        moving = f"set -e\n{rotated.keeping(names)}\nmv -f .incoming/* . && rmdir .incoming"
        subprocess.run(["sh", "-c", moving], cwd=tmp_path, check=True)
        assert {path.name: path.read_text() for path in tmp_path.glob(".before-*")} == {
            ".before-site.env": OLD
        }
