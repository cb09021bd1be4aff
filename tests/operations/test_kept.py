"""Kept: what stood where ours comes, for real below a folder; what is in the way, and what is said of it."""

import re
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tasks.facts import Machine
from tasks.facts.kept import QUESTION, SHELL, Before
from tasks.operations import kept
from tests.fake import fake
from tests.samples import ROOT

MINE, OURS = "mine\n", "# Written by the deploy.\nours\n"


@dataclass(frozen=True)
class Place:
    """A host's root folder."""

    root: Path

    def moved(self, text: str) -> str:
        """The text with paths below the folder."""
        return re.sub(r"(?<![\w/.])/(etc|opt|root|usr/local|var|vault)\b", rf"{self.root}/\1", text)

    def sh(self, text: str) -> subprocess.CompletedProcess[str]:
        """Runs shell of ours there."""
        return subprocess.run(["sh", "-c", self.moved(text)], capture_output=True, text=True, check=False)

    def write(self, path: str, text: str, mode: int = 0o644) -> Path:
        """A file there."""
        file = self.root / path[1:]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)
        return file

    @property
    def before(self) -> Path:
        """Where it is kept."""
        return self.root / "var/lib/smarteros/before"

    def index(self) -> list[str]:
        """Its lines."""
        path = self.before / "index"
        return path.read_text().replace(str(self.root), "").splitlines() if path.exists() else []

    def asked(self) -> list[str]:
        """What MachineFact's part of it prints there."""
        return self.sh(f"{QUESTION}\nwait").stdout.replace(str(self.root), "").splitlines()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    for folder in ("etc", "opt", "root", "usr/local", "var/lib"):
        (tmp_path / folder).mkdir(parents=True)
    return Place(tmp_path)


# What stands there, and the line about it.
FOUND = {
    "an operator's file": ("/etc/issue", MINE, "kept"),
    "an operator's unit of our name": ("/etc/systemd/system/smarteros-firewall.service", "[Unit]\n", "kept"),
    "words of ours where we have never been": (
        "/etc/systemd/system/smarteros-firewall.service",
        OURS,
        "kept",
    ),
    "a script of an operator's": ("/root/sync-forks.sh", "#!/bin/sh\n", "kept"),
    "an operator's env file": ("/vault/secrets/n8n.env", "N8N_KEY=1\n", "kept"),
    "an env file of ours": ("/vault/secrets/n8n.env", 'A="1"\nSMARTEROS_SECRETS_DIGEST="x"\n', "earlier"),
    "a daemon.json before the first deploy": ("/etc/docker/daemon.json", "{}\n", "kept"),
    "an empty file": ("/etc/issue", "", "kept"),
    "no text": ("/etc/issue", "\0\x01\n", "kept"),
}


@pytest.mark.parametrize(("path", "text", "kind"), FOUND.values(), ids=FOUND)
def test_what_is_not_ours_is_kept_with_its_mode(place: Place, path: str, text: str, kind: str) -> None:
    there = place.write(path, text, 0o640)
    done = place.sh(f"set -e\n{kept.keep([path])}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert place.index() == [f"{kind} {path}"]
    copy = place.before / f"files{there}"
    assert copy.exists() == (kind == "kept")
    if copy.exists():
        assert (copy.read_text(), stat.S_IMODE(copy.stat().st_mode)) == (text, 0o640)
    assert there.read_text() == text
    assert stat.S_IMODE(place.before.stat().st_mode) == 0o700


# On a host that an earlier release has deployed.
THERE = {
    "its daemon.json": ("/etc/docker/daemon.json", "{}\n", "earlier"),
    "its unit": ("/etc/systemd/system/smarteros-firewall.service", OURS, "earlier"),
    "its settings of apt": ("/etc/apt/apt.conf.d/x", OURS.replace("#", "//"), "earlier"),
    "its program": ("/usr/local/lib/smarteros/unseal", (ROOT / "files/boot/unseal").read_text(), "earlier"),
    "its logins": ("/etc/login.defs", "PASS_MIN_DAYS 1\nSHA_CRYPT_MIN_ROUNDS 65536\n", "earlier"),
    "words that are not quite ours": ("/etc/default/debsums", "# Written by the deployment team.\n", "kept"),
    "words of ours further down": ("/etc/default/debsums", f"# mine\n{OURS}", "kept"),
}


@pytest.mark.parametrize(("path", "text", "kind"), THERE.values(), ids=THERE)
def test_what_an_earlier_release_wrote_is_ours(place: Place, path: str, text: str, kind: str) -> None:
    (place.root / "opt/smarteros").mkdir()
    (place.root / "opt/smarteros/current").symlink_to("generations/0")
    place.write(path, text)
    assert place.sh(kept.keep([path])).returncode == 0
    assert place.index() == [f"{kind} {path}"]


def test_a_host_whose_first_deploy_by_an_earlier_release_did_not_end_is_one_of_ours(place: Place) -> None:
    place.write("/opt/smarteros/host", "rules 0\ndigest 0123\n")
    place.write("/etc/default/debsums", OURS)
    assert place.sh(kept.keep(["/etc/default/debsums"])).returncode == 0
    assert place.index() == ["earlier /etc/default/debsums"]


def test_what_the_run_at_work_has_begun_makes_no_file_ours(place: Place) -> None:
    """Its first phase has noted the host when Docker's turn comes."""
    assert place.sh(kept.keep(["/etc/issue"])).returncode == 0
    place.write("/opt/smarteros/host", "rules 0\ndigest 0123\n")
    place.write("/etc/docker/daemon.json", "{}\n")
    place.write("/etc/cron.d/begun", OURS)
    assert place.sh(kept.keep(["/etc/docker/daemon.json", "/etc/cron.d/begun"])).returncode == 0
    assert place.index() == ["new /etc/issue", "kept /etc/docker/daemon.json", "kept /etc/cron.d/begun"]


def test_a_link_is_kept_as_a_link_unless_it_leads_to_us(place: Place) -> None:
    (place.root / "root/Caddyfile").symlink_to("/srv/gone")
    (place.root / "root/sync-forks.sh").symlink_to(f"{place.root}/opt/smarteros/current/x")
    assert place.sh(kept.keep(["/root/Caddyfile", "/root/sync-forks.sh"])).returncode == 0
    assert place.index() == ["kept /root/Caddyfile", "earlier /root/sync-forks.sh"]
    assert (place.before / f"files{place.root}/root/Caddyfile").readlink() == Path("/srv/gone")


def test_the_oldest_state_stays_and_a_path_that_was_empty_is_ours_from_then_on(place: Place) -> None:
    there = place.write("/etc/issue", MINE)
    for text in (OURS, "edited\n"):
        assert place.sh(kept.keep(["/etc/issue", "/etc/issue.net"])).returncode == 0
        there.write_text(text)
        place.write("/etc/issue.net", text)
    assert place.sh(kept.keep(["/etc/issue", "/etc/issue.net"])).returncode == 0
    assert place.index() == ["kept /etc/issue", "new /etc/issue.net"]
    assert (place.before / f"files{there}").read_text() == MINE


def test_a_mode_is_noted_once_and_does_not_hide_the_file(place: Place) -> None:
    there = place.write("/etc/docker/daemon.json", MINE, 0o640)
    shut = f"set -e\n{SHELL}shut /etc/docker/daemon.json 600; shut /etc/none 600"
    state = f"640 {there.owner()}:{there.group()}"
    for _ in range(2):
        assert place.sh(shut).returncode == 0
        assert stat.S_IMODE(there.stat().st_mode) == 0o600
        assert place.index() == [f"mode {state} /etc/docker/daemon.json"]
        there.chmod(0o644)
    assert place.sh(kept.keep(["/etc/docker/daemon.json"])).returncode == 0
    assert place.index()[1:] == ["kept /etc/docker/daemon.json"]


def test_a_folder_where_a_file_has_to_stand_stops_the_script(place: Place) -> None:
    (place.root / "root/Caddyfile").mkdir()
    done = place.sh(f"set -e\n{kept.keep(['/etc/issue', '/root/Caddyfile'])}\necho on")
    said = f"{place.root}/root/Caddyfile is a folder where a file of ours has to stand: move it away\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)
    assert place.index() == []


def test_nothing_is_written_where_it_cannot_be_kept(place: Place) -> None:
    place.write("/etc/issue", MINE)
    place.write("/var/lib/smarteros/before", "in the way")
    assert place.sh(f"set -e\n{kept.keep(['/etc/issue'])}\necho ours >/etc/issue").returncode != 0
    assert (place.root / "etc/issue").read_text() == MINE


SCRIPT = f"set -e\n{kept.keep(['/etc/issue', '/root/Caddyfile'])}\nfor f in etc/issue root/Caddyfile; do echo ours >/$f; done"


def killed() -> list[str]:
    """The script, ended before each command of ``keep`` and ``enter``."""
    return [
        SCRIPT.replace(command, f"kill -9 0; {command}", 1)
        for command in ('mkdir -p "$kept/files', 'cp -aT --remove-destination "$path"', 'lines="$lines$kind', 'enter "$lines"',
                        'mkdir -p "$kept"\n', "sync -f", 'mv -f "$kept/index.new"', 'sync "$kept"')
    ]  # fmt: skip


@pytest.mark.parametrize("script", killed())
def test_killed_anywhere_the_next_run_keeps_what_was_there(place: Place, script: str) -> None:
    assert script != SCRIPT
    there = [place.write(path, MINE) for path in ("/etc/issue", "/root/Caddyfile")]
    subprocess.run(["setsid", "sh", "-c", place.moved(script)], check=False, capture_output=True)
    assert [path.read_text() for path in there] == [MINE, MINE]
    assert place.sh(place.moved(SCRIPT).replace("/$f", f"{place.root}/$f")).returncode == 0
    assert place.index() == ["kept /etc/issue", "kept /root/Caddyfile"]
    assert [(place.before / f"files{path}").read_text() for path in there] == [MINE, MINE]
    assert [path.read_text() for path in there] == ["ours\n", "ours\n"]


def test_the_runs_line_in_the_log_names_what_is_kept(place: Place) -> None:
    log = place.write("/var/log/smarteros/.unfinished", "pid 1\n")
    place.write("/etc/issue", MINE)
    for _ in range(2):
        assert place.sh(kept.keep(["/etc/issue", "/etc/issue.net"])).returncode == 0
    assert log.read_text() == f'pid 1\nkept "{place.root}/etc/issue"\n'


# ── what is in the way ──


def test_a_bare_host_has_nothing_in_the_way(place: Place) -> None:
    assert place.asked() == []
    (place.root / "opt").rmdir()  # some have none
    assert place.asked() == []


def test_what_we_have_written_is_in_nobodys_way(place: Place) -> None:
    place.write("/etc/issue", MINE)
    place.write("/etc/issue.net", MINE)
    assert place.sh(kept.keep(["/etc/issue"])).returncode == 0
    assert place.asked() == ["before_replaced /etc/issue.net"]


def test_what_is_in_the_way_is_found(place: Place) -> None:
    place.write("/etc/docker/daemon.json", "{}")
    place.write("/vault/secrets/n8n.env", "A=1\n")
    place.write("/vault/secrets/redis.env", "SMARTEROS_SECRETS_DIGEST=1\n")
    place.write("/opt/smarteros/current/shop.conf", "theirs")
    place.write("/root/dkcompose", "theirs")
    (place.root / "root/Caddyfile").mkdir()
    (place.root / "root/odoo-smarter-config.sh").symlink_to("/srv/odoo")
    assert sorted(place.asked()) == [
        "before_blocked /opt/smarteros/current",
        "before_blocked /root/Caddyfile",
        "before_blocked /root/dkcompose",
        "before_replaced /etc/docker/daemon.json",
        "before_replaced /root/odoo-smarter-config.sh",
        "before_replaced /vault/secrets/n8n.env",
    ]


@pytest.mark.parametrize("sign", ["index", "link", "note"])
def test_a_stack_of_ours_is_not_anothers(place: Place, sign: str) -> None:
    (place.root / "opt/smarteros/generations/0").mkdir(parents=True)
    if sign == "index":
        place.write("/var/lib/smarteros/before/index", "new /etc/issue\n")
    elif sign == "link":
        (place.root / "opt/smarteros/current").symlink_to("generations/0")
    else:
        place.write("/opt/smarteros/host", "rules 0\ndigest 0123456789ab\n")
    assert place.asked() == []


def test_whose_a_services_own_folder_is_is_asked(place: Place) -> None:
    assert [line for line in place.asked() if "dokploy" in line] == []
    place.write("/etc/dokploy/traefik/traefik.yml", MINE)
    place.write("/etc/dokploy/.env", MINE)
    assert sorted(line for line in place.asked() if "dokploy" in line) == [
        "before_entries /etc/dokploy .env",
        "before_entries /etc/dokploy traefik",
    ]
    mark = place.write("/etc/dokploy/.smarteros", "unfinished\n")
    assert [line for line in place.asked() if "dokploy" in line] == []
    mark.write_text("")
    assert [line for line in place.asked() if "dokploy" in line] == ["before_homes /etc/dokploy"]


def test_a_file_in_its_place_is_in_the_way_where_the_service_is_listed(place: Place) -> None:
    place.write("/etc/dokploy", MINE)
    assert [line for line in place.asked() if "dokploy" in line] == ["before_blocked /etc/dokploy"]
    found = Before(blocked=("/etc/dokploy",))
    assert said(found)[0] == [f"files: /etc/dokploy {IN_THE_WAY} (mv /etc/dokploy /etc/dokploy.before)"]
    assert said(found, services=["vault", "postgres"])[0] == []


def said(
    before: Before, user: str = "root", left: tuple[str, ...] = (), **changes: Any
) -> tuple[list[str], list[str]]:
    """Refusals and warnings on a host like that."""
    machine = Machine(user=user, before=before)
    with fake({}, **changes):
        return list(kept.refusals(machine, left)), list(kept.warnings(machine, left))


IN_THE_WAY = "is not ours and stands where ours has to come: move it away"


def test_what_is_in_the_way_is_refused_and_what_is_replaced_is_named() -> None:
    found = Before(
        replaced=("/etc/issue", "/root/dkcompose/n8n-deploy.yaml", "/vault/secrets/odoo.env", "/etc/apt/keyrings/docker.asc"),
        blocked=("/opt/smarteros/current", "/root/dkcompose/odoo-deploy.yaml"),
        fixed=("/etc", "/etc/issue", "/root/Caddyfile"),
    )  # fmt: skip
    refused, warned = said(
        found, services=["vault", "n8n", "postgres", "redis", "caddy", "vault-auth-validator"]
    )
    assert refused == [
        f"files: /opt/smarteros/current {IN_THE_WAY} (mv /opt/smarteros/current /opt/smarteros/current.before)",
        (
            "files: not even root can write /etc: `lsattr -d /etc` says whether it is immutable (chattr -i), "
            "`findmnt -T /etc` whether its file system is mounted read-only"
        ),
        (
            "files: not even root can write /root/Caddyfile: `lsattr -d /root/Caddyfile` says whether it is immutable "
            "(chattr -i), `findmnt -T /root/Caddyfile` whether its file system is mounted read-only"
        ),
    ]
    assert warned == [
        (
            "changed by us, and kept as they are now in /var/lib/smarteros/before (`make undo-host` puts them back): "
            "/etc/issue, /root/dkcompose/n8n-deploy.yaml, /etc/default/debsums"
        )
    ]


def test_who_is_not_root_cannot_say_what_can_be_written() -> None:
    assert said(Before(fixed=("/etc",)), user="deploy") == ([], [])


def test_what_is_right_as_it_is_stays_unnamed() -> None:
    path = "/etc/docker/daemon.json"
    assert said(Before(replaced=(path,), fixed=(path,)), left=(path,)) == ([], [])


def test_a_caddyfile_is_named_where_a_proxy_of_ours_comes() -> None:
    found = Before(replaced=("/root/Caddyfile",))
    assert said(found, services=["vault"]) == ([], [])
    assert said(found)[1] == said(found, takeover="traefik")[1] != []


def test_files_of_what_the_settings_name_are_named() -> None:
    found = Before(replaced=("/etc/apt/keyrings/docker.asc", "/vault/secrets/odoo.env"))
    assert said(found, docker_source="docker.com")[1][0].endswith(
        ": /etc/apt/keyrings/docker.asc, /vault/secrets/odoo.env, /etc/default/debsums"
    )
