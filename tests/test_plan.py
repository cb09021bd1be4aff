"""The plan: every change that it names is one that the files and Compose make of it, and nothing of it is done or is a secret."""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks import applications, backup, generation, notify, plan, proxy, retire
from tasks.commands import plan as plan_command
from tasks.connection import drafts
from tasks.facts import Machine, MachineFact
from tasks.facts.ahead import Ahead
from tasks.facts.last_run import Back, Course, CourseFact, Deploy
from tasks.model.effects import WAITED, DockerRestart, Earlier, EnvFile, File, Lost, Network, Start, Step
from tasks.operations import consequences, cut_short, described, plan_lines
from tasks.operations.plan_lines import Plan
from tasks.rendering import render
from tasks.run import remember, services, stack
from tasks.services import load
from tests.facts.test_facts import MACHINE
from tests.fake import fake
from tests.samples import ROOT
from tests.samples import stack as settings

CURRENT = "/opt/smarteros/current"
FEWER = ["vault", "postgres", "redis", "n8n", "mcp-registry", "vault-auth-validator", "caddy"]

CHANGES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "a limit": {"overrides": {"n8n": {"memory_mb": 1500}}},
    "one of two containers": {"overrides": {"chatwoot": {"memory_mb": 2500}}},
    "an image": {"overrides": {"redis": {"image": "redis:7.4.12-alpine"}}},
    "a domain": {"overrides": {"metabase": {"domain": "bi.smarterbot.cl"}}},
    "a port": {"overrides": {"odoo": {"port": 8070}}},
    "another zone": {"zone": "smarterbot.de"},
    "no mirrors": {"mirror_zones": []},
    "another profile": {"profile": "recommended"},
    "fewer services": {"services": FEWER},
    "a guard": {"overrides": {"botpress": {"guard": True}}},
    "a server": {"mcp_servers": [{"name": "io.github.a/b", "description": "a b", "version": "1.0"}]},
}


def sums(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def tree_lines(files: Mapping[str, str], links: Mapping[str, str]) -> Iterator[str]:
    for path, text in files.items():
        yield f"m|{'755' if path.endswith('.sh') else '644'}|root:root||{path}"
        yield f"s|{sums(text)}  ./{path}"
    yield from (f"l|{target}|{link}" for link, target in links.items())


def docker_lines(files: Mapping[str, str]) -> Iterator[str]:
    """What runs there, healthy, by the described host's own account: its compose files' labels."""
    for service in services():
        digests, mounted = render.digests(stack(), service, files), described.mounted(service)
        for item in service.containers:
            state = "exited||0" if item.job else "running|healthy|0"
            yield (
                f"c|/{item.name}|{service.name}|{digests[item.name]}||{state}|{render.image(item)}|{' '.join(item.networks)} "
            )
            for folder, path in item.files.items():
                yield f"m|/{item.name}|/proc/7/root|{path}|{CURRENT}/{folder}"
            yield from (f"s|{total}  /proc/7/root{path}" for path, total in mounted[item.name].items())
            yield f"i|{render.image(item).rpartition(':')[0]}|{render.image(item).rpartition(':')[2]}|<none>"


def host_of(**changes: Any) -> dict[str, list[str]]:
    """What a host that was deployed with these settings answers."""
    with fake({}, **changes):
        files, links = described.tree(), described.links()
        return {
            "docker ps -aq": list(docker_lines(files)),
            f"{CURRENT}/": list(tree_lines(files, links)),
            "-name '*-deploy.yaml'": list(links),
            "/dev/tcp/127.0.0.1/2020": [render.caddyfile_digest(files["caddy/Caddyfile"])],
        }


def containers(**changes: Any) -> dict[str, Any]:
    """Container → what Compose is told of it."""
    files = render.tree(settings(**changes))
    texts = [text for path, text in files.items() if path.startswith("dkcompose/")]
    return {name: item for text in texts for name, item in yaml.safe_load(text)["services"].items()}


def steps_of(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Step, ...]:
    with fake(host_of(**before), executing=True, **after), drafts.drafting() as steps:
        generation.run()
        applications.run()
        proxy.run()
        retire.run()
        return tuple(steps)


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("back", [False, True], ids=["there", "back"])
def test_what_it_names_is_what_differs(name: str, back: bool) -> None:
    """Files by their text; containers by what Compose makes anew, since what it is told of them differs."""
    before, after = ({}, CHANGES[name]) if not back else (CHANGES[name], {})
    steps = steps_of(before, after)
    old, new = render.tree(settings(**before)), render.tree(settings(**after))
    assert {item.path for item in consequences.files(steps)} == {
        f"{CURRENT}/{path}" for path in {*old, *new} if old.get(path) != new.get(path)
    }
    ours = {
        item.name
        for service in load(settings(**after))
        if service.phase in ("services", "proxy")
        for item in service.containers
    }
    told, will = containers(**before), containers(**after)
    jobs = {name for name, item in will.items() if item.get("profiles")}
    assert {item.container: item.how for item in consequences.starts(steps)} == {
        name: "run" if name in jobs else "made anew" if name in told else "made"
        for name in ours
        if told.get(name) != will[name]
    }
    assert {item.container for item in consequences.gone(steps)} == told.keys() - will.keys()
    if name == "nothing":
        assert [step for step in steps if not step.name.endswith(": its first admin")] == []


def test_while_it_is_drafted_nothing_is_executing_and_no_command_runs() -> None:
    ran: list[str] = []
    with fake(host_of(), overrides={"n8n": {"memory_mb": 1500}}) as host:
        shell = host.connector.run_shell_command

        def noted(command: Any, *args: Any, **kwargs: Any) -> Any:
            ran.append(str(command))
            return shell(command, *args, **kwargs)

        vars(host.connector)["run_shell_command"] = noted
        with drafts.drafting() as steps:
            generation.run()
            applications.run()
        assert [step.name for step in steps if step.effects] == [
            "Generation | rendered files and their links",
            "Services | n8n Workflows",
        ]
    assert ran
    assert [text for text in ran if "smarteros-answer" not in text and "mark answer" not in text] == []


SECRET = "correct horse battery staple"
KEY, OTHER = 'A="1"\nB="2"\n', f'B="3"\nPASSWORD="{SECRET}"\n'


def made(*effects: Any, ahead: Ahead | None = None, **changes: Any) -> Plan:
    found = settings(**changes)
    return Plan(
        (Step("Step", effects),),
        load(found),
        found,
        Machine(memory_mb=8000, disk_free_mb=20480),
        ahead or Ahead(),
    )


def env_plan() -> Plan:
    ahead = Ahead(key="k")
    had = Ahead(lines={"/vault/secrets/n8n.env": ahead.wanted(KEY)}, key="k")
    return made(EnvFile("/vault/secrets/n8n.env", "n8n", OTHER, "0"), ahead=had)


def test_of_env_files_it_names_variables_and_shows_no_value() -> None:
    found = env_plan()
    assert plan_lines.data(found)["files"] == [
        {
            "path": "/vault/secrets/n8n.env",
            "change": "changed",
            "variables": {"added": ["PASSWORD"], "removed": ["A"], "changed": ["B"]},
        }
    ]
    text = json.dumps(plan_lines.data(found)) + "\n".join(plan_lines.lines("host-1", found)) + repr(found)
    assert SECRET not in text
    assert "    /vault/secrets/n8n.env (changed)\n        added: PASSWORD" in "\n".join(
        plan_lines.lines("host-1", found)
    )


def noticed(*effects: Any, ahead: Ahead | None = None, **changes: Any) -> dict[str, str]:
    found = made(*effects, ahead=ahead, **changes)
    return {
        item["domain"]: item["notices"]
        for item in plan_lines.data(found)["visitors"]
        if item["notices"] != "nothing"
    }


N8N = Start("n8n", "n8n", "made anew", "its description has changed", held=True)


def test_visitors_wait_as_long_as_the_last_time() -> None:
    assert noticed(N8N, ahead=Ahead(seconds={"n8n": 12})) == {
        "n8n.smarterbot.cl": "held about 12 s, as the last time"
    }
    assert noticed(N8N) == {"n8n.smarterbot.cl": "held as long as it takes to start (never measured yet)"}


def test_without_a_proxy_that_holds_them_the_service_is_down() -> None:
    took = Ahead(seconds={"n8n": 12})
    assert noticed(replace(N8N, held=False), ahead=took) == {
        "n8n.smarterbot.cl": "down until it is healthy, about 12 s, as the last time"
    }


def test_who_gets_no_answer_now_is_not_held() -> None:
    took = Ahead(seconds={"n8n": 12, "postgres": 3})
    down = "down now, until it is healthy, about 12 s, as the last time"
    for how in ("started", "made anew"):
        assert noticed(replace(N8N, how=how, away=True), ahead=took) == {"n8n.smarterbot.cl": down}
    stopped = replace(anew("postgres"), how="started", away=True)
    assert noticed(stopped, ahead=took)["n8n.smarterbot.cl"] == (
        "requests that need postgres fail now, until it is healthy, about 3 s, as the last time"
    )


def test_where_a_second_one_stands_in_nobody_waits_and_where_memory_is_short_that_is_said() -> None:
    rolls = replace(N8N, rolls=True)
    assert noticed(rolls, ahead=Ahead(seconds={"n8n": 12})) == {
        "n8n.smarterbot.cl": "rolls: nobody waits for that; WebSockets are closed after 20 s, twice, and open anew"
    }
    short = replace(
        N8N,
        short="a second one beside it would take 300 MB, and the host has 400 MB left, 256 of them for others",
    )
    assert noticed(short, ahead=Ahead(seconds={"n8n": 12})) == {
        "n8n.smarterbot.cl": f"held about 12 s, as the last time: {short.short}"
    }
    # Memory comes and goes, and makes no other plan.
    assert plan.differing([Step("s", (rolls,))], [Step("s", (short,))]) == []


def test_what_nobody_is_routed_to_is_not_noticed() -> None:
    assert (
        noticed(Start("chatwoot", "chatwoot-sidekiq", "made anew", "its secrets have changed", held=True))
        == {}
    )


def test_a_database_that_is_replaced_is_noticed_by_those_that_need_it() -> None:
    found = noticed(
        Start("redis", "redis", "made anew", "its description has changed"), ahead=Ahead(seconds={"redis": 2})
    )
    users = {name for name, text in found.items() if text.startswith("requests that need redis fail or wait")}
    assert users == {"crm.smarterbot.cl"}
    assert "mcp.smarterbot.cl" not in found


@pytest.mark.parametrize(
    ("effect", "word"),
    [
        (DockerRestart(("shop", "cron"), ("cron",)), "down while Docker restarts"),
        (
            Start("caddy", "caddy-proxy", "made anew", "its description has changed"),
            "held at the firewall while caddy-proxy is made anew",
        ),
    ],
)
def test_what_all_stand_on_is_noticed_by_all(effect: Any, word: str) -> None:
    found = noticed(effect)
    assert len(found) == 12
    assert all(text.startswith(word) for text in found.values())


def anew(service: str, container: str = "", **more: Any) -> Start:
    return Start(service, container or service, "made anew", "its description has changed", **more)


CADDY = anew("caddy", "caddy-proxy")
TOOK = Ahead(seconds={"postgres": 3, "redis": 2, "vault": 4, "caddy": 5, "n8n": 20})
ROLLS = "rolls: nobody waits for that; WebSockets are closed after 20 s, twice, and open anew"
AT_THE_DOOR = (
    "held at the firewall while caddy-proxy is made anew, about 5 s, as the last time; WebSockets are closed"
)


def test_where_all_is_made_anew_everything_that_happens_to_a_domain_is_said_in_its_order() -> None:
    """As after `make pin`: who rolls needs what does not."""
    crm, api = (anew(name, held=True, rolls=True) for name in ("chatwoot", "vault-auth-validator"))
    found = noticed(anew("vault"), anew("postgres"), anew("redis"), crm, N8N, api, CADDY, ahead=TOOK)
    assert found["n8n.smarterbot.cl"] == (
        "requests that need postgres fail or wait while it is made anew, about 3 s, as the last time; then "
        f"held about 20 s, as the last time; then {AT_THE_DOOR}"
    )
    assert found["crm.smarterbot.cl"] == (
        "requests that need postgres or redis fail or wait while they are made anew, about 5 s, as the last time; then "
        f"{ROLLS}; then {AT_THE_DOOR}"
    )
    assert found["api.smarterbot.cl"] == (
        "requests that need vault fail or wait while it is made anew, about 4 s, as the last time; then "
        f"{ROLLS}; then {AT_THE_DOOR}"
    )
    assert found["mcp.smarterbot.cl"] == AT_THE_DOOR


def test_the_seconds_are_those_of_all_of_it_and_of_none_where_one_is_unknown() -> None:
    def seconds(ahead: Ahead) -> Any:
        found = plan_lines.data(made(anew("postgres"), N8N, CADDY, ahead=ahead))["visitors"]
        return next(item["seconds"] for item in found if item["domain"] == "n8n.smarterbot.cl")

    assert seconds(TOOK) == 28
    assert seconds(Ahead(seconds={"postgres": 3, "n8n": 20})) is None


def test_of_several_that_are_needed_none_is_measured_by_another() -> None:
    needed = (anew("postgres"), replace(anew("redis"), how="started"))
    assert noticed(*needed, ahead=Ahead(seconds={"redis": 2}))["crm.smarterbot.cl"] == (
        "requests that need postgres or redis fail or wait while they are made anew or started, as long as they take to start "
        "(never measured yet)"
    )


def test_after_docker_has_restarted_the_rest_is_noticed_as_well() -> None:
    found = noticed(DockerRestart(), anew("postgres"), N8N, ahead=TOOK)
    assert found["n8n.smarterbot.cl"] == (
        "down while Docker restarts, and until it is healthy again; then requests that need postgres fail or wait while it is made "
        "anew, about 3 s, as the last time; then held about 20 s, as the last time"
    )


def test_who_is_guarded_needs_the_validator_and_vault() -> None:
    guarded: dict[str, Any] = {"overrides": {"botpress": {"guard": True}}}
    validator = anew("vault-auth-validator", held=True)
    found = noticed(anew("vault"), validator, **guarded)
    text = "requests that need vault or vault-auth-validator fail or wait while they are made anew"
    assert {name for name, said in found.items() if said.startswith(text)} == {"bot.smarterbot.cl"}
    assert noticed(replace(validator, rolls=True), **guarded).keys() == {
        "api.smarterbot.cl",
        "api.smarterbot.store",
    }


def test_a_network_that_is_made_anew_cuts_off_those_in_it() -> None:
    text = "down from when Docker makes {} anew until the run has made the containers in it anew"
    assert set(noticed(Network("smarter-net")).values()) == {text.format("smarter-net")}
    assert len(noticed(Network("smarter-net"))) == 12
    tenants = noticed(Network("tenants-net"))
    assert set(tenants.values()) == {text.format("tenants-net")}
    assert "mcp.smarterbot.cl" not in tenants


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("made", "down now, until caddy-proxy is healthy, about 5 s, as the last time"),
        ("started", "down now, until caddy-proxy is healthy, about 5 s, as the last time"),
        (WAITED, "held at the firewall while caddy-proxy is waited for, about 5 s, as the last time"),
    ],
)
def test_a_proxy_that_is_away_by_now_holds_nobody(how: str, said: str) -> None:
    assert set(noticed(replace(CADDY, how=how), ahead=TOOK).values()) == {said}


def test_to_a_service_that_is_new_nothing_else_happens() -> None:
    found = noticed(anew("postgres"), replace(N8N, how="made"), CADDY)
    assert found["n8n.smarterbot.cl"] == "new: answers once it is healthy"


def keys(found: Any) -> Iterator[str]:
    """Those of all objects in it, but of those that are keyed by names of the host's."""
    if isinstance(found, list):
        yield from (key for item in found for key in keys(item))
    if isinstance(found, dict):
        for key, value in found.items():
            yield key
            yield from () if key == "lead_elsewhere" else keys(value)


def test_the_readme_has_each_key_of_the_object() -> None:
    stop = made(DockerRestart(("shop",)), N8N)
    found = [*keys(plan_lines.data(env_plan())), *keys(plan_lines.data(stop))]
    rows = (ROOT / "README.md").read_text().partition("| Key of a plan |")[2].partition("\n\n")[0]
    named = set(re.findall(r"`(\w+)(?:\[\])?`", rows))
    assert {*found, "refused", "unreachable", "inventory", "version", "hooks"} - named == set()


def test_foreign_containers_that_stop_with_docker_are_named() -> None:
    lines = "\n".join(plan_lines.lines("host-1", made(DockerRestart(("shop", "cron"), ("cron",)))))
    assert "with Docker:\n    shop\n    cron: would not come back by itself, and is started again" in lines


def test_domains_and_ports_that_come_and_go_are_named_with_where_they_lead() -> None:
    caddy, compose = consequences.CADDYFILE, f"{CURRENT}/dkcompose/caddy-deploy.yaml"
    old, new = (
        render.tree(settings(**change)) for change in ({}, {**CHANGES["a domain"], "zone": "smarterbot.cl"})
    )
    ahead = Ahead(texts={caddy: old["caddy/Caddyfile"], compose: old["dkcompose/caddy-deploy.yaml"]})
    found = made(
        File(caddy, new["caddy/Caddyfile"], "0"),
        File(
            compose,
            new["dkcompose/caddy-deploy.yaml"].replace("127.0.0.1:8069:8069", "127.0.0.1:8070:8070"),
            "0",
        ),
        ahead=ahead,
    )
    data = plan_lines.data(found)
    assert (data["domains"]["come"], data["domains"]["go"]) == (["bi.smarterbot.cl"], ["kpi.smarterbot.cl"])
    assert data["domains"]["lead_elsewhere"] == {"bi.smarterbot.cl": "nowhere"}
    assert data["ports"] == {
        "open": ["caddy-proxy 127.0.0.1:8070:8070"],
        "close": ["caddy-proxy 127.0.0.1:8069:8069"],
    }


def test_what_a_changed_host_has_to_do_beside_what_was_shown_is_named() -> None:
    shown = (Step("Data | Redis", (Start("redis", "redis", "started", "has ended: it is started"),)),)
    now = (Step("Services | n8n", (N8N, EnvFile("/vault/secrets/n8n.env", "n8n", OTHER, "0"))),)
    assert plan.differing(shown, shown) == []
    said = plan.differing(shown, now)
    assert "n8n: its description has changed: was not shown" in said
    assert "redis: has ended: it is started: is not to do any more" in said
    assert SECRET not in "\n".join(said)


def test_a_health_check_that_passes_while_the_plan_is_read_is_no_change() -> None:
    host = host_of()

    def drafted(**health: str) -> list[Step]:
        lines = [
            line.replace("|healthy|", f"|{health.get(line[3:].partition('|')[0], 'healthy')}|")
            for line in host["docker ps -aq"]
        ]
        with fake({**host, "docker ps -aq": lines}), drafts.drafting() as steps:
            applications.run()
        return steps

    waits, well = drafted(odoo="starting", n8n="unhealthy"), drafted()
    assert {step.name for step in waits} - {step.name for step in well} == {
        "Services | n8n Workflows",
        "Services | Odoo ERP",
    }
    assert plan.differing(waits, well) == plan.differing(well, waits) == []
    anew = Step(
        "Services | Odoo ERP", (Start("odoo", "odoo", "made anew", "is not there"), "odoo: is not there")
    )
    assert len(plan.differing(waits, [*well, anew])) == 3


def test_one_that_is_paused_is_named_before_anything_is_done_about_it() -> None:
    host = host_of()
    lines = [
        line.replace("|running|", "|paused|") if line.startswith("c|/n8n|") else line
        for line in host["docker ps -aq"]
    ]
    with fake({**host, "docker ps -aq": lines}), drafts.drafting() as steps:
        applications.run()
    (found,) = consequences.starts(steps)
    assert (found.container, found.how, found.why) == ("n8n", "started", "is paused: it is started")
    assert found.away


def shown(*effects: Any) -> str:
    return "\n".join(plan_lines.lines("host-1", made(*effects)))


def test_many_new_files_are_counted_and_few_are_named() -> None:
    new = [File(f"{CURRENT}/dkcompose/{number}.yaml", "x\n") for number in range(11)]
    assert f"  files:\n    {CURRENT}: 11 new files (JSON=1 has all)\n  visitors:" in shown(*new)
    assert f"  files:\n    {CURRENT}/dkcompose/0.yaml (new)\n    /etc/a (new)\n  visitors:" in shown(
        new[0], File("/etc/a", "x\n")
    )


def test_many_files_that_go_are_counted_by_their_folder() -> None:
    gone = [File(f"{CURRENT}/backup/{number}.sh", None, "0a") for number in range(11)]
    left = File(f"{CURRENT}/caddy/Caddyfile", None, "0a")
    assert (
        f"  files:\n    {CURRENT}/backup: 11 removed files (JSON=1 has all)\n    {CURRENT}/caddy/Caddyfile (removed)\n  visitors:"
        in shown(*gone, left)
    )


@pytest.mark.parametrize(
    ("phase", "unit", "said"),
    [
        (backup, "smarteros-backup-files.timer", "nothing is backed up any more: timers stop"),
        (notify, "smarteros-notify.timer", "nobody is told any more of what happens on the host"),
    ],
)
def test_what_the_host_does_no_more_is_said_once_in_words(phase: Any, unit: str, said: str) -> None:
    lines = [*MACHINE, f"unit {unit} {'0' * 64} 644 root:root"]
    with fake({"/etc/os-release": lines}, executing=False), drafts.drafting() as steps:
        phase.run()
    found = replace(made(), steps=tuple(steps))
    [text] = plan_lines.data(found)["ends"]
    assert text.startswith(said)
    assert "\n".join(plan_lines.lines("host-1", found)).count(text) == 1
    assert f"  what the host does no more:\n    {text}" in "\n".join(plan_lines.lines("host-1", found))
    assert f"{steps[0].name}: {text}: was not shown" in plan.differing([], found.steps)
    with fake({"/etc/os-release": MACHINE}, executing=False), drafts.drafting() as none:
        phase.run()
    assert none == []


def test_what_a_container_has_beside_its_volumes_is_lost_with_it() -> None:
    steps = steps_of({}, {"overrides": {"dokploy": {"memory_mb": 2000}}})
    (what,) = consequences.lost(steps)
    assert what.startswith(
        "dokploy: what was written into its own file system, beside its volumes (docker login"
    )


def test_a_host_where_nothing_is_to_do_gets_one_line() -> None:
    found = settings()
    assert list(plan_lines.lines("host-1", Plan((), load(found), found, Machine()))) == [
        "host-1: nothing to do"
    ]


def test_hooks_that_are_called_are_named_once_where_something_is_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr("sys.argv", ["pyinfra", str(tmp_path / "prod.py"), "deploy.py"])
    folder = tmp_path / "hooks"

    def named(*plans: Plan) -> list[str]:
        caplog.clear()
        with fake({}):
            for each in plans:
                plan.shown(each)
        return [line for line in caplog.messages if "hooks" in line]

    something = made(DockerRestart(("shop",)), N8N)
    assert named(something) == []
    folder.mkdir()
    (folder / "after-deploy").touch()
    assert named(something) == [f"hooks: after-deploy of {folder} is called"]
    (folder / "before-deploy").touch()
    assert named(something, something) == [f"hooks: before-deploy and after-deploy of {folder} are called"]
    assert named(replace(something, steps=())) == []


def test_the_object_names_the_hooks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["pyinfra", str(tmp_path / "prod.py"), "tasks.commands.plan.run"])
    monkeypatch.setenv("JSON", "1")
    hook = tmp_path / "hooks" / "before-deploy"
    hook.parent.mkdir()
    hook.touch()
    with fake({}):
        plan_command._note({"nothing_to_do": True})
    assert json.loads(capsys.readouterr().out)["hooks"] == [str(hook)]


def test_it_is_headed_by_what_was_asked_for_and_by_the_rollback_that_a_deploy_ends() -> None:
    back = Back(3, "ann@laptop", 1795406400)
    deploy = replace(made(N8N), back=back)
    assert list(plan_lines.lines("host-1", deploy))[:2] == [
        "host-1: was rolled back to generation 3 (ann@laptop, 2026-11-23 04:00:00Z): a deploy rolls forward",
        "host-1: a deploy would change this:",
    ]
    assert plan_lines.data(deploy)["rolled_back"] == {
        "to": 3,
        "operator": "ann@laptop",
        "time": "2026-11-23T04:00:00Z",
    }
    asked = replace(made(N8N), asked="a rollback to generation 3")
    assert next(plan_lines.lines("host-1", asked)) == "host-1: a rollback to generation 3 would change this:"


def test_a_rotation_that_was_cut_short_is_named_also_where_there_is_nothing_to_do() -> None:
    cut = Deploy("ann@laptop", 1795406400, 6, "interrupted", at="Data | Redis", command="rotate", about="n8n")
    done = replace(made(), steps=(), cut_short=cut_short.known([cut, replace(cut, about="gone")], ["n8n"]))
    said, ends = plan_lines.lines("host-1", done)
    assert said == (
        'host-1: rotate: that of n8n (ann@laptop, 2026-11-23 04:00:00Z) was interrupted at "Data | Redis", and the old values may still open '
        "things: `make rotate SERVICE=n8n` once more ends it, and proves the old values refused; a deploy does not"
    )
    assert ends == "host-1: nothing to do"
    assert plan_lines.data(done)["rotations_cut_short"] == [
        {"of": "n8n", "operator": "ann@laptop", "result": "interrupted"}
    ]


@pytest.mark.parametrize(
    ("number", "command", "asked"),
    [(0, "plan", "a deploy"), (0, "update_on", "an update"), (3, "rollback", "a rollback to generation 3")],
)
def test_only_what_describes_another_generation_than_the_rollbacks_says_that_it_ends_it(
    monkeypatch: pytest.MonkeyPatch, number: int, command: str, asked: str
) -> None:
    back = Back(3, "ann@laptop", 1795406400)
    monkeypatch.setattr(sys, "argv", ["pyinfra", "inventories/prod.py", f"tasks.commands.{command}.run"])
    facts = {CourseFact: Course("0123", number=6, back=back), MachineFact: Machine()}
    monkeypatch.setattr(plan, "known", facts.__getitem__)
    monkeypatch.setattr(plan, "drafted", lambda: (Step("Step", (N8N,)),))
    monkeypatch.setattr(plan, "_ahead", lambda _: Ahead())
    with fake({}):
        remember("back", lambda: (number, {}))
        found = plan.drawn()
        assert (found.asked, found.back) == (asked, None if number else back)
        facts[CourseFact] = Course(described.name(described.tree()), number=6, back=back)
        assert plan.drawn().back is None


def test_what_goes_before_a_deploy_is_in_the_plan_and_holds_its_visitors() -> None:
    before = Step(
        "Rollback | n8n's data", ("database n8n: goes back", Earlier("n8n"), Lost("n8n: what was written"))
    )
    shown = replace(made(N8N), steps=(before, *made(N8N).steps))
    assert {item["domain"]: item["notices"] for item in plan_lines.data(shown)["visitors"]}[
        "n8n.smarterbot.cl"
    ] == (
        "held while its data of then come into place and it starts on them, after they are ready beside it; then "
        "held as long as it takes to start (never measured yet)"
    )
    lines = list(plan_lines.lines("host-1", shown))
    assert lines[1:3] == ["    Rollback | n8n's data", "        database n8n: goes back"]
    assert lines[lines.index("  DATA THAT IS LOST:") + 1] == "    n8n: what was written"
