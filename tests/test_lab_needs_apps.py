"""The applications' doubles in containers that upstream's programs could not live in, or not do all they do in."""

from __future__ import annotations

import importlib
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from tasks.model.catalogue import Container
from tasks.services import load
from tests.lab.images import FOLDER
from tests.samples import stack

MB = 2**20
BOTPRESS = {
    "DATABASE_URL": "postgres://botpress:secret@127.0.0.1:1/botpress",
    "EXTERNAL_URL": "https://bot.example.com",
}


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module of the doubles' package, as the images have it."""
    monkeypatch.syspath_prepend(FOLDER / "double")
    return lambda name: importlib.import_module(f"double.{name}")


def limited(double: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mb: int) -> None:
    """A container with so much memory."""
    (tmp_path / "limit").write_text(f"{mb * MB}\n")
    monkeypatch.setattr(double("needs"), "LIMITS", (tmp_path / "limit",))


def container(name: str, **changes: Any) -> Container:
    """A container of the catalogue."""
    return next(item for each in load(stack(**changes)) for item in each.containers if item.name == name)


@pytest.mark.parametrize(
    ("profile", "overrides"),
    [
        ("minimum", {}),
        ("recommended", {}),
        ("production", {}),
        ("minimum", {"metabase": {"memory_mb": 1300}}),
    ],
)
def test_the_catalogues_limits_are_enough(profile: str, overrides: dict[str, Any], double: Any) -> None:
    metabase = container("smarteros-metabase", profile=profile, overrides=overrides)
    options, limit = metabase.environment["JAVA_OPTS"], metabase.size.memory_mb
    assert double("metabase")._heap_problem(options, limit) == ""
    assert limit >= double("metabase").NEEDED_MB
    assert container("botpress", profile=profile).size.memory_mb >= double("botpress").NEEDED_MB
    needed = double("chatwoot").NEEDED_MB
    for name, word in {
        "chatwoot": "s",
        "chatwoot-sidekiq": "sidekiq",
        "chatwoot-prepare": "db:chatwoot_prepare",
    }.items():
        assert container(name, profile=profile).size.memory_mb >= needed[word]


def test_an_override_below_what_a_double_needs_is_refused_before_the_first_change(double: Any) -> None:
    needed = {
        "botpress": double("botpress").NEEDED_MB,
        "smarteros-metabase": double("metabase").NEEDED_MB,
        "chatwoot": double("chatwoot").NEEDED_MB["s"],
        "dokploy": double("dokploy").MEMORY_MB,
    }
    assert {name: container(name).size.least for name in needed} == needed


@pytest.mark.parametrize(
    ("options", "limit", "problem"),
    [
        ("", 2048, ""),
        ("-Xmx716m", None, ""),
        ("-Xmx716m", 1024, "JAVA_OPTS: a heap of 716 MB in 1024 MB leaves less than the 400 MB beside it"),
        ("-Xmx624m", 1024, ""),
        ("-Xms64m -Xmx1g", 2048, ""),
        ("-XX:MaxRAMPercentage=55 -XX:InitialRAMPercentage=10", 2048, ""),
        ("-XX:MaxRAMPercentage=90.5", 2048, "JAVA_OPTS: a heap of 1853 MB in 2048 MB leaves less than the 400 MB beside it"),
        ("-XX:MaxRAMPercent=50", 2048, "JAVA_OPTS: -XX:MaxRAMPercent=50: Could not create the Java Virtual Machine"),
    ],
)  # fmt: skip
def test_metabase_needs_room_beside_its_heap(
    double: Any, options: str, limit: int | None, problem: str
) -> None:
    assert double("metabase")._heap_problem(options, limit) == problem


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({}, "started"),
        ({"MB_LOAD_SAMPLE_CONTENT": ""}, "failed to map segment from shared object"),
        ({"XDG_CACHE_HOME": ""}, "/proc/.cache/org.graalvm.polyglot is not writable"),
    ],
)
def test_metabase_loads_no_driver_from_tmp_and_has_somewhere_to_unpack(
    double: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, changes: dict[str, str], refusal: str
) -> None:
    module = double("metabase")

    def noexec(*_arguments: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    def started(_folder: Path) -> None:
        raise RuntimeError("started")

    monkeypatch.setattr(double("needs").mmap, "mmap", noexec)
    monkeypatch.setattr(module, "demand", lambda *_: None)
    monkeypatch.setattr(module, "_plugins", started)
    limited(double, monkeypatch, tmp_path, 2048)
    right = {"MB_LOAD_SAMPLE_CONTENT": "false", "XDG_CACHE_HOME": str(tmp_path)}
    with pytest.raises(Exception, match=refusal):
        module.run([], {"JAVA_OPTS": "-Duser.home=/proc", **right, **changes})


def test_the_catalogues_metabase_keeps_what_it_unpacks_where_it_can_write(double: Any) -> None:
    metabase = container("smarteros-metabase")
    place = double("metabase")._cache(metabase.environment)
    assert any(place.is_relative_to(mount.partition(":")[0]) for mount in metabase.tmpfs)
    without = {name: value for name, value in metabase.environment.items() if name != "XDG_CACHE_HOME"}
    assert double("metabase")._cache(without) == Path("/tmp/.cache/org.graalvm.polyglot")


def test_a_used_set_up_token_is_a_wrong_one(double: Any) -> None:
    user = {"email": "a@b.example", "password": "Secret-1234"}
    errors = double("metabase_api")._setup_errors({"token": ""}, user, {"site_name": "x"}, "")
    assert errors == {"token": "Token does not match the setup token."}


@pytest.mark.parametrize(
    ("started", "limit", "needed"),
    [
        (("botpress",), 1024, 1536),
        (("chatwoot", "rails", "s"), 512, 868),
        (("chatwoot", "sidekiq", "-C", "config/sidekiq.yml"), 512, 868),
        (("chatwoot", "rails", "db:chatwoot_prepare"), 512, 612),
    ],
)
def test_too_little_memory_ends_the_start(  # noqa: PLR0913, PLR0917  fixtures
    double: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    started: tuple[str, ...],
    limit: int,
    needed: int,
) -> None:
    limited(double, monkeypatch, tmp_path, limit)
    program, *arguments = started
    monkeypatch.setattr(double(program), "demand", lambda *_: None)
    with pytest.raises(Exception, match=f"Killed: it needs {needed} MB of memory and is given {limit} MB"):
        double(program).run(arguments, BOTPRESS)


def botpress(double: Any, duckling: str, *, studio: bool, servers: tuple[str, ...] = ()) -> Any:
    """Its handlers, beside a database that works."""
    works = type("Works", (), {"works": lambda _self: True})()
    return double("botpress").Botpress(works, "secret", duckling, studio=studio, servers=servers).site("")


def asked(double: Any, site: Any, path: str) -> tuple[int, str]:
    """What a visitor of the site gets."""
    answer = site.answer(double("web").Request("GET", path, {}, {}))
    return answer.status, answer.body.decode()


def test_studio_is_there_only_where_native_modules_can_be_loaded(
    double: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert double("botpress")._starts_studio()
    status, text = asked(double, botpress(double, "", studio=True), "/studio/smarteros")
    assert (status, "Botpress Studio" in text) == (200, True)

    def noexec(*_arguments: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(double("needs").mmap, "mmap", noexec)
    assert not double("botpress")._starts_studio()
    assert "Could not require NativeExtension" in capsys.readouterr().out
    assert asked(double, botpress(double, "", studio=False), "/studio/smarteros")[0] == 504


def test_botpress_asks_for_studio_where_its_users_do() -> None:
    (route,) = next(item for item in load(stack()) if item.name == "botpress").routes
    assert (route.check, route.expect) == ("/studio/smarteros", (200,))


def test_nlu_is_up_with_duckling_beside_it(
    double: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    duckling = double("duckling")
    made: list[Any] = []
    monkeypatch.setattr(duckling, "serve", lambda site, port: made.append((site, port)))
    duckling.run([], {})
    ((site, port),) = made
    assert (port, [item.name for item in tmp_path.iterdir()]) == (8000, ["log"])
    server = double("web").server(site, 0, "127.0.0.1")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    up = '{"botpress": "up", "database": "up", "messaging": "up", "nlu": "up"}'
    assert asked(double, botpress(double, url, studio=True), "/status") == (200, up)
    server.shutdown()
    server.server_close()
    down = up.replace('"nlu": "up"', '"nlu": "down"')
    assert asked(double, botpress(double, url, studio=True), "/status") == (200, down)
    assert asked(double, botpress(double, "", studio=True), "/status") == (200, down)


def test_duckling_starts_where_it_can_write_and_bp_stays_the_process_that_gets_signals(
    tmp_path: Path,
) -> None:
    programs = {
        "duckling": f'echo "$(pwd) ${{PORT-none}}" >{tmp_path}/begun && mv {tmp_path}/begun {tmp_path}/duckling.said',
        "bp": f'until [ -e {tmp_path}/duckling.said ]; do sleep 0.05; done; echo "$$ $PORT"',
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    botpress = container("botpress")
    command = [word.replace("/botpress/", f"{tmp_path}/") for word in botpress.command]
    environment = {"PATH": "/usr/bin:/bin", "PORT": botpress.environment["PORT"]}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as started:
        said, _ = started.communicate(timeout=20)
    assert said == f"{started.pid} 3000\n"
    assert (tmp_path / "duckling.said").read_text() == f"{botpress.tmpfs[0]} none\n"


def test_a_language_server_that_is_named_has_to_be_there(double: Any) -> None:
    named = double("botpress")._named
    assert named("") == ()
    assert named('[{"endpoint": "https://lang.example.com"}]') == ("https://lang.example.com",)
    with pytest.raises(Exception, match="BP_MODULE_NLU_LANGUAGESOURCES: cannot read 'lang'"):
        named("lang")
    web = double("web")
    site = web.Site({"GET /info": lambda _request: web.as_json({"ready": True, "languages": []})})
    server = web.server(site, 0, "127.0.0.1")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    there, gone = f"http://127.0.0.1:{server.server_port}", "http://127.0.0.1:9"

    def speaks(*servers: str) -> bool:
        return bool(double("botpress").Botpress(None, "secret", "", studio=True, servers=servers).speaks())

    assert [speaks(), speaks(there), speaks(gone, f"{there}/"), speaks(gone)] == [True, True, True, False]
    server.shutdown()
    server.server_close()


def test_sessions_are_signed_with_vaults_secret_and_not_with_one_of_its_database(
    double: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    composed = next(item for item in load(stack()) if item.name == "botpress").composed
    (name,) = [name for name, value in composed.items() if value == "{APP_SECRET}"]
    module = double("botpress")
    limited(double, monkeypatch, tmp_path, 2048)
    made: list[Any] = []
    kept = [{"content": '{"appSecret": "the database\'s"}'}]
    works = type("Works", (), {"query": lambda *_: kept, "login": lambda _: None, "migrate": lambda *_: None})
    for function, stand_in in {
        "Database": lambda _url: works(),
        "writable": lambda _folder: tmp_path,
        "serve": lambda *_: None,
    }.items():
        monkeypatch.setattr(module, function, stand_in)
    monkeypatch.setattr(module.Botpress, "site", lambda bot, _root: made.append(bot.secret))
    for secret in ("Vault's", ""):
        module.run([], {**BOTPRESS, "BPFS_STORAGE": "database", name: secret})
    assert made == ["Vault's", "the database's"]


def test_an_address_is_kept_in_lower_case(double: Any) -> None:
    rows: list[tuple[str, ...]] = []
    database = type("Database", (), {"query": lambda _self, _sql, values: rows.append(values)})()
    double("botpress").Botpress(database, "secret", "", studio=True).create("Ops@Example.COM", "password")
    assert rows[0][0] == "ops@example.com"


def test_bundle_install_fails_on_a_root_that_is_read_only_and_check_does_not(tmp_path: Path) -> None:
    bundle = FOLDER / "chatwoot" / "bundle"
    script = bundle.read_text().replace("/app/", f"{tmp_path}/absent/")

    def run(word: str) -> tuple[int, str]:
        done = subprocess.run(
            ["sh", "-c", script, "bundle", word], capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr

    status, said = run("install")
    assert (status, "system call raised EROFS" in said) == (23, True)
    assert run("check") == (0, "The Gemfile's dependencies are satisfied\n")


def test_chatwoot_starts_its_programs_without_seeing_to_gems_first() -> None:
    for name in ("chatwoot", "chatwoot-sidekiq", "chatwoot-prepare"):
        found = container(name)
        assert (found.entrypoint, found.command[:2]) == ((), ("bundle", "exec"))
        timeout = found.environment.get("POSTGRES_STATEMENT_TIMEOUT")
        assert timeout == ("600s" if name == "chatwoot-prepare" else None)
