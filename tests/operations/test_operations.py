"""Operations: exactly the commands that a difference needs, none for none; their shell run for real in a folder."""

import hashlib
import os
import shlex
import stat
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.connection import drafts
from tasks.facts import ContainerState, FileState, TreeFact
from tasks.model.catalogue import Route, Service
from tasks.model.effects import Start
from tasks.operations import consequences, containers, differing, door, files, images
from tasks.rendering import render
from tasks.rendering.docker_calls import EXPORT
from tests.fake import commands, fake, stdin, texts
from tests.samples import container

A_DIGEST = f"sha256:{'a' * 64}"


def docker(*lines: str) -> dict[str, list[str]]:
    """What DockerFact's command prints."""
    return {"docker ps -aq": list(lines)}


# Images


def fetched(command: str) -> str:
    """What the background unit does, after what it is told of the shell first."""
    *unit, script = shlex.split(command)
    assert unit == [
        *("systemctl", "is-active", "--quiet", "smarteros-images", "||"),
        *("systemd-run", "--quiet", "--collect", "--unit", "smarteros-images", "sh", "-c"),
    ]
    first = f"{EXPORT}; {images._CAME}\n"
    assert script.startswith(first)
    return script.removeprefix(first)


def brought(reference: str) -> str:
    return (
        "{ had=$(docker image ls -aq --no-trunc) && "
        f'timeout 1800 docker pull --quiet {reference} && came {reference} "$had"; }}'
    )


def test_missing_images_are_fetched_at_once_in_the_background() -> None:
    pulled, built = container("a", image="ex/a:1"), container("b", image="ex/b:1")
    service = Service("x", "X", (pulled, built, container("c", image="ex/a:1")))
    with fake(docker("i|ex/b|1|<none>")):
        [command] = texts(images.fetch, [service])
        assert fetched(command) == f"{brought('ex/a:1')} & wait"
    with fake(docker("i|ex/b|1|<none>", "i|ex/a|1|<none>")):
        assert texts(images.fetch, [service]) == []


def test_what_was_not_there_before_is_noted_as_ours_and_what_was_by_whatever_name_is_not(
    tmp_path: Path,
) -> None:
    """docker: `sums` are the images, a name and a number each; `offered` are a registry's."""
    (tmp_path / "docker").write_text(
        f"""#!/bin/sh
cd {tmp_path}
case "$1 $2" in
"image ls") cut -d ' ' -f 2 sums ;;
"image inspect") sed -n "s|^$5 ||p" sums | grep . ;;
"pull --quiet") grep "^$3 " offered >>sums ;;
esac
"""
    )
    (tmp_path / "docker").chmod(0o755)
    (tmp_path / "sums").write_text("own/n8n:7 sha256:7\n")
    (tmp_path / "offered").write_text("ex/a:1 sha256:1\nex/b:7 sha256:7\n")
    service = Service("x", "X", (container("a", image="ex/a:1"), container("b", image="ex/b:7")))
    with fake(docker()):
        [command] = texts(images.fetch, [service])
    script = shlex.split(command)[-1].replace("/opt/smarteros", str(tmp_path))
    path = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run(["sh", "-c", script], env=path, check=True)
    assert len((tmp_path / "sums").read_text().splitlines()) == 3
    assert (tmp_path / "records" / ".brought").read_text() == "ex/a:1 sha256:1\n"
    modes = [
        stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "records", tmp_path / "records/.brought")
    ]
    assert modes == [0o700, 0o600]


def test_an_image_of_somebody_elses_under_a_name_of_ours_is_said() -> None:
    image = "redis:7.4.11-alpine"
    local, pulled = "i|redis|7.4.11-alpine|<none>", f"i|redis|7.4.11-alpine|{A_DIGEST}"
    with fake(docker(local, "i|smarteros/vault-auth-validator|1|<none>", "i|own|1|<none>")):
        assert list(images.remarks()) == [
            (
                f"docker: {image} is on the host and came from no registry (built, loaded or tagged there), and it runs as ours: "
                f"if that is not meant, `docker image rm {image}`, or name another in overrides.redis.image"
            )
        ]
    with fake(docker(pulled)):
        assert list(images.remarks()) == []
    with fake(docker("i|own/redis|1|<none>"), overrides={"redis": {"image": "own/redis:1"}}):
        assert list(images.remarks()) == []


def test_an_image_that_came_by_its_digest_is_there_without_a_tag() -> None:
    tagged, bare = container("a", image=f"ex/a:1@{A_DIGEST}"), container("b", image=f"ex/b@{A_DIGEST}")
    service = Service("x", "X", (tagged, bare))
    with fake(docker("i|ex/a|1|<none>", f"i|ex/b|<none>|{A_DIGEST}")):
        [command] = texts(images.fetch, [service])
        assert fetched(command) == f"{brought(f'ex/a:1@{A_DIGEST}')} & wait"
    with fake(docker(f"i|ex/a|<none>|{A_DIGEST}", f"i|ex/b|<none>|{A_DIGEST}")):
        assert texts(images.fetch, [service]) == []


def test_an_image_of_ours_is_built_from_the_active_generation() -> None:
    ours = container("v", image="smarteros/vault-auth-validator", build="vault-auth-validator")
    tag = render.image(ours)
    assert images._fetch(tag, ours) == (
        f"docker build --quiet --network host --tag {tag} /opt/smarteros/current/build/vault-auth-validator"
    )


# Start

WEB = container("web", env_file=True, networks=("smarter-net", "tenants-net"))
RUNNING = ContainerState(
    "web", "site", "d1", "s1", "running", "healthy", 0, "example/web:1.0", ("smarter-net", "tenants-net")
)
DONE = ContainerState("job", "site", "d1", "", "exited", "", 0, "example/job:1.0", ())


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (RUNNING, ""),
        (None, "does not exist"),
        (replace(RUNNING, digest="d0"), "its description has changed"),
        (replace(RUNNING, image="example/web:0.9"), "its description has changed"),
        (replace(RUNNING, secrets_digest="s0"), "its secrets have changed"),
        (replace(RUNNING, networks=("smarter-net",)), "networks differ: smarter-net"),
        (replace(RUNNING, networks=()), "networks differ: none"),
        (replace(RUNNING, status="exited"), "has ended: it is started"),
        (replace(RUNNING, status="created"), "was never started: it is started"),
        (
            replace(RUNNING, status="created", networks=("5" * 64, "smarter-net")),
            "was made and never started",
        ),
        (replace(RUNNING, health="starting"), "has not passed its health check yet: it is waited for"),
        (replace(RUNNING, health="unhealthy"), "does not answer as it should: it is waited for"),
        (replace(RUNNING, health=""), "has no health check"),
    ],
)
def test_the_reason_for_a_start_is_said(state: ContainerState | None, reason: str) -> None:
    assert differing.difference(WEB, state, "d1", "s1") == reason


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        ({"/etc/web/a": "1", "/etc/web/b": "2"}, ""),
        (
            {"/etc/web/b": "0", "/etc/web/c": "3"},
            "sees other files than it should: /etc/web/a, /etc/web/b, /etc/web/c",
        ),
        ({}, "sees other files than it should: /etc/web/a, /etc/web/b"),
    ],
)
def test_a_container_that_sees_other_files_is_made_anew(seen: dict[str, str], reason: str) -> None:
    wanted = {"/etc/web/a": "1", "/etc/web/b": "2"}
    assert differing.difference(WEB, replace(RUNNING, files=seen), "d1", "s1", wanted) == reason


def test_a_file_that_is_reloaded_and_one_too_many_are_no_reason_where_files_are_reloaded() -> None:
    caddy = container("web", files={"caddy": "/etc/caddy"}, networks=WEB.networks, reloads=True)
    files = {"caddy/Caddyfile": "new", "caddy/root.pem": "pem", "redis/redis.conf": "another's"}
    wanted = render.mounted(caddy, files)
    assert wanted == {"/etc/caddy/root.pem": hashlib.sha256(b"pem").hexdigest()}
    seen = {**wanted, "/etc/caddy/Caddyfile": "old", "/etc/caddy/extra": "x"}
    assert differing.difference(caddy, replace(RUNNING, files=seen), "d1", "s1", wanted) == ""
    reason = differing.difference(caddy, replace(RUNNING, files={}), "d1", "s1", wanted)
    assert reason == "sees other files than it should: /etc/caddy/root.pem"


def test_secrets_are_no_reason_for_a_container_that_gets_none() -> None:
    assert differing.difference(replace(WEB, env_file=False), RUNNING, "d1", "another") == ""


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (DONE, ""),
        (replace(DONE, exit_code=1), "the job has ended (exit code 1): it runs again"),
        (replace(DONE, status="running"), "the job has not ended yet"),
        (replace(DONE, digest="d0"), "its description has changed"),
    ],
)
def test_a_job_is_done_when_it_ended_well(state: ContainerState, reason: str) -> None:
    assert differing.difference(container("job", job=True), state, "d1", "") == reason


LINE = "c|/web|site|d1|s1|running|healthy|0|example/web:1.0|smarter-net tenants-net "
SITE = Service("site", "Site", (WEB,))
SEES = f"m|/web|/proc/7/root|/etc/web|/opt/smarteros/current/web\ns|{'a' * 64}  /proc/7/root/etc/web/extra"


def test_a_service_that_is_as_described_is_left_alone() -> None:
    with fake(docker(LINE, "e|site|s1")):
        assert texts(containers.start, SITE, {"web": "d1"}) == []


def test_limits_that_somebody_has_changed_are_put_back_and_nothing_is_made_anew() -> None:
    """As compose.yaml gives them, in what Docker says of a container and takes for it."""
    right = "l|/web|unless-stopped|134217728|500000000|512"
    with fake(docker(LINE, right, "e|site|s1")):
        assert texts(containers.start, SITE, {"web": "d1"}) == []
    told = "docker update --restart=unless-stopped --memory=128m --memory-swap=256m --cpus=0.5 --pids-limit=512 web >/dev/null"
    for wrong in ("l|/web|no|134217728|500000000|512", "l|/web|unless-stopped|0|0|<nil>"):
        with fake(docker(LINE, wrong, "e|site|s1")):
            assert texts(containers.start, SITE, {"web": "d1"}) == [told]
        # One that is made anew has its own again.
        with fake(docker(LINE, wrong, "e|site|s2")):
            assert not any(
                text.startswith("docker update") for text in texts(containers.start, SITE, {"web": "d1"})
            )


def test_what_a_failed_run_left_in_the_place_of_a_container_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    with fake(docker(LINE.replace("/web", "/web-next"), "e|site|s1")) as host:
        monkeypatch.setattr(host, "log", said.append)
        assert len(texts(containers.start, SITE, {"web": "d1"})) == 1
    assert said == ["web: its replacement web-next is not in its place yet"]
    with fake(docker(LINE.replace("/web", "/web-next"), "e|site|s1")), drafts.drafting() as steps:
        containers.start(SITE, {"web": "d1"}, name="Services | site")
        [start] = [item for item in steps[0].effects if isinstance(item, Start)]
        assert (start.how, start.away) == ("made anew", False)


# One that was made and never started.
NUMBERED = LINE.replace("running|healthy", "created|").replace("tenants-net", "5" * 64)


@pytest.mark.parametrize(
    ("line", "env", "flags"),
    [
        (LINE, "e|site|s2", ""),
        (LINE.replace("|d1|", "|d0|"), "e|site|s1", ""),
        (LINE.replace("healthy", "unhealthy"), "e|site|s1", ""),
        (LINE.replace("tenants-net ", ""), "e|site|s1", " --force-recreate"),
        (f"{LINE}\n{SEES}", "e|site|s1", " --force-recreate"),
        (NUMBERED, "e|site|s1", " --force-recreate"),
    ],
)
def test_a_service_that_differs_is_brought_up_in_one_command(line: str, env: str, flags: str) -> None:
    with fake(docker(*line.splitlines(), env)):
        (command,) = texts(containers.start, SITE, {"web": "d1"})
    assert f"bring_up /root/dkcompose/site-deploy.yaml web=60{flags}" in command.splitlines()
    assert ("back() {" in command) == ("|d0|" in line or "|s2" in env)


@pytest.mark.parametrize(
    ("name", "measured"), [("web", True), ("worker", False)], ids=["visitors reach it", "nobody reaches it"]
)
def test_how_long_it_takes_is_noted_of_what_visitors_reach(name: str, *, measured: bool) -> None:
    pair = Service("site", "Site", (WEB, replace(WEB, name="worker")), routes=(Route("www", "web", 80),))
    with fake(docker(LINE, LINE.replace("/web", "/worker"), "e|site|s1")):
        (command,) = texts(containers.start, pair, {"web": "d1", "worker": "d1", name: "d9"})
    assert ("/var/lib/smarteros/replaced/site" in command) is measured


def test_what_our_own_build_is_built_on_is_what_a_plan_compares() -> None:
    """Where no generation says what it was built on, nothing but the builds themselves can be compared."""
    built = container("db", image="ours/db", build="postgres", base="up/db:1.1")
    for lines, before, image in (
        (["b|ours/db:0123456789ab|up/db:1.0"], "up/db:1.0", "up/db:1.1"),
        ([], "ours/db:0123456789ab", render.image(built)),
    ):
        line = "c|/db|db|d0||running|healthy|0|ours/db:0123456789ab|smarter-net "
        with fake(docker(line, *lines)), drafts.drafting() as steps:
            containers.start(Service("db", "DB", (built,)), {"db": "d1"}, name="Data | DB")
        (found,) = consequences.starts(steps)
        assert (found.before, found.image) == (before, image)


def test_a_plan_names_what_the_secrets_make_anew_before_their_file_is_there() -> None:
    with fake(docker(LINE, "e|site|s1"), executing=False):
        assert texts(containers.start, SITE, {"web": "d1"}, coming=lambda: "s1") == []
        assert len(texts(containers.start, SITE, {"web": "d1"}, coming=lambda: "s2")) == 1


TOLD = Service("site", "Site", (container("web", env_file=True),))


@pytest.mark.parametrize(
    ("line", "env", "asked"),
    [
        (LINE, "e|site|s2", True),
        (LINE.replace("healthy", "unhealthy"), "e|site|s1", False),
        (LINE.replace("|d1|", "|d0|"), "e|site|s1", False),
    ],
    ids=["other secrets", "the same", "the same of another description"],
)
def test_a_roles_password_is_asked_for_where_containers_have_other_secrets(
    line: str, env: str, *, asked: bool
) -> None:
    statement = "ALTER ROLE x;\n\\q"
    with fake(docker(line, env)):
        (told,) = commands(containers.start, TOLD, {"web": "d1"}, role=lambda: statement)
        assert told.connector_arguments.get("_stdin") == (statement if asked else None)
        assert ("role_told" in str(told)) is asked
        assert "ALTER" not in str(told)
        (right,) = commands(containers.start, TOLD, {"web": "d1"}, role=str)
        assert ("role_told" in str(right), right.connector_arguments) == (False, {})
    with fake(docker(line, env), executing=False):
        (planned,) = commands(
            containers.start, TOLD, {"web": "d1"}, role=lambda: pytest.fail("asked in a plan")
        )
        assert "role_told" not in str(planned)


# Caddyfile


PROXY = container("caddy-proxy", files={"caddy": "/etc/caddy"}, reloads=True)


def caddyfile(digest: str) -> str:
    return f'http://127.0.0.1:2020 {{\n\trespond "{digest}"\n}}\n'


def test_the_caddyfile_is_loaded_when_another_one_is() -> None:
    path = "/opt/smarteros/current/caddy/Caddyfile"
    with fake({"127.0.0.1:2020": ["0123456789ab"]}):
        assert texts(containers.caddyfile, PROXY, caddyfile("0123456789ab")) == []
        (command,) = texts(containers.caddyfile, PROXY, caddyfile("ba9876543210"))
    source = f"--config - --adapter caddyfile < {path}"
    caddy = "docker exec -i caddy-proxy caddy"
    # Nobody new comes in while it is loaded, and one that is not valid keeps nobody out.
    assert command.splitlines() == [
        f"{caddy} validate {source} || exit",
        f"trap {shlex.quote(door.OPEN)} EXIT",
        door.shut(20),
        f"{caddy} reload --force {source}",
    ]


@pytest.mark.parametrize(
    ("health", "sees", "loads"),
    [("starting", "ba9876543210", 0), ("starting", "0123456789ab", 1), ("unhealthy", "ba9876543210", 1)],
)
def test_a_caddy_that_starts_loads_by_itself_the_caddyfile_that_it_sees(
    health: str, sees: str, loads: int
) -> None:
    total = hashlib.sha256(caddyfile(sees).encode()).hexdigest()
    lines = docker(
        f"c|/caddy-proxy|caddy|d||running|{health}|0|caddy:2|smarter-net ",
        "m|/caddy-proxy|/proc/7/root|/etc/caddy|/opt/smarteros/current/caddy",
        f"s|{total}  /proc/7/root/etc/caddy/Caddyfile",
    )
    with fake({**lines, "127.0.0.1:2020": []}):
        assert len(texts(containers.caddyfile, PROXY, caddyfile("ba9876543210"))) == loads


def test_what_a_caddy_has_loaded_that_cannot_be_asked_is_not_loaded_again() -> None:
    with fake({"127.0.0.1:2020": ["?"]}) as host:
        (step,) = commands(containers.caddyfile, PROXY, caddyfile("0123456789ab"))
        assert step.function(host.state, host) is False


# Generations

FILES = {"redis/redis.conf": "dir /data\n", "bin/run.sh": "#!/bin/sh\n", "weird/ü $x 'y'": "no newline, \t ü"}


def tree(files_: Mapping[str, str], mode: str = "") -> list[str]:
    """What TreeFact's command prints for these files."""
    states = files.expected(files_, mode)
    return [
        line
        for path, state in states.items()
        for line in (f"m|{state.mode}|{state.owner}||{path}", f"s|{state.sha256}  ./{path}")
    ]


def test_an_active_generation_is_left_alone() -> None:
    link = "l|/opt/smarteros/current/caddy/Caddyfile|/root/Caddyfile"
    with fake({"cd /opt/smarteros/current/": [*tree(FILES), link]}):
        links = {"/root/Caddyfile": "/opt/smarteros/current/caddy/Caddyfile"}
        assert texts(files.generation, FILES, "d1", links) == []


@pytest.mark.parametrize(
    "found",
    [
        [],
        tree({**FILES, "redis/redis.conf": "edited"}),
        tree({**FILES, "more": ""}),
        tree({"redis/redis.conf": "dir /data\n"}),
        [line.replace("m|644", "m|666") for line in tree(FILES)],
        [line.replace("root:root", "nobody:root") for line in tree(FILES)],
    ],
    ids=["absent", "edited", "one too many", "one missing", "mode", "owner"],
)
def test_any_difference_makes_a_fresh_copy_active(found: list[str]) -> None:
    with fake({"cd /opt/smarteros/current/": found}):
        (command,) = commands(files.generation, FILES, "d1", {})
    assert str(command) == files._activate("d1")
    assert "redis" not in str(command)
    assert stdin(command) == files.archive(FILES)


def test_only_wrong_links_are_made() -> None:
    links = {"/root/a": "/opt/smarteros/current/a", "/root/it's": "/opt/smarteros/current/b"}
    with fake(
        {
            "cd /opt/smarteros/current/": [
                *tree(FILES),
                "l|/opt/smarteros/current/a|/root/a",
                "l|/x|/root/it's",
            ]
        }
    ):
        (command,) = texts(files.generation, FILES, "d1", links)
    assert command == files._link({"/root/it's": "/opt/smarteros/current/b"})


def test_secret_files_go_over_standard_input_only() -> None:
    secret = {"n8n.env": 'KEY="hunter2"\n', "redis.env": 'PASSWORD="hunter3"\n'}
    with fake({"cd /vault/secrets": [*tree({"n8n.env": secret["n8n.env"], "odoo.env": "kept"}, mode="600")]}):
        (command,) = list(files.secret_files(secret))
    with fake({"cd /vault/secrets": tree(secret, mode="600")}):
        assert list(files.secret_files(secret)) == []
    assert not isinstance(command, str)
    assert str(command) == files._replace_secrets(["redis.env"])
    assert stdin(command) == files.archive({"redis.env": secret["redis.env"]}, mode="600")  # type: ignore[arg-type]
    assert "hunter" not in str(command)


def test_a_folder_of_secrets_that_others_can_enter_is_closed() -> None:
    secret = {"n8n.env": 'KEY="hunter2"\n'}
    with fake({"cd /vault/secrets": [*tree(secret, mode="600"), "m|755|root:root||.//"]}):
        (command,) = list(files.secret_files(secret))
    assert str(command) == files._replace_secrets([])


def test_a_folder_of_the_generation_that_others_can_write_makes_a_fresh_copy() -> None:
    with fake({"cd /opt/smarteros/current/": [*tree(FILES), "m|777|root:root||./redis/"]}):
        (command,) = texts(files.generation, FILES, "d1", {})
    assert command == files._activate("d1")


# The same shell, run


def shell(script: str, root: Path, text: str = "") -> int:
    """Runs it with our places below ``root``; pyinfra ends standard input with a newline."""
    moved = script.replace("/opt/smarteros", f"{root}/opt").replace("/vault/secrets", f"{root}/secrets")
    done = subprocess.run(
        ["sh", "-c", moved.replace("/root/", f"{root}/home/").replace("/var/lib", f"{root}/lib")],
        input=text + "\n",
        text=True,
        capture_output=True,
        check=False,
        timeout=30,
    )
    return done.returncode


def seen(folder: Path) -> dict[str, FileState]:
    """What TreeFact sees there; its owner is whoever runs the tests."""
    printed = subprocess.run(
        ["sh", "-c", TreeFact().command(f"{folder}/")], capture_output=True, text=True, check=True
    ).stdout
    states = TreeFact().process(printed.splitlines())
    return {path: replace(state, owner="root:root") for path, state in states.items()}


def interrupted(script: str) -> list[str]:
    """The script as it is when it is killed after each of its lines."""
    lines = script.splitlines()
    return ["\n".join([*lines[: end + 1], "exit 1", *lines[end + 1 :]]) for end in range(len(lines) - 1)]


OLD = {"redis/redis.conf": "old\n"}


def test_what_arrives_is_what_was_sent(tmp_path: Path) -> None:
    assert shell(files._activate("d1"), tmp_path, files.archive(FILES)) == 0
    assert seen(tmp_path / "opt" / "current") == files.expected(FILES)
    assert (tmp_path / "opt" / "current").readlink() == Path("generations/d1")


@pytest.mark.parametrize("script", interrupted(files._activate("d2")))
def test_a_run_killed_at_any_line_leaves_a_whole_generation_and_the_next_converges(
    script: str, tmp_path: Path
) -> None:
    current = tmp_path / "opt" / "current"
    assert shell(files._activate("d1"), tmp_path, files.archive(OLD)) == 0
    shell(script, tmp_path, files.archive(FILES))
    assert seen(current) in (files.expected(OLD), files.expected(FILES))
    assert shell(files._activate("d2"), tmp_path, files.archive(FILES)) == 0
    assert seen(current) == files.expected(FILES)
    assert not (tmp_path / "opt" / ".incoming").exists()


def test_a_cut_upload_activates_nothing(tmp_path: Path) -> None:
    current = tmp_path / "opt" / "current"
    assert shell(files._activate("d1"), tmp_path, files.archive(OLD)) == 0
    for size in (0, 40, 200):
        assert shell(files._activate("d2"), tmp_path, files.archive(FILES)[:size]) != 0
        assert seen(current) == files.expected(OLD)


def test_five_generations_are_kept_and_the_active_one_always(tmp_path: Path) -> None:
    opt = tmp_path / "opt"
    for number in range(8):
        assert shell(files._activate(f"d{number}"), tmp_path, files.archive({"n": str(number)})) == 0
        assert (opt / "current" / "n").read_text() == str(number)
    assert sorted(path.name for path in (opt / "generations").glob("d*")) == ["d3", "d4", "d5", "d6", "d7"]
    assert (opt / "generations/.previous").readlink() == Path("d6")


def test_the_active_generation_is_kept_when_the_clock_was_set_back(tmp_path: Path) -> None:
    opt = tmp_path / "opt"
    for number in range(6):
        (opt / "generations" / f"future{number}").mkdir(parents=True)
        os.utime(opt / "generations" / f"future{number}", (2**32, 2**32))
    assert shell(files._activate("d1"), tmp_path, files.archive(FILES)) == 0
    assert seen(opt / "current") == files.expected(FILES)


def test_a_hand_edited_generation_is_kept_beside_its_fresh_copy(tmp_path: Path) -> None:
    opt = tmp_path / "opt"
    shell(files._activate("d1"), tmp_path, files.archive(FILES))
    (opt / "current" / "redis" / "redis.conf").write_text("edited")
    assert shell(files._activate("d1"), tmp_path, files.archive(FILES)) == 0
    assert seen(opt / "current") == files.expected(FILES)
    assert (opt / "generations" / "d1" / "redis" / "redis.conf").read_text() == "edited"
    assert sorted(path.name for path in (opt / "generations").iterdir()) == [".previous", "d1", "d1+"]


def test_a_file_of_the_operators_in_a_links_place_is_kept(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "Caddyfile").write_text("mine")
    (home / "stale").symlink_to("/nowhere")
    kept = tmp_path / "lib/smarteros/before"
    links = {"/root/Caddyfile": "/opt/smarteros/current/c", "/root/stale": "/x", "/root/deep/it's": "/y"}
    for _ in range(2):
        assert shell(files._link(links), tmp_path) == 0
        assert (home / "Caddyfile").readlink() == tmp_path / "opt" / "current" / "c"
        assert (home / "stale").readlink() == Path("/x")
        assert (home / "deep" / "it's").readlink() == Path("/y")
    assert (kept / f"files{home}/Caddyfile").read_text() == "mine"
    assert (kept / f"files{home}/stale").readlink() == Path("/nowhere")
    assert (kept / "index").read_text().splitlines() == [
        f"kept {home}/Caddyfile",
        f"kept {home}/stale",
        f"new {home}/deep/it's",
    ]
    for text in ("mine again", "and again"):
        (home / "Caddyfile").unlink()
        (home / "Caddyfile").write_text(text)
        assert shell(files._link(links), tmp_path) == 0
    assert (kept / f"files{home}/Caddyfile").read_text() == "mine"
    assert (home / "Caddyfile.before-smarteros").read_text() == "and again"
    assert (home / "Caddyfile.before-smarteros.~1~").read_text() == "mine again"


SECRET = {"n8n.env": 'KEY="1"\n', "redis.env": 'PASSWORD="2"\n'}


WRITE = files._replace_secrets(SECRET)


@pytest.mark.parametrize("script", [*interrupted(WRITE), WRITE])
def test_secret_files_are_whole_and_nobody_elses_whenever_a_run_is_killed(
    script: str, tmp_path: Path
) -> None:
    folder = tmp_path / "secrets"
    before = {"n8n.env": 'KEY="0"\n', "odoo.env": "kept\n"}
    assert shell(WRITE, tmp_path, files.archive(before, mode="600")) == 0
    shell(script, tmp_path, files.archive(SECRET, mode="600"))
    assert (folder / "n8n.env").read_text() in (before["n8n.env"], SECRET["n8n.env"])
    assert all(stat.S_IMODE(path.lstat().st_mode) & 0o77 == 0 for path in folder.rglob("*"))
    assert shell(WRITE, tmp_path, files.archive(SECRET, mode="600")) == 0
    assert seen(folder) == files.expected({**before, **SECRET}, mode="600")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
