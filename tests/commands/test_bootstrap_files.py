"""`make bootstrap`: what it writes, what it goes by again, and whose files it leaves alone."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tasks.commands import answers, described, written
from tasks.commands.described import Described
from tasks.run import Refused
from tasks.services import every
from tests.samples import ROOT

GIVEN = {"HOST": "deploy@203.0.113.7:2222", "ZONE": "acme.io", "EMAIL": "ops@acme.io"}
MARK = "# Written by `make bootstrap`, which goes by it as it is once it was edited: "

INVENTORY = '''"""prod: the hosts, and nothing else. Settings that differ from all.py stand in group_data/prod.py."""

{mark}

from pathlib import Path

from tasks.connection.inventory import hosts

nodes = hosts(
    (
        "203.0.113.7",
        {
            "ssh_hostname": "203.0.113.7",
            "ssh_user": "deploy",
            "ssh_port": 2222,
            "_sudo": True,
            "ssh_known_hosts_file": str(Path(__file__).with_suffix(".known_hosts")),
            "ssh_strict_host_key_checking": "yes",
        },
    ),
)
'''
SETTINGS = '''"""prod: what differs from all.py."""

{mark}

zone = "acme.io"
mirror_zones = []
acme_email = "ops@acme.io"
'''


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A repository, as far as it is about settings."""
    for folder in ("inventories", "group_data"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def nobody(variable: str, question: str) -> str:
    raise AssertionError(f"{variable} was asked for: {question}")


def told(home: Path, ask: Any = nobody, **environment: str) -> Described:
    """What a bootstrap with these variables is about; its files are written."""
    found = described.described(home, answers.given(environment), ask)
    for path, text in found.files.items():
        written.keep(path, text)
    return found


def refused(home: Path, **environment: str) -> str:
    before = files(home)
    with pytest.raises(Refused) as error:
        told(home, **environment)
    assert files(home) == before
    return str(error.value)


def files(home: Path) -> dict[str, str]:
    return {str(path.relative_to(home)): path.read_text() for path in sorted(home.glob("*/*.py"))}


def plain(path: Path) -> str:
    """Without the digest, which has its own test."""
    return re.sub(rf"{re.escape(MARK)}[0-9a-f]{{16}}\n", "{mark}\n", path.read_text())


def test_it_writes_what_differs_and_nothing_else_in_the_place_of_the_examples(home: Path) -> None:
    found = told(home, **GIVEN)
    assert plain(home / "inventories/prod.py") == INVENTORY
    assert plain(home / "group_data/prod.py") == SETTINGS
    assert found.known_hosts == home / "inventories/prod.known_hosts"
    assert (found.host, found.settings["zone"], found.settings["docker_source"]) == (
        "deploy@203.0.113.7:2222",
        "acme.io",
        "distribution",
    )
    name, data = written.node(home / "inventories/prod.py")
    assert (name, data["ssh_known_hosts_file"]) == ("203.0.113.7", str(found.known_hosts))


def test_an_answer_that_is_as_all_py_has_it_holds_for_the_next_run_that_says_nothing(home: Path) -> None:
    """It stands in no other file."""
    told(home, **GIVEN, MIRRORS="smarterbot.store")
    before = files(home)
    assert "mirror_zones" not in before["group_data/prod.py"]
    assert told(home).settings["mirror_zones"] == ["smarterbot.store"]
    assert files(home) == before


def test_this_machine_needs_no_login(home: Path) -> None:
    found = told(home, HOST="@local", ZONE="acme.io", EMAIL="ops@acme.io", NAME="here")
    assert found.login == {}
    assert (home / "inventories/here.py").read_text().endswith('\nnodes = hosts("@local")\n')
    assert told(home, NAME="here", HOST="@local").host == "@local"


def test_what_is_written_is_in_the_houses_format(home: Path) -> None:
    every = "chatwoot botpress n8n odoo metabase mcp-registry dokploy"
    told(
        home,
        **GIVEN,
        SERVICES=every,
        MIRRORS="acme.net,acme.org",
        BUCKET="https://s3.acme.io/a-long-name-of-a-bucket-for-the-backups",
        BUCKET_ROOT=str(ROOT / "tests/rendering/authority.pem"),
    )
    shutil.copy(ROOT / "pyproject.toml", home)
    names = ["inventories/prod.py", "group_data/prod.py"]
    for words in (["format", "--check"], ["check"]):
        ruff = [str(Path(sys.executable).with_name("ruff")), *words, "--no-cache", *names]
        done = subprocess.run(ruff, cwd=home, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_again_it_asks_nothing_and_writes_nothing(home: Path) -> None:
    told(home, **GIVEN, SERVICES="n8n odoo", BUCKET="https://s3.acme.io/backups", BUCKET_REGION="eu")
    before = files(home)
    again = told(home)
    assert files(home) == before
    assert again.settings["services"] == ["vault", "postgres", "n8n", "odoo", "caddy"]
    assert again.settings["backup"] == {"endpoint": "https://s3.acme.io", "bucket": "backups", "region": "eu"}
    assert again.host == "deploy@203.0.113.7:2222"
    assert told(home, **GIVEN).settings == again.settings


def test_a_zone_that_is_the_default_is_not_asked_for_again(home: Path) -> None:
    told(home, **{**GIVEN, "ZONE": "smarterbot.cl"})
    assert "zone = " not in (home / "group_data/prod.py").read_text().replace("mirror_zones = ", "")
    assert told(home).settings["zone"] == "smarterbot.cl"


def test_an_answer_changes_what_was_written_by_it(home: Path) -> None:
    told(home, **GIVEN)
    told(home, SERVICES="chatwoot", ZONE="acme.net")
    assert plain(home / "group_data/prod.py") == (
        '"""prod: what differs from all.py."""\n\n{mark}\n\nzone = "acme.net"\nmirror_zones = []\n'
        'services = ["vault", "postgres", "redis", "chatwoot", "caddy"]\nacme_email = "ops@acme.io"\n'
    )


def test_what_the_host_needs_comes_beside(home: Path) -> None:
    found = described.changed(home, "prod", told(home, **GIVEN), docker_source="docker.com")
    for path, text in found.files.items():
        written.keep(path, text)
    assert 'docker_source = "docker.com"\n' in (home / "group_data/prod.py").read_text()
    before = files(home)
    assert told(home).settings["docker_source"] == "docker.com"
    assert files(home) == before
    path = home / "group_data/prod.py"
    path.write_text(path.read_text().replace('docker_source = "docker.com"\n', ""))
    with pytest.raises(
        Refused, match=r'prod\.py was edited, and lacks this: docker_source = "docker\.com": '
    ):
        described.changed(home, "prod", told(home), docker_source="docker.com")


def test_another_host_is_refused(home: Path) -> None:
    told(home, **GIVEN)
    said = refused(home, HOST="root@203.0.113.8")
    assert said == (
        "inventories/prod.py is about deploy@203.0.113.7:2222, and HOST is root@203.0.113.8: another name for another host "
        "(NAME=…); or remove inventories/prod.py, if that one is gone for good"
    )


def test_edited_settings_stay_and_are_gone_by(home: Path) -> None:
    told(home, **GIVEN, SERVICES="n8n")
    path = home / "group_data/prod.py"
    path.write_text(path.read_text() + 'timezone = "America/Santiago"\n')
    before = files(home)
    found = told(home, **GIVEN, SERVICES="n8n")
    assert files(home) == before
    assert found.settings["timezone"] == "America/Santiago"
    said = refused(home, ZONE="acme.net", SERVICES="odoo", BUCKET="https://s3.acme.io/backups")
    assert said == (
        "group_data/prod.py was edited, or never written by this command, and is left alone. It says otherwise:\n"
        '    zone = "acme.io" there, and "acme.net" was said\n'
        '    services = ["vault", "postgres", "n8n", "caddy"] there, and ["vault", "postgres", "odoo", "caddy"] was said\n'
        "    Change it there or say nothing of it.\n"
        "It says nothing of what was said; all.py has something else. Write into it:\n"
        '        backup = {"endpoint": "https://s3.acme.io", "bucket": "backups"}\n'
        "    For another host name another inventory (NAME=…)"
    )


def test_what_settings_of_somebodys_own_do_not_say_is_ready_to_be_written_there(home: Path) -> None:
    path = home / "group_data/trial.py"
    shutil.copy(home / "group_data/lab.py", path)
    given = {"NAME": "trial", "HOST": "@local", "SERVICES": "mcp-registry"}
    said = refused(home, **given)
    lines = 'services = ["vault", "mcp-registry", "caddy"]'
    assert said == (
        "group_data/trial.py was edited, or never written by this command, and is left alone. It says nothing of what was said; "
        f"all.py has something else. Write into it:\n        {lines}\n    For another host name another inventory (NAME=…)"
    )
    path.write_text(f"{path.read_text()}{lines}\n")
    assert told(home, **given).settings["services"] == ["vault", "mcp-registry", "caddy"]


def test_an_inventory_of_somebodys_own_stays_and_its_keys_are_where_ssh_has_them(home: Path) -> None:
    path = home / "inventories/mine.py"
    path.write_text(
        'from tasks.connection.inventory import hosts\nnodes = hosts(("m", {"ssh_hostname": "m.acme.io", "ssh_user": "root"}))\n'
    )
    found = told(home, NAME="mine", HOST="root@m.acme.io", ZONE="acme.io", EMAIL="ops@acme.io")
    assert found.known_hosts == Path("~/.ssh/known_hosts").expanduser()
    assert found.login["ssh_hostname"] == "m.acme.io"
    assert "mine.py is about root@m.acme.io, and HOST is root@x.acme.io" in refused(
        home, NAME="mine", HOST="root@x.acme.io"
    )
    path.write_text('from tasks.connection.inventory import hosts\nnodes = hosts("a", "b")\n')
    assert "inventories/mine.py lists 2 hosts, and this is about one" in refused(home, NAME="mine")
    path.write_text("nodes = [\n")
    assert refused(home, NAME="mine").startswith("inventories/mine.py cannot be read ('[' was never closed")


def test_settings_that_reckon_have_what_they_import_beside_them(home: Path) -> None:
    (home / "group_data/trial.py").write_text(
        f"import json\nfrom pathlib import Path\n\nacme_email = json.loads('\"ops@acme.io\"')\nstate_dir = str(Path({str(home)!r}))\n"
    )
    found = told(home, NAME="trial", HOST="@local", SERVICES=" ".join(set(every()) - {"backup"}))
    assert (found.settings["acme_email"], found.settings["state_dir"]) == ("ops@acme.io", str(home))


def test_an_example_that_was_edited_is_somebodys(home: Path) -> None:
    path = home / "group_data/prod.py"
    path.write_text(path.read_text().replace("ops@smarterbot.cl", "me@acme.io"))
    said = refused(home, **GIVEN)
    assert 'acme_email = "me@acme.io" there, and "ops@acme.io" was said' in said
    assert 'Write into it:\n        zone = "acme.io"' in said


@pytest.mark.parametrize("name", ["inventories/prod.py", "inventories/staging.py", "group_data/prod.py", "group_data/staging.py", "group_data/local.py"])  # fmt: skip
def test_the_examples_are_as_their_line_says(name: str) -> None:
    path = ROOT / name
    assert written.standing(path) in ("example", "ours"), f"its digest is {written.digest(path.read_text())}"


def test_what_cannot_be_deployed_is_refused_before_it_is_written(home: Path) -> None:
    said = refused(home, HOST="root@203.0.113.7", ZONE="acme", EMAIL="ops", SERVICES="n8m")
    assert said.splitlines()[0] == "these settings cannot be deployed:"
    assert "    zone: 'acme' is no domain name (like smarterbot.cl)" in said
    assert "    acme_email: 'ops' is no e-mail address" in said
    said = refused(home, **GIVEN, SERVICES="n8m odoo")
    assert "unknown service 'n8m' (did you mean 'n8n'?)" in said


def test_what_is_not_said_is_asked_for_once(home: Path) -> None:
    asked: list[str] = []

    def ask(variable: str, question: str) -> str:
        asked.append(variable)
        return GIVEN[variable]

    told(home, ask)
    assert asked == ["HOST", "ZONE", "EMAIL"]
    assert plain(home / "group_data/prod.py") == SETTINGS


def test_a_wrong_answer_is_said_and_asked_for_again_and_no_right_one_is(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = iter(
        [
            "",
            "ssh root@203.0.113.7",
            "Jane.Doe@203.0.113.7",
            "https://acme.io",
            "acme.io",
            "ops",
            "ops@acme.io",
        ]
    )
    asked: list[str] = []

    def ask(variable: str, question: str) -> str:
        asked.append(variable)
        return next(typed)

    # What is wrong with other answers has its time afterwards.
    with pytest.raises(Refused, match="unknown service 'n8m'"):
        told(home, ask, SERVICES="n8m")
    assert asked == ["HOST", "HOST", "HOST", "ZONE", "ZONE", "EMAIL", "EMAIL"]
    how = "say which VPS it is, as root@203.0.113.7, or as admin@203.0.113.7:2222 where its port is another"
    assert capsys.readouterr().err.splitlines() == [
        f"bootstrap: HOST='': {how}",
        f"bootstrap: HOST='ssh root@203.0.113.7': {how}",
        "bootstrap: zone: 'https://acme.io' is no domain name (did you mean 'acme.io'?)",
        "bootstrap: acme_email: 'ops' is no e-mail address",
    ]


def test_a_run_that_is_killed_while_it_writes_leaves_nothing_beside_that_the_next_one_does_not_take(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def there() -> list[str]:
        return [path.name for path in sorted(home.glob("*/*")) + sorted(home.glob("*/.*"))]

    before = there()

    def killed(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as inner:
        inner.setattr(Path, "replace", killed)
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                told(home, **GIVEN)
    told(home, **GIVEN)
    assert there() == before
    assert plain(home / "group_data/prod.py") == SETTINGS


def test_a_file_at_home_is_named_as_shells_do(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(ROOT / "tests/rendering"))
    found = told(home, **GIVEN, BUCKET="https://s3.acme.io/backups", BUCKET_ROOT="~/authority.pem")
    assert found.settings["backup"]["root"] == str(ROOT / "tests/rendering/authority.pem")


@pytest.mark.parametrize(
    ("variable", "value", "why"),
    [
        ("NAME", "all", "NAME='all' cannot name an inventory: small letters, digits and dashes, and none of"),
        ("NAME", "../x", "NAME='../x' cannot name an inventory"),
        ("HOST", "root@", "HOST='root@': say which VPS it is, as root@203.0.113.7"),
        ("HOST", "root@203.0.113.7:99999", "or as admin@203.0.113.7:2222 where its port is another"),
        (
            "HOST",
            "root@2001:db8::7",
            "HOST='root@2001:db8::7' is an address of IPv6: give its IPv4 address, or",
        ),
        ("HOST", "admin@[2001:DB8::7]:2222", "is an address of IPv6: give its IPv4 address, or its name"),
        ("BUCKET", "backups", "BUCKET='backups': say server and bucket in one, as https://s3.example.com/"),
    ],
)
def test_what_cannot_be_meant_is_refused(home: Path, variable: str, value: str, why: str) -> None:
    assert why in refused(home, **{**GIVEN, variable: value})


def test_services_come_with_what_they_stand_on() -> None:
    needs = {"app": ("db",), "db": ("disk",), "page": ()}
    order = ["vault", "disk", "db", "app", "page", "caddy"]
    assert described.needed(["app"], needs, order) == ["vault", "disk", "db", "app", "caddy"]
    assert described.needed(["page", "other"], needs, order) == ["vault", "page", "caddy", "other"]
