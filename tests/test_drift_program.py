"""What looks for drift on a host (files/drift), run for real as it is rendered, below a folder; docker, nft, systemctl and dpkg-query are programs of ours."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tasks.rendering import drift_files

STATE = {"Status": "running", "ExitCode": 0, "FinishedAt": "0001-01-01T00:00:00Z"}
WHAT = {
    "files": [
        "/opt/smarteros/current/",
        "/opt/smarteros/current",
        "/etc/systemd/system/smarteros-*",
        "/etc/issue",
        "/root/Caddyfile",
    ],
    "units": ["docker.service"],
    "tables": ["inet smarter_fw"],
    "kernel": ["/proc/sys/net/ipv4/conf/*/rp_filter"],
    "packages": ["fail2ban", "cron"],
}


@dataclass
class Box:
    """A host's folders, below one, and what its programs answer."""

    root: Path

    def __post_init__(self) -> None:
        """A generation with the program."""
        for path, text in drift_files.files().items():
            self.write(f"opt/smarteros/generations/6f3a/{path}", text)

    @property
    def program(self) -> Path:
        """Through no link: some move it."""
        return self.root / "opt/smarteros/generations/6f3a" / drift_files.PROGRAM

    def write(self, path: str, text: str, mode: int = 0o644) -> Path:
        """A file of the host."""
        found = self.root / path
        found.parent.mkdir(parents=True, exist_ok=True)
        found.write_text(text)
        found.chmod(mode)
        return found

    def container(self, name: str = "n8n", **changes: Any) -> None:
        """The one container that there is."""
        values = {
            "image": "sha256:aa",
            "state": STATE,
            "created": "2026-11-27T10:00:00.5Z",
            "digest": "d1",
            "config": "c1",
            "oneoff": "False",
            "task": None,
            "limits": ("unless-stopped", 1 << 30, 10**9, 512),
            **changes,
        }
        line = " ".join(
            json.dumps(item)
            for item in (
                f"/{name}",
                values["image"],
                values["state"],
                values["created"],
                values["digest"],
                values["config"],
                values["oneoff"],
                values["task"],
                *values["limits"],
            )
        )
        self.write("answers/docker", line)

    def run(self, word: str, told: Any = None) -> str:
        """The program."""
        done = subprocess.run(
            [sys.executable, "-I", "-B", str(self.program), word],
            env={**os.environ, "DRIFT_ROOT": str(self.root), "PATH": f"{self.root}/bin:{os.environ['PATH']}"},
            input=json.dumps(told) if told else "",
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def found(self) -> list[str]:
        """What differs now: kind, name, how."""
        return [f"{item['kind']} {item['name']}: {item['what']}" for item in self.look()["differences"]]

    def look(self) -> dict[str, Any]:
        """All that it says."""
        return dict(json.loads(self.run("look")))


@pytest.fixture
def box(tmp_path: Path) -> Box:
    box = Box(tmp_path)
    box.write(
        "bin/docker",
        f"#!/bin/sh\ncase $1 in version) cat {tmp_path}/answers/version ;; volume) cat {tmp_path}/answers/volumes ;; ps) [ ! -s {tmp_path}/answers/docker ] || echo id ;; *) cat {tmp_path}/answers/docker ;; esac\n",
        0o755,
    )
    box.write("bin/nft", f"#!/bin/sh\ncat {tmp_path}/answers/nft\n", 0o755)
    box.write("bin/systemctl", f"#!/bin/sh\ncat {tmp_path}/answers/systemctl\n", 0o755)
    box.write("bin/dpkg-query", f"#!/bin/sh\ncat {tmp_path}/answers/dpkg\n", 0o755)
    box.container()
    box.write("answers/version", "28\n")
    box.write("answers/volumes", "n8n_data\n")
    box.write("answers/nft", "table inet smarter_fw {\n}\n")
    box.write("answers/systemctl", "Id=docker.service\nActiveState=active\nUnitFileState=enabled\n")
    box.write("answers/dpkg", "cron installed\nfail2ban installed\nelse installed\n")
    box.write("opt/smarteros/generations/6f3a/caddy/Caddyfile", "here\n")
    box.write("opt/smarteros/records/7/tree", "6f3a\n")
    (tmp_path / "opt/smarteros/current").symlink_to("generations/6f3a")
    box.write("root/.ssh/authorized_keys", "ssh-ed25519 AAAA ann\n", 0o600)
    (tmp_path / "root/Caddyfile").symlink_to("/opt/smarteros/current/caddy/Caddyfile")
    box.write("etc/systemd/system/smarteros-drift.timer", "[Timer]\n")
    box.write("etc/issue", "ours\n")
    box.write(
        "etc/passwd", "root:x:0:0:root:/root:/bin/bash\nman:x:6:12:man:/var/cache/man:/usr/sbin/nologin\n"
    )
    box.write("proc/sys/net/ipv4/conf/eth0/rp_filter", "2\n")
    box.run("note", WHAT)
    return box


def test_what_was_noted_does_not_differ_and_nobody_else_reads_the_note(box: Box) -> None:
    found = box.look()
    assert (found["differences"], found["generation"], found["number"]) == ([], "6f3a", 7)
    note = box.root / "opt/smarteros/records/7/state"
    assert note.stat().st_mode & 0o777 == 0o600
    assert "AAAA" not in note.read_text()


def swarmed(
    box: Box, *, replicas: int = 2, image: str = "x:1", environment: str = "A=1", answers: bool = True
) -> None:
    """What the swarm says of the one service that it runs for the host."""
    inside = {"Image": image, "Env": [environment]}
    spec = {
        "Name": "mcp-registry-web",
        "Mode": {"Replicated": {"Replicas": replicas}},
        "TaskTemplate": {"ContainerSpec": inside, "ForceUpdate": replicas},
    }
    box.write("answers/swarm", f'{json.dumps(spec)} "2026-11-27T10:00:00.5Z"' if answers else "")
    cases = f"node) cat {box.root}/answers/swarm ;; service) [ $2 = ls ] && echo id || cat {box.root}/answers/swarm ;;"
    program = (box.root / "bin/docker").read_text()
    box.write(
        "bin/docker",
        program if cases in program else program.replace("case $1 in", f"case $1 in {cases}"),
        0o755,
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, []),
        ({"replicas": 0}, ["tasks mcp-registry-web: replicas 0 instead of 2"]),
        ({"image": "x:2"}, ["tasks mcp-registry-web: other image"]),
        ({"environment": "A=2"}, ["tasks mcp-registry-web: other definition"]),
        ({"answers": False}, []),
    ],
    ids=["nothing", "scaled", "image", "variable", "silent"],
)
def test_what_somebody_does_to_a_swarms_tasks_is_drift(
    box: Box, change: dict[str, Any], said: list[str]
) -> None:
    swarmed(box)
    box.run("note", {**WHAT, "tasks": "yes"})
    swarmed(box, **change)
    assert box.found() == said


def test_tasks_that_are_gone_are_drift_and_of_another_node_nobody_asks(box: Box) -> None:
    swarmed(box)
    box.run("note", WHAT)
    swarmed(box, replicas=0)
    assert box.found() == []
    box.run("note", {**WHAT, "tasks": "yes"})
    program = (box.root / "bin/docker").read_text().replace("[ $2 = ls ] && echo id ||", "[ $2 = ls ] ||")
    box.write("bin/docker", program, 0o755)
    assert box.found() == ["tasks mcp-registry-web: is gone"]


def test_the_same_again_writes_nothing(box: Box) -> None:
    note = box.root / "opt/smarteros/records/7/state"
    before = note.stat().st_ino
    assert box.run("note", WHAT) == ""
    assert note.stat().st_ino == before
    # Another release looks at more.
    box.run("note", {**WHAT, "files": [*WHAT["files"], "/etc/motd"]})
    assert note.stat().st_ino != before


def test_of_what_differs_it_says_what_no_deploy_makes_good_and_then_that_is_what_is_meant(box: Box) -> None:
    """The next generation's record has no state of its own before."""
    box.write("opt/smarteros/records/10/tree", "6f3b\n")
    box.write("etc/issue", "theirs\n")
    box.write("answers/dpkg", "cron installed\n")
    box.write("etc/passwd", "root:x:0:0:root:/root:/bin/bash\neve:x:0:0::/home/eve:/bin/sh\n")
    assert box.run("note", WHAT).splitlines() == ["user eve is new", "package fail2ban is gone"]
    found = box.look()
    assert (found["differences"], found["generation"], found["number"]) == ([], "6f3b", 10)
    assert box.run("note", WHAT) == ""


def test_what_was_edited_in_the_active_generation_still_differs_after_a_run_that_leaves_it_so(
    box: Box,
) -> None:
    """As one that rotates; a deploy makes another one active."""
    box.write("opt/smarteros/generations/6f3a/caddy/Caddyfile", "by hand\n")
    said = "/opt/smarteros/current/caddy/Caddyfile: other content"
    for _ in range(2):
        assert box.run("note", WHAT) == f"edited {said}\n"
        assert box.found() == [f"file {said}"]
    box.write("opt/smarteros/generations/6f3a+/caddy/Caddyfile", "here\n")
    (box.root / "opt/smarteros/current").unlink()
    (box.root / "opt/smarteros/current").symlink_to("generations/6f3a+")
    assert box.run("note", WHAT) == ""
    assert box.found() == []


def test_after_a_run_that_was_killed_before_its_note_nothing_is_known_until_the_next_one(box: Box) -> None:
    box.write("opt/smarteros/records/8/tree", "6f3b\n")
    assert box.look()["noted"] is None
    box.run("note", WHAT)
    assert box.look()["number"] == 8


def test_a_record_and_a_note_that_a_power_cut_has_emptied_are_none(box: Box) -> None:
    box.write("opt/smarteros/records/8/tree", "")
    assert box.look()["number"] == 7
    box.write("opt/smarteros/records/7/state", "")
    assert box.look()["noted"] is None


def test_a_release_that_noted_less_kinds_misses_none_of_them(box: Box) -> None:
    note = box.root / "opt/smarteros/records/7/state"
    kept = json.loads(note.read_text())
    del kept["made"]["kernel"]
    note.write_text(json.dumps(kept))
    assert box.found() == []


def test_ports_that_a_deploy_holds_for_a_moment_are_no_other_rules(box: Box) -> None:
    held = "\t\telements = { 80 timeout 15s,\n\t\t\t     443 timeout 15s }\n"
    box.write("answers/nft", f"table inet smarter_fw {{\n{held}}}\n")
    assert box.found() == []


def test_a_host_where_nothing_was_noted_says_so(tmp_path: Path) -> None:
    assert Box(tmp_path).look() == {"noted": None, "number": None, "generation": None, "differences": []}


def linked(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/null")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda box: box.write("etc/issue", "theirs\n"), "file /etc/issue: other content"),
        (lambda box: (box.root / "etc/issue").chmod(0o666), "file /etc/issue: mode 666 instead of 644"),
        (lambda box: (box.root / "etc/issue").unlink(), "file /etc/issue: is gone"),
        (lambda box: linked(box.root / "etc/issue"), "file /etc/issue: a link to /dev/null instead of a file"),
        (
            lambda box: box.write("opt/smarteros/generations/6f3a/caddy/Caddyfile", "edited\n"),
            "file /opt/smarteros/current/caddy/Caddyfile: other content",
        ),
        (
            lambda box: box.write("opt/smarteros/generations/6f3a/caddy/more", ""),
            "file /opt/smarteros/current/caddy/more: is new",
        ),
        (
            lambda box: box.write("etc/systemd/system/smarteros-more.service", ""),
            "file /etc/systemd/system/smarteros-more.service: is new",
        ),
        (lambda box: box.container(image="sha256:bb"), "container n8n: other image"),
        (lambda box: box.container(config="c2"), "container n8n: other definition"),
        (
            lambda box: box.container(limits=("no", 1 << 29, 10**9, None)),
            (
                "container n8n: bytes of memory 536870912 instead of 1073741824, processes None instead of 512, "
                "restart no instead of unless-stopped"
            ),
        ),
        (
            lambda box: box.container(
                state={"Status": "exited", "ExitCode": 137, "FinishedAt": "2026-11-28T01:02:03.4Z"}
            ),
            "container n8n: state exited instead of running",
        ),
        (lambda box: box.write("answers/docker", ""), "container n8n: is gone"),
        (lambda box: box.write("answers/volumes", "restic_cache\n"), "volume n8n_data: is gone"),
        (lambda box: box.write("answers/nft", "table inet smarter_fw {\n}\nmore\n"), "firewall inet smarter_fw: other rules"),
        (
            lambda box: box.write("answers/systemctl", "Id=docker.service\nActiveState=active\nUnitFileState=disabled\n"),
            "unit docker.service: enabled disabled instead of enabled",
        ),
        (
            lambda box: box.write("proc/sys/net/ipv4/conf/eth0/rp_filter", "0\n"),
            "kernel net.ipv4.conf.eth0.rp_filter: value 0 instead of 2",
        ),
        (lambda box: box.write("answers/dpkg", "cron installed\nfail2ban config-files\n"), "package fail2ban: is gone"),
        (
            lambda box: box.write("etc/passwd", "root:x:0:0:root:/root:/bin/bash\neve:x:0:0::/home/eve:/bin/sh\n"),
            "user eve: is new",
        ),
        (lambda box: box.write("root/.ssh/authorized_keys", "ssh-ed25519 BBBB eve\n"), "user root: other keys"),
    ],
)  # fmt: skip
def test_what_differs_is_named(box: Box, change: Any, said: str) -> None:
    change(box)
    assert box.found() == [said]


REDIS = [
    "master",
    "wanted|maxmemory|192mb",
    "named|chatwoot",
    "is|maxmemory|201326592",
    "user|default on #given ~* &* +@all",
    "user|chatwoot on #given ~* -flushall -swapdb",
]


def test_a_redis_that_was_changed_differs_and_one_that_does_not_answer_does_not(box: Box) -> None:
    answers = box.root / "answers/redis"

    def found(*lines: str) -> list[str]:
        answers.write_text("\n".join(lines))
        return box.found()

    answers.write_text("\n".join(REDIS))
    box.run("note", {**WHAT, "redis": f"cat {answers}"})
    # Started again: in another order, and with what Redis adds by itself.
    assert found(*REDIS[:5], "user|chatwoot on sanitize-payload #given ~* -swapdb -flushall") == []
    assert found(
        "follows|192.0.2.1|6379",
        "is|maxmemory|0",
        "user|default on #given #other ~* &* +@all",
        "user|evil on nopass +@all",
    ) == [
        "redis maxmemory: value 0 instead of 201326592",
        "redis role: value 192.0.2.1:6379 instead of master",
        "redis user chatwoot: is gone",
        "redis user default: other rules",
        "redis user evil: is new",
    ]
    assert found("refused", "appends") == ["redis password: state refused instead of accepted"]
    assert found("silent") == []
    assert found() == []
    # Nor does it once it answers again, where it did not when it was noted.
    box.run("note", {**WHAT, "redis": f"cat {answers}", "files": []})
    assert found(*REDIS) == []


def test_jobs_and_one_off_containers_come_and_go_and_interfaces_too(box: Box) -> None:
    done = {"Status": "exited", "ExitCode": 0, "FinishedAt": "2026-11-28T01:02:03Z"}
    box.container("n8n-files", state=done)
    assert box.found() == ["container n8n: is gone"]
    box.container("backup-files", oneoff="True")
    assert box.found() == ["container n8n: is gone"]
    box.container("n8n-second", oneoff="True")
    assert box.found() == ["container n8n: is gone", "container n8n-second: is new"]
    box.container("n8n-files", state=done)
    box.run("note", WHAT)
    box.container()
    box.run("note", WHAT)
    box.container(state=done)
    assert box.found() == ["container n8n: state exited instead of running"]
    box.container()
    (box.root / "proc/sys/net/ipv4/conf/eth0/rp_filter").unlink()
    box.write("proc/sys/net/ipv4/conf/veth57d5b70/rp_filter", "1\n")
    assert box.found() == []


def test_since_when_is_what_the_host_knows(box: Box) -> None:
    box.write("etc/issue", "theirs\n")
    box.container(state={"Status": "exited", "ExitCode": 1, "FinishedAt": "2026-11-28T01:02:03.4Z"})
    box.write("answers/nft", "else\n")
    since = {item["kind"]: item["since"] for item in box.look()["differences"]}
    assert since["container"] == "2026-11-28T01:02:03Z"
    assert (
        abs(time.mktime(time.strptime(since["file"], "%Y-%m-%dT%H:%M:%SZ")) - time.timezone - time.time())
        < 60
    )
    assert since["firewall"] is None
    box.container(limits=("no", 1 << 30, 10**9, 512))
    assert {item["kind"]: item["since"] for item in box.look()["differences"]}["container"] is None


def test_a_look_writes_nothing(box: Box) -> None:
    box.write("etc/issue", "theirs\n")
    before = sorted(str(path) for path in box.root.rglob("*"))
    box.look()
    assert sorted(str(path) for path in box.root.rglob("*")) == before


def test_the_daily_look_leaves_a_metric_keeps_since_when_and_tells_once(box: Box) -> None:
    new = box.root / "var/lib/smarteros/notify/new/drift"
    box.run("watch")
    metric = box.root / "var/lib/smarteros/metrics/drift.prom"
    assert "smarteros_drifted_files 0\n" in metric.read_text()
    assert metric.stat().st_mode & 0o777 == 0o644
    box.write("etc/systemd/system/smarteros-notify.timer", "")
    box.run("note", WHAT)
    box.write("answers/nft", "else\n")
    box.write("etc/issue", "theirs\n")
    box.run("watch")
    assert "smarteros_drifted_files 1\n" in metric.read_text()
    assert 'smarteros_drifted{kind="firewall"} 1\n' in metric.read_text()
    found = json.loads((box.root / "var/lib/smarteros/drift/found.json").read_text())
    (first,) = [item["since"] for item in found["differences"] if item["kind"] == "firewall"]
    told = new.read_text().splitlines()
    assert told[0] == "drift changed"
    assert f"firewall inet smarter_fw: other rules, since {first}" in told
    new.unlink()
    time.sleep(1.1)
    box.run("watch")
    again = json.loads((box.root / "var/lib/smarteros/drift/found.json").read_text())
    assert [item["since"] for item in again["differences"] if item["kind"] == "firewall"] == [first]
    assert not new.exists()


@pytest.mark.parametrize("text", ["", '{"differences": [{"ki', "[]", "null", "{}"])
def test_what_a_power_cut_has_left_of_the_last_look_is_nothing_found_before(box: Box, text: str) -> None:
    path = box.write("var/lib/smarteros/drift/found.json", text)
    box.write("etc/issue", "theirs\n")
    box.run("watch")
    assert json.loads(path.read_text())["number"] == 7


@pytest.mark.parametrize("text", ['{"noted": "2026', "[]"])
def test_a_note_that_was_cut_short_is_none_and_the_next_deploy_notes_anew(box: Box, text: str) -> None:
    box.write("opt/smarteros/records/7/state", text)
    assert box.look()["noted"] is None
    box.run("note", WHAT)
    assert box.look()["number"] == 7


def test_a_container_that_goes_between_two_questions_is_none(box: Box) -> None:
    """Copies for the bucket come and go: which there are is asked anew."""
    docker = (
        f"#!/bin/sh\necho >>{box.root}/asked\n[ $(wc -l <{box.root}/asked) -gt 9 ] || gone=gone\n"
        f"case $1 in version) cat {box.root}/answers/version ;; volume) cat {box.root}/answers/volumes ;; ps) echo id $gone | tr ' ' '\\n' ;;\n"
        f"*) cat {box.root}/answers/docker; case $* in *gone*) exit 1 ;; esac ;; esac\n"
    )
    box.run("note", WHAT)
    box.write("bin/docker", docker).chmod(0o755)
    assert box.found() == []


def test_where_docker_does_not_answer_nothing_is_said_to_differ(box: Box) -> None:
    box.write("answers/version", "")
    done = subprocess.run(
        [sys.executable, "-I", "-B", str(box.program), "look"],
        env={**os.environ, "DRIFT_ROOT": str(box.root), "PATH": f"{box.root}/bin:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "docker does not answer, so what differs is not known\n"


@pytest.mark.parametrize("gone", sorted({*drift_files.files()} - {drift_files.PROGRAM}))
def test_where_a_part_of_it_is_gone_it_says_what_writes_it_anew(box: Box, gone: str) -> None:
    (box.root / "opt/smarteros/current" / gone).unlink()
    done = subprocess.run(
        [sys.executable, "-I", "-B", str(box.program), "look"], capture_output=True, text=True, check=False
    )
    name = Path(gone).stem
    assert (done.returncode, done.stdout, done.stderr) == (
        1,
        "",
        f"No module named '{name}': files of the active generation are gone, which a deploy writes anew; what differs is not known\n",
    )


def test_keys_that_are_a_deploys_are_a_file_of_ours_and_no_users(box: Box) -> None:
    """Also in the run that they become ours in, and in the one after which they are not."""
    keys = "root/.ssh/authorized_keys"
    box.write(keys, "new\n", 0o600)
    ours = {**WHAT, "files": [*WHAT["files"], f"/{keys}"], "keys": ["root"]}
    assert (box.run("note", ours), box.found()) == ("", [])
    box.write(keys, "by hand\n", 0o600)
    assert box.found() == [f"file /{keys}: other content"]
    assert (box.run("note", WHAT), box.found()) == ("", [])
    box.write(keys, "again\n", 0o600)
    assert box.found() == ["user root: other keys"]


def test_what_no_deploy_makes_good_is_said_once_when_it_becomes_what_is_meant(box: Box) -> None:
    drop_in = "etc/systemd/system/smarteros-drift.service.d/override.conf"
    box.write(drop_in, "[Service]\n")
    box.container(image="sha256:bb")
    said = box.run("note", WHAT).splitlines()
    assert said == [f"file /{drop_in} is new", "container n8n other image"]
    assert box.run("note", WHAT) == ""
