"""Rolling: who may, and the shell that has a second container stand in, with a docker that keeps containers and the proxy's files."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tasks.connection import drafts
from tasks.facts import ContainerState
from tasks.model.catalogue import Container, Database, Health, RedisUser, Route, Service, Size
from tasks.model.effects import Start
from tasks.operations import containers, rolling
from tasks.operations.rollout import Replaced, replaced, start_script
from tests.facts.test_facts import MACHINE
from tests.fake import fake, texts
from tests.operations.test_rollout import GOOD, WELL, Box
from tests.samples import container

WEB = container("web", twice="it keeps nothing", size=Size(512, 1, used_mb=300))
SITE = Service("site", "Site", (WEB,), routes=(Route("www", "web", 80),))
RUNNING = ContainerState(
    "web", "site", "d1", "", "running", "healthy", 0, "example/web:1.0", ("smarter-net",)
)
PROXY = replace(RUNNING, name="caddy-proxy", service="caddy")


def of(*states: ContainerState) -> Replaced:
    found = {item.name: item for item in (*states, PROXY)}
    return replaced(SITE, found, {"web": "d9"}, "", "caddy-proxy")


# Who may


@pytest.mark.parametrize(
    ("item", "may"),
    [
        (RUNNING, True),
        (replace(RUNNING, health="unhealthy"), False),
        (replace(RUNNING, status="exited"), False),
        (None, False),
    ],
)
def test_a_second_one_stands_in_for_one_that_serves(item: ContainerState | None, may: bool) -> None:
    found = {"web": item} if item else {}
    assert rolling.possible(SITE, found) == may
    assert not rolling.possible(replace(SITE, containers=(replace(WEB, twice=""),)), found)


def test_it_needs_what_the_program_takes_and_a_spare_beside_it() -> None:
    assert rolling.short(SITE, 557) == ""
    assert (
        rolling.short(SITE, 556)
        == "a second one beside it would take 300 MB, and the host has 556 MB left, 256 of them for others"
    )


def test_what_stands_in_is_none_of_what_is_replaced() -> None:
    second = replace(RUNNING, name="web-second", digest="d9")
    assert of(RUNNING, second) == Replaced(("web",), ("d1",), "", ("web",), "caddy-proxy")
    assert of(second) == Replaced(("web",), (), "", (), "caddy-proxy")


# What a run does


def line(name: str = "web", digest: str = "d0", how: str = "running|healthy", secrets: str = "") -> str:
    return f"c|/{name}|{'caddy' if name == 'caddy-proxy' else 'site'}|{digest}|{secrets}|{how}|0|example/web:1.0|smarter-net "


CADDY = line("caddy-proxy")


def started(
    *lines: str, available_kb: int = 4096000, service: Service = SITE
) -> tuple[list[Start], str, list[str]]:
    """What is noted of containers, the script, and what is said."""
    machine = [*MACHINE, f"available_kb {available_kb}"]
    machine.remove("available_kb 2048000")
    said: list[str] = []
    with fake({"docker ps -aq": list(lines), "MemAvailable": machine}) as host:
        with drafts.drafting() as steps:
            containers.start(service, {"web": "d1"}, name="Services | Site")
        vars(host)["log"] = said.append
        script = "\n".join(texts(containers.start, service, {"web": "d1"}))
    noted = [item for step in steps for item in step.effects if isinstance(item, Start)]
    return noted, script, said


STANDS_IN = "stand_in /root/dkcompose/site-deploy.yaml web=60"


def test_what_visitors_reach_rolls_where_it_is_made_anew() -> None:
    (start,), script, _ = started(line(), CADDY)
    assert (start.how, start.rolls, start.short) == ("made anew", True, "")
    assert STANDS_IN in script.splitlines()


@pytest.mark.parametrize(
    "lines",
    [
        (line(),),
        (line(how="running|unhealthy"), CADDY),
        (line(digest="d1", how="exited|"), CADDY),
        (CADDY,),
    ],
    ids=["no proxy", "it serves nobody", "it is only started", "it is not there"],
)
def test_else_it_does_not(lines: tuple[str, ...]) -> None:
    (start,), script, _ = started(*lines)
    assert (start.rolls, start.short) == (False, "")
    assert STANDS_IN not in script.splitlines()


def test_one_that_may_not_run_twice_does_not() -> None:
    held = replace(SITE, containers=(replace(WEB, twice="", once="it migrates at its start"),))
    (start,), script, _ = started(line(), CADDY, service=held)
    assert (start.held, start.rolls) == (True, False)
    assert "dismiss" not in script


def test_one_with_other_secrets_does_not_as_its_database_may_refuse_it_by_now() -> None:
    told = replace(
        SITE, containers=(replace(WEB, env_file=True),), databases=(Database("site", secret="PASSWORD"),)
    )
    (start,), script, _ = started(line(digest="d0", secrets="s1"), CADDY, "e|site|s2", service=told)
    assert (start.held, start.rolls) == (True, False)
    assert STANDS_IN not in script.splitlines()
    (start,), _, _ = started(line(digest="d0", secrets="s1"), CADDY, "e|site|s1", service=told)
    assert start.rolls


def test_one_whose_secrets_are_nobody_elses_rolls_with_others() -> None:
    told = replace(SITE, containers=(replace(WEB, env_file=True),))
    (start,), script, _ = started(line(secrets="s1"), CADDY, "e|site|s2", service=told)
    assert start.rolls
    assert STANDS_IN in script.splitlines()


@pytest.mark.parametrize(
    ("digest", "late"), [("d1", True), ("d0", False)], ids=["only secrets", "its description, too"]
)
def test_a_job_comes_behind_the_start_where_only_its_secrets_are_others(digest: str, *, late: bool) -> None:
    job = container("prepare", env_file=True, job=True)
    told = replace(
        SITE,
        containers=(job, replace(WEB, env_file=True)),
        databases=(Database("site", secret="PASSWORD"),),
    )
    ended = f"c|/prepare|site|{digest}|s1|exited||0|{job.image}|smarter-net "
    with fake(
        {
            "docker ps -aq": [ended, line(digest="d1", secrets="s1"), CADDY, "e|site|s2"],
            "MemAvailable": MACHINE,
        }
    ):
        script = "\n".join(texts(containers.start, told, {"prepare": "d1", "web": "d1"}))
    lines = script.splitlines()
    runs = next(number for number, text in enumerate(lines) if "--profile job" in text)
    starts = next(number for number, text in enumerate(lines) if text.startswith("bring_up "))
    assert (runs > starts) is late


def test_without_the_memory_its_visitors_are_held_and_both_plan_and_run_say_why() -> None:
    (start,), script, said = started(line(), CADDY, available_kb=556 * 1024)
    assert (start.held, start.rolls, start.short) == (True, False, rolling.short(SITE, 556))
    assert STANDS_IN not in script.splitlines()
    assert said[-1] == f"site: visitors are held: {start.short}"


def test_what_stands_in_since_a_run_was_cut_short_is_something_to_do() -> None:
    (start,), script, _ = started(line(digest="d1"), line("web-second", digest="d1"), CADDY)
    assert (start.why, start.rolls) == ("web-second still stands in for it: it goes", False)
    assert "dismiss" in script.splitlines()
    assert STANDS_IN not in script.splitlines()


# The shell

# c/NAME: how a container is; p/: the proxy's files; busy: how many more times somebody is found at work. dark: calls at which nobody who
# is well was asked. changed: the container is as described now. KILL: at which call the script ends.
DOCKER = r"""#!/bin/sh
. "${0%/*}/environment"
cd "$BOX"
for last; do :; done
case "$*" in
"exec postgres psql -wqAtX -U site-second -d site -c DISCARD ALL -c "*) echo "${ACTS:-site}"; exit ;;
"exec postgres psql "*) exit ;;
esac
well() { grep -qs ^running/healthy "c/$1"; }
well web || { well web-second && [ -e p/second-web ]; } || echo "$*" >>dark
echo >>count
# Two at once may both be counted before either looks.
[ -z "${KILL:-}" ] || [ "$(wc -l <count)" -lt "$KILL" ] || { kill -9 "$(cat script)"; exit; }
case "$*" in *"inspect "* | "info "*) ;; *) echo "$* [$({ ls c; ls p; ls r; } | tr '\n' ' ')]" >>calls ;; esac
case "$*" in
"image inspect "* | "volume inspect "*) ;;
"exec caddy-proxy touch "*) : >"p/${last##*/}" ;;
"exec caddy-proxy rm -f "*) rm -f "p/${last##*/}" ;;
"exec --detach caddy-proxy sh -c "*) rm -f "p/${last##*/}" ;;
"exec caddy-proxy wget "*"/reverse_proxy/upstreams")
    n=$(cat busy 2>/dev/null || echo 0)
    [ "$n" = 0 ] || echo $((n - 1)) >busy
    [ "$n" = 0 ] || n=1
    printf '[{"address":"web-seconds:80","num_requests":7,"fails":0},{"address":"web:80","num_requests":%s,"fails":0},{"address":"web-second:80","num_requests":%s,"fails":2},{"address":"web:81","num_requests":0,"fails":0}]' $n $n ;;
"exec -i "*" psql "*)
    given=$(cat)
    printf '%s\n' "$given" >>told
    case $given in
    *ROLLBACK*) ;;
    *"CREATE ROLE"*) : >r/site-second ;;
    *"DROP ROLE"*) rm -f r/site-second; exit "${DROP:-0}" ;;
    *) : >counts; ! well web || echo "web has another" >counts ;;
    esac ;;
"compose -f "*" run "*" --name web-second web") [ ! -e c/web-second ] || exit 1; echo "$SECOND" >c/web-second ;;
"compose -f "*" up "*)
    echo "$3" >file
    case $3 in
    *generations*) [ ! -e c/web ] || [ -e changed ] || exit 0; rm -f changed ;;
    *) [ ! -e c/web ] || [ ! -e changed ] || exit 0; : >changed ;;
    esac
    echo created///0 >c/web ;;
"compose -f "*" start" | "start web-next")
    case $(cat file) in *generations*) state=$BACK ;; *) state=$STATE ;; esac
    for name in web web-next; do ! grep -qs created "c/$name" || echo "$state" >"c/$name"; done ;;
"inspect --type container --format {{.State.OOMKilled}} {{.Id}} "*) echo "false 12ab" ;;
"inspect --type container --format {{.State.Status}} web") cut -d/ -f1 c/web ;;
"inspect --type container --format {{.State.Status}}/"*)
    shift 5
    for name; do [ ! -e "c/$name" ] || { cat "c/$name"; found=yes; }; done
    [ "${found:-}" = yes ] ;;
"logs --tail 50 "*) echo "log of $last" >&2 ;;
"ps -a "* | "network "*) ;;
"rename "*) mv "c/$2" "c/$3" ;;
"stop "*) [ -e "c/$last" ] ;;
"rm --force "*) rm "c/$last" ;;
"info --format {{.Swarm.LocalNodeState}}") echo "${SWARM:-inactive}" ;;
*) echo "unexpected: $*" >&2; exit 99 ;;
esac
"""
STARTING = "running/starting/0/0"


@dataclass(frozen=True)
class House(Box):
    """A host whose docker knows what runs."""

    def there(self) -> list[str]:
        """Containers, the proxy's files, and roles of a second one's own."""
        return sorted(path.name for folder in ("c", "p", "r") for path in (self.root / folder).iterdir())

    def seen(self, words: str) -> list[str]:
        """What was there at each call that has these words."""
        return [line.rpartition(" [")[2].rstrip(" ]") for line in self.lines("calls") if words in line]

    def order(self) -> list[str]:
        """The calls that change something."""
        kinds = {"run": "second", "up": "replaced", "stop": "stopped"}
        found = []
        for line in (text.rpartition(" [")[0] for text in self.lines("calls")):
            words = line.split()
            if words[:2] == ["exec", "--detach"]:
                found.append(f"led on {words[-1].rpartition('/')[2]}")
            if words[:2] == ["exec", "caddy-proxy"] and words[2] != "wget":
                found.append(f"{words[2]} {words[-1].rpartition('/')[2]}")
            found += [kind for word, kind in kinds.items() if word in words[:1] or f" {word} -" in line]
        return found


@pytest.fixture
def house(tmp_path: Path) -> House:
    """``web`` runs as the generation ``good`` describes it; the active one is bad."""
    return furnished(tmp_path)


def furnished(tmp_path: Path) -> House:
    (tmp_path / "docker").write_text(DOCKER)
    (tmp_path / "sleep").write_text('#!/bin/sh\necho >>"${0%/*}/slept"\n')
    for name in ("docker", "sleep"):
        (tmp_path / name).chmod(0o755)
    for folder in ("c", "p", "r"):
        (tmp_path / folder).mkdir()
    (tmp_path / "c/web").write_text(f"{WELL}\n")
    for name in ("bad", "good"):
        described = tmp_path / "opt/generations" / name / "dkcompose"
        described.mkdir(parents=True)
        (described / "site-deploy.yaml").write_text("services: {}\n" if name == "bad" else GOOD)
    (tmp_path / "opt/current").symlink_to("generations/bad")
    (tmp_path / "opt/generations/.previous").symlink_to("good")
    return House(tmp_path)


def script(old: Replaced, *, seconds: int = 0) -> str:
    hasty: Container = replace(WEB, health=Health(("true",), seconds))
    return start_script(replace(SITE, containers=(hasty,)), "host-1", old=old)


def rolls(old: Replaced | None = None) -> str:
    return script(replace(old or of(RUNNING), rolls=True))


def test_a_second_one_is_healthy_before_the_first_is_touched_and_goes_when_that_is_well_again(
    house: House,
) -> None:
    assert house.run(rolls(), SECOND=WELL) == (0, [])
    assert house.order() == [
        "touch replaced-web",
        "second",
        "touch second-web",
        "replaced",
        "rm second-web",
        "stopped",
        "led on replaced-web",
    ]
    assert house.seen(" up ") == ["web web-second replaced-web second-web"]
    # Until the first one has its name again, the second one is asked.
    assert house.seen("rename web-next web") == ["web-next web-second replaced-web second-web"]
    assert house.there() == ["web"]
    assert house.lines("dark") == []


def found(house: House) -> list[str]:
    """What a run is told of it."""
    lines = [CADDY]
    for name in ("web", "web-next", "web-second"):
        if state := house.lines(f"c/{name}"):
            status, health, *_ = state[0].split("/")
            digest = "d1" if name != "web" or (house.root / "changed").exists() else "d0"
            lines.append(line(name, digest, f"{status}|{health}"))
    return lines


def test_killed_at_any_call_the_next_run_ends_it_and_somebody_is_asked_all_the_time(tmp_path: Path) -> None:
    number = 0
    while True:
        number += 1
        (tmp_path / str(number)).mkdir()
        house = furnished(tmp_path / str(number))
        noting = f"echo $$ >{house.root}/script\n"
        code, _ = house.run(noting + started(*found(house))[1], SECOND=WELL, KILL=str(number))
        if code == 0:
            break
        assert code == -9
        _, text, _ = started(*found(house))
        assert house.run(text, SECOND=WELL)[0] == 0
        # Caddy only waits longer for one that is gone, as long as the file of that name is there.
        assert [name for name in house.there() if name != "replaced-web"] == ["web"], number
        assert house.lines("dark") == [], number
        assert (house.root / "changed").exists()
        # The next one finds nothing to do.
        assert started(*found(house))[1] == ""
    assert number > 20


def test_what_is_under_way_ends_before_either_is_stopped(house: House) -> None:
    (house.root / "busy").write_text("9\n")
    assert house.run(rolls(), SECOND=WELL)[0] == 0
    calls = [line.split()[2] if line.startswith("exec") else line.split()[0] for line in house.lines("calls")]
    assert calls.count("wget") == 9 + 1 + 1
    before = house.lines("calls")[: next(n for n, line in enumerate(house.lines("calls")) if " up " in line)]
    assert len([line for line in before if "wget" in line]) == 10
    assert len(house.lines("slept")) == 11


def test_a_websocket_that_stays_open_is_waited_for_no_longer_than_said(house: House) -> None:
    (house.root / "busy").write_text("1000\n")
    assert house.run(rolls(), SECOND=WELL)[0] == 0
    assert len(house.lines("slept")) == 2 * rolling.DRAIN
    assert house.there() == ["web"]


def test_a_second_one_that_is_never_healthy_gets_no_visitor_and_the_first_runs_on(house: House) -> None:
    code, said = house.run(rolls(), SECOND=STARTING)
    assert (code, said[0]) == (
        1,
        "site: container web-second on host-1 has not become healthy (running/starting/0); its last 50 log lines:",
    )
    assert said[1] == "log of web-second"
    assert said[-1] == "site on host-1 runs as before again, and the generation good is active"
    assert "touch second-web" not in house.order()
    assert not (house.root / "changed").exists()
    assert house.there() == ["web"]
    assert house.lines("dark") == []
    assert (house.root / "opt/current").readlink() == Path("generations/good")


def test_it_serves_until_what_ran_before_is_back_where_the_first_fails_after_all(house: House) -> None:
    code, said = house.run(rolls(), STARTING, SECOND=WELL)
    assert (code, said[-1]) == (1, "site on host-1 runs as before again, and the generation good is active")
    assert house.seen(" up ")[1] == "web-second replaced-web second-web"
    assert house.there() == ["web"]
    assert house.lines("dark") == []


def test_where_nothing_else_is_well_it_stays(house: House) -> None:
    code, said = house.run(rolls().replace("=300", "=0"), STARTING, SECOND=WELL, BACK=STARTING)
    assert (code, said[-1]) == (1, "site on host-1 cannot be brought back to what ran before")
    assert {"web-second", "second-web"} <= set(house.there())


def test_a_second_one_that_ends_is_not_waited_for(house: House) -> None:
    code, said = house.run(started(*found(house))[1], SECOND="exited//1/0")
    assert (code, said[0]) == (
        1,
        "site: container web-second on @fake/one has not become healthy (exited//1); its last 50 log lines:",
    )
    assert house.there() == ["web"]


SECOND = replace(RUNNING, name="web-second")


def test_what_a_run_that_was_cut_short_has_left_goes_first(house: House) -> None:
    for path in ("c/web-second", "p/second-web"):
        (house.root / path).write_text(f"{WELL}\n")
    assert house.run(rolls(of(RUNNING, SECOND)), SECOND=WELL) == (0, [])
    assert house.order()[:3] == ["rm second-web", "stopped", "touch replaced-web"]
    assert house.there() == ["web"]


@pytest.mark.parametrize("left", [WELL, "exited//0/0"])
def test_it_goes_last_where_the_first_has_yet_to_come_back(house: House, left: str) -> None:
    (house.root / "c/web").unlink()
    for path in ("c/web-second", "p/second-web"):
        (house.root / path).write_text(f"{left}\n")
    assert house.run(script(of(SECOND)), SECOND=WELL) == (0, [])
    assert house.order() == [
        "touch replaced-web",
        "replaced",
        "rm second-web",
        "stopped",
        "led on replaced-web",
    ]
    assert house.there() == ["web"]


def test_only_how_long_visitors_were_held_is_noted(house: House) -> None:
    noted = house.root / "replaced/site"
    house.run(rolls(), SECOND=WELL)
    assert not noted.exists()
    house.run(script(of(RUNNING)), SECOND=WELL)
    assert noted.exists()


def test_without_the_proxy_what_is_left_goes_all_the_same(house: House) -> None:
    (house.root / "c/web-second").write_text(f"{WELL}\n")
    old = replaced(SITE, {"web": RUNNING, "web-second": SECOND}, {"web": "d9"}, "", "caddy-proxy")
    assert house.run(script(old))[0] == 0
    assert house.there() == ["web"]


# Another password of its database's role

OWN = replace(
    SITE,
    containers=(replace(WEB, env_file=True),),
    databases=(Database("site", secret="PASSWORD", variable="PGUSER"),),
)
STATEMENT = """ALTER ROLE "site" NOSUPERUSER LOGIN PASSWORD 'SCRAM-SHA-256$4096:a/b+c==$d:e';"""
MADE = [
    "BEGIN;",
    'DROP ROLE IF EXISTS "site-second";',
    """CREATE ROLE "site-second" LOGIN IN ROLE "site" PASSWORD 'SCRAM-SHA-256$4096:a/b+c==$d:e';""",
    'ALTER ROLE "site-second" SET role = "site";',
    "COMMIT;",
]


def rotation(*lines: str, service: Service = OWN, role: str = STATEMENT) -> tuple[list[Start], str]:
    """What is noted of containers, and the script, where Vault has other values than they have."""
    machine = [*MACHINE, "available_kb 4096000"]
    machine.remove("available_kb 2048000")
    digests = {item.name: "d1" for item in service.containers}
    with fake({"docker ps -aq": [*lines, "e|site|s2"], "MemAvailable": machine}):
        with drafts.drafting() as steps:
            containers.start(service, digests, {}, str, str, name="Services | Site")
        script = "\n".join(texts(containers.start, service, digests, {}, str, lambda: role))
    return [item for step in steps for item in step.effects if isinstance(item, Start)], script


def test_a_second_one_with_a_role_of_its_own_stands_in_while_the_password_changes(house: House) -> None:
    (start,), text = rotation(line(digest="d1", secrets="s1"), CADDY)
    assert start.rolls
    assert house.run(text, SECOND=WELL, given=STATEMENT) == (0, [])
    assert house.order() == [
        "touch replaced-web",
        "second",
        "touch second-web",
        "replaced",
        "stopped",
        "rm second-web",
        "stopped",
        "led on replaced-web",
    ]
    told = [text for text in house.lines("told") if text not in ("\\q", "SET client_min_messages = warning;")]
    drop = MADE[1]
    assert told == ["BEGIN;", STATEMENT, "ROLLBACK;", *MADE, STATEMENT, drop]
    (run,) = [text for text in house.lines("calls") if " run " in text]
    assert " --env PGUSER=site-second --name web-second web [" in run
    # No second one is there before its role is, and that goes before it does.
    assert house.seen(" run ") == ["web replaced-web site-second"]
    assert house.seen("rm --force --volumes web-second")[-1] == "web web-second replaced-web"
    assert house.lines("counts") == []
    assert house.there() == ["web"]
    assert house.lines("dark") == []
    assert "SCRAM" not in "".join(house.lines("calls"))


def test_killed_at_any_call_the_next_run_ends_a_rotation_and_no_role_is_left(tmp_path: Path) -> None:
    number = 0

    def found(house: House) -> tuple[str, ...]:
        lines = [CADDY]
        for name in ("web", "web-next", "web-second"):
            if state := house.lines(f"c/{name}"):
                status, health, *_ = state[0].split("/")
                had = "s2" if name != "web" or (house.root / "changed").exists() else "s1"
                lines.append(line(name, "d1", f"{status}|{health}", had))
        return tuple(lines)

    while True:
        number += 1
        (tmp_path / str(number)).mkdir()
        house = furnished(tmp_path / str(number))
        text = f"echo $$ >{house.root}/script\n{rotation(*found(house))[1]}"
        if house.run(text, SECOND=WELL, given=STATEMENT, KILL=str(number))[0] == 0:
            break
        (house.root / "count").unlink()
        role = "" if (house.root / "counts").exists() else STATEMENT
        assert house.run(rotation(*found(house), role=role)[1], SECOND=WELL, given=role)[0] == 0
        assert [name for name in house.there() if name != "replaced-web"] == ["web"], number
        assert house.lines("dark") == [], number
        assert rotation(*found(house))[1] == ""
    assert number > 25


def test_one_whose_second_is_never_healthy_runs_on_with_the_password_of_before(house: House) -> None:
    hasty = replace(OWN, containers=(replace(OWN.main, health=Health(("true",), 0)),))
    _, text = rotation(line(digest="d1", secrets="s1"), CADDY, service=hasty)
    assert house.run(text, SECOND=STARTING, given=STATEMENT)[0] == 1
    assert not (house.root / "counts").exists()
    assert house.there() == ["web"]
    assert house.lines("dark") == []


def test_where_a_second_role_does_not_act_as_the_first_visitors_are_held(house: House) -> None:
    """Postgres 16.5 and 17.1, and who may sign in by name alone (pg_hba.conf)."""
    _, text = rotation(line(digest="d1", secrets="s1"), CADDY)
    code, said = house.run(text, given=STATEMENT, ACTS="site-second")
    assert code == 0
    assert said == [
        "site on @fake/one: visitors are held: a second role does not act as the first in this Postgres"
    ]
    assert house.order() == ["touch replaced-web", "replaced", "stopped", "led on replaced-web"]
    assert house.there() == ["web"]
    assert house.lines("counts") == []


def test_where_its_role_cannot_go_the_second_one_stays_and_is_the_next_runs(house: House) -> None:
    _, text = rotation(line(digest="d1", secrets="s1"), CADDY)
    house.run(text, SECOND=WELL, given=STATEMENT, DROP="3")
    assert "web-second" in house.there()
    assert "dismiss" in rotation(line(digest="d1", secrets="s2"), line("web-second", "d1"), CADDY)[1]


JOB = container("prepare", env_file=True, job=True)
ENDED = f"c|/prepare|site|{{0}}|s1|exited||0|{JOB.image}|smarter-net "
WITH_JOB = replace(OWN, containers=(JOB, *OWN.containers))


@pytest.mark.parametrize(
    ("service", "lines", "may"),
    [
        (WITH_JOB, (ENDED.format("d1"),), True),
        (WITH_JOB, (ENDED.format("d0"),), False),
        (replace(OWN, redis=RedisUser("site", "CACHE")), (), False),
        (replace(OWN, databases=(*OWN.databases, Database("b", secret="B"))), (), False),
    ],
    ids=["a job that may come later", "a job that comes first", "Redis may refuse it", "another database"],
)
def test_else_its_visitors_are_held(service: Service, lines: tuple[str, ...], *, may: bool) -> None:
    starts, script = rotation(*lines, line(digest="d1", secrets="s1"), CADDY, service=service)
    (start,) = [item for item in starts if item.container == "web"]
    assert start.rolls is may
    assert (STANDS_IN in map(str.strip, script.splitlines())) is may
