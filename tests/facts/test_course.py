"""What status asks beside Docker: memory, certificates, generation, last deploy and reboot, from files as hosts have them."""

import fcntl
import json
import os
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from tasks.facts import StatusFact, certificates, last_run, usage
from tasks.facts.certificates import Certificate
from tasks.facts.last_run import Back, Course, CourseFact, Deploy
from tasks.facts.usage import Memory, Usage
from tasks.operations import host_health
from tests.samples import ROOT

CLOCK = "clock 1795413600"


def shell(text: str, **variables: str) -> list[str]:
    done = subprocess.run(
        ["sh", "-c", text], env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def signed(name: str, issuer: str, since: datetime, days: int) -> str:
    """A certificate and, behind it, the one of an authority, as Caddy's files have them."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = ""
    for subject, lasts in ((name, days), (issuer, 9000)):
        made = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)]))
            .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(since)
            .not_valid_after(since + timedelta(days=lasts))
            .sign(key, SHA256())
        )
        pem += made.public_bytes(Encoding.PEM).decode() + "\n"
    return pem


BEGAN = datetime(2026, 11, 1, tzinfo=UTC)


def test_certificates_are_read_where_caddy_keeps_them(tmp_path: Path) -> None:
    kept = tmp_path / "caddy" / "certificates"
    for authority, name, days in (
        ("acme-v02.api.letsencrypt.org-directory", "crm.smarterbot.cl", 90),
        ("acme-v02.api.letsencrypt.org-directory", "n8n.smarterbot.cl", 6),
        ("acme.zerossl.com-v2-dv90", "n8n.smarterbot.cl", 90),
    ):
        folder = kept / authority / name
        folder.mkdir(parents=True)
        (folder / f"{name}.crt").write_text(signed(name, authority, BEGAN, days))
        (folder / f"{name}.key").write_text(
            "-----BEGIN EC PRIVATE KEY-----\nno\n-----END EC PRIVATE KEY-----\n"
        )
        (folder / f"{name}.json").write_text("{}")
    (kept / "cut").mkdir()
    (kept / "cut" / "cut.example.crt").write_text("-----BEGIN CERTIFICATE-----\nMIIB")
    (kept / "cut" / "odd.example.crt").write_text(
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    )
    volumes = f"n8n_data /elsewhere\n{certificates.VOLUME} {tmp_path}"
    lines = shell(certificates.QUESTION, volumes=volumes)
    assert len(lines) == 4
    assert "PRIVATE" not in "".join(lines)
    start = BEGAN.timestamp()
    assert StatusFact().process([CLOCK, *lines]).certificates == {
        "crm.smarterbot.cl": Certificate("acme-v02.api.letsencrypt.org-directory", start, start + 90 * 86400),
        "n8n.smarterbot.cl": Certificate("acme.zerossl.com-v2-dv90", start, start + 90 * 86400),
    }
    assert shell(certificates.QUESTION, volumes="n8n_data /elsewhere") == []
    assert shell(certificates.QUESTION, volumes=f"{certificates.VOLUME} /nowhere") == []


# One container's process, with the cgroups of it that a host has: version 2, 1 with systemd, and both (hybrid).
V1 = "12:pids:/docker/aa\n9:memory:/docker/aa\n4:cpu,cpuacct:/docker/aa\n"
CGROUPS = {
    "2": (
        "0::/system.slice/docker-aa.scope\n",
        "system.slice/docker-aa.scope",
        "memory.current",
        "inactive_file",
    ),
    "1": (V1, "memory/docker/aa", "memory.usage_in_bytes", "total_inactive_file"),
    "both": (V1 + "0::/docker/aa\n", "memory/docker/aa", "memory.usage_in_bytes", "total_inactive_file"),
}


@pytest.mark.parametrize(("said", "folder", "used", "idle"), CGROUPS.values(), ids=CGROUPS)
def test_memory_is_what_is_in_use_without_the_cache(
    tmp_path: Path, said: str, folder: str, used: str, idle: str
) -> None:
    (tmp_path / "proc" / "4711").mkdir(parents=True)
    (tmp_path / "proc" / "4711" / "cgroup").write_text(said)
    group = tmp_path / "cgroup" / folder
    group.mkdir(parents=True)
    (group / used).write_text("3221225472\n")
    (group / "memory.stat").write_text(
        f"inactive_file 1\ncache 5\ntotal_cache 6\n{idle} 1073741824\nunevictable 0\n"
    )
    text = usage.QUESTION.replace("/proc/", f"{tmp_path}/proc/").replace(
        "/sys/fs/cgroup", f"{tmp_path}/cgroup"
    )
    inspected = [
        'container /odoo 0 {"Status":"running"}',
        "limit odoo 4711 4294967296 odoo:16.0-20250909|tenants-net smarter-net ",
        "limit gone 4712 1073741824 n8nio/n8n:2.30.8",
        "limit alone 0 0 odoo:16.0|",
        "limit done 0 0 registry.example:5000/odoo@sha256:0123",
    ]
    lines = shell(text, found="\n".join(inspected))
    assert lines == ["used odoo 2147483648"]
    values = {"limit": [line.removeprefix("limit ") for line in inspected[1:]], "used": ["odoo 2147483648"]}
    assert usage.usage(values) == {
        "odoo": Usage("odoo:16.0-20250909", 2048, 4096, ("smarter-net", "tenants-net")),
        "gone": Usage("n8nio/n8n:2.30.8", 0, 1024),
        "alone": Usage("odoo:16.0", networks=()),
        "done": Usage("registry.example:5000/odoo@sha256:0123", 0, 0),
    }


def test_the_hosts_own_memory_is_read() -> None:
    found = StatusFact().process([CLOCK, *shell(usage.MEMORY)]).memory
    assert 0 < found.available_mb <= found.total_mb
    assert StatusFact().process([CLOCK, "memory 8126464 3100000 2097148 2000000"]).memory == Memory(
        7936, 3027, 2047, 1953
    )


LOGGED = (
    '{"started": "2026-11-23T04:00:00Z", "seconds": 61, "operator": "root@laptop", "login": "root", "command": "deploy", "generation": "1a2b3c4d5e6f", '
    '"result": "ok", "at": null, "changed": ["Networks | made", "Applications | n8n"], "kept": []}'
)
FAILED = json.dumps(
    {
        **json.loads(LOGGED),
        "started": "2026-11-23T05:00:00Z",
        "result": "failed",
        "at": "Applications | odoo",
    }
)
ROTATED = LOGGED.replace('"deploy"', '"rotate"')
BEFORE = LOGGED.replace('"command": "deploy", ', "")  # by an earlier version
RESTORED = json.dumps(
    {
        **json.loads(LOGGED),
        "command": "restore",
        "result": "failed",
        "at": "Preflight | all",
        "changed": [],
    }
)
OK = Deploy(
    "root@laptop", 1795406400, 61, "ok", "1a2b3c4d5e6f", "", ("Networks | made", "Applications | n8n")
)


@pytest.mark.parametrize(
    ("lines", "deploy"),
    [
        ([], None),
        ([LOGGED], OK),
        ([LOGGED, RESTORED, '{"started": "2026-11-2'], OK),
        ([LOGGED, RESTORED.replace('"restore"', '"credentials"')], OK),
        ([BEFORE], OK),
        ([LOGGED, ROTATED], replace(OK, command="rotate")),
        (
            [LOGGED, FAILED],
            Deploy(
                "root@laptop",
                1795410000,
                61,
                "failed",
                "1a2b3c4d5e6f",
                "Applications | odoo",
                ("Networks | made", "Applications | n8n"),
            ),
        ),
    ],
)
def test_the_last_deploy_is_the_last_line_that_is_one(lines: list[str], deploy: Deploy | None) -> None:
    assert StatusFact().process([CLOCK, *(f"run {line}" for line in lines)]).course.deploy == deploy


def rotation(about: str, result: str, *, at: str = "Rotate | new values", command: str = "rotate") -> str:
    told = {"about": about, "result": result, "at": at, "command": command, "changed": []}
    return json.dumps({**json.loads(LOGGED), **told})


@pytest.mark.parametrize(
    ("lines", "left"),
    [
        ([rotation("n8n", "interrupted"), *[LOGGED] * 30], ["n8n"]),
        ([rotation("n8n", "failed"), rotation("odoo", "failed"), rotation("n8n", "ok")], ["odoo"]),
        ([rotation("n8n", "failed"), rotation("vault", "failed"), rotation("all", "ok")], ["vault"]),
        ([rotation("all", "failed"), rotation("n8n", "ok")], ["all"]),
        ([rotation("n8n", "failed"), rotation("n8n", "failed", at="Preflight | all")], ["n8n"]),
        ([rotation("n8n", "failed", at="Preflight | all")], []),
        ([rotation("n8n", "failed"), rotation("n8n", "ok", command="update")], ["n8n"]),
        ([rotation("n8n", "ok"), ROTATED], []),
    ],
)
def test_rotations_that_were_cut_short_are_known_until_they_are_ended(
    tmp_path: Path, lines: list[str], left: list[str]
) -> None:
    (tmp_path / "runs.log").write_text("".join(f"{line}\n" for line in lines[1:]))
    (tmp_path / "runs.log.1").write_text(f"{lines[0]}\n")
    found = StatusFact().process([CLOCK, *shell(files(tmp_path))]).course
    assert [item.about for item in found.cut_short] == left


def test_one_that_was_killed_is_cut_short_and_one_under_way_is_not(tmp_path: Path) -> None:
    (tmp_path / "runs.log").write_text(rotation("n8n", "failed") + "\n")
    said = UNFINISHED.replace('"rollback"', '"rotate"\nabout "n8n"').replace("Applications", "Rotate")
    (tmp_path / ".unfinished").write_text(said)
    (tmp_path / "smarteros").mkdir()
    (found,) = StatusFact().process([CLOCK, *shell(files(tmp_path))]).course.cut_short
    assert (found.operator, found.result) == ("ana@laptop", "interrupted")
    with (tmp_path / "smarteros" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (tmp_path / ".unfinished").write_text(said.replace("4711", str(os.getpid())))
        assert StatusFact().process([CLOCK, *shell(files(tmp_path))]).course.cut_short == ()


UNFINISHED = """\
started 2026-11-23T05:59:00Z
epoch 1795413540
pid 4711
operator "ana@laptop"
login "root"
command "rollback"
at "Docker | packages"
change "Docker | packages"
change "Docker | packages"
at "Applications | n8n"
"""


def files(tmp_path: Path) -> str:
    """The question, about files of the test's."""
    return (
        last_run.QUESTION.replace("/opt/smarteros", f"{tmp_path}/opt")
        .replace("/var/log/smarteros", f"{tmp_path}")
        .replace("/run/", f"{tmp_path}/")
    )


def test_a_run_under_way_is_told_from_one_that_was_killed(tmp_path: Path) -> None:
    (tmp_path / "runs.log").write_text(f"{LOGGED}\n")
    (tmp_path / ".unfinished").write_text(UNFINISHED)
    (tmp_path / "smarteros").mkdir()
    killed = StatusFact().process([CLOCK, *shell(files(tmp_path))]).course.deploy
    assert killed == Deploy(
        "ana@laptop",
        1795413540,
        0,
        "interrupted",
        "",
        "Applications | n8n",
        ("Docker | packages",),
        "rollback",
    )
    with (tmp_path / "smarteros" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (tmp_path / ".unfinished").write_text(UNFINISHED.replace("4711", str(os.getpid())))
        running = StatusFact().process([CLOCK, *shell(files(tmp_path))]).course.deploy
    assert running
    assert running.result == "under way"
    free = StatusFact().process([CLOCK, *shell(files(tmp_path))]).course.deploy
    assert free == killed


def test_a_run_under_way_is_seen_where_the_host_is_a_container(tmp_path: Path) -> None:
    """There the kernel hides in /proc/locks what flock(1) has taken for another process, and ended."""
    apart = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]
    (tmp_path / "smarteros").mkdir()
    (tmp_path / ".unfinished").write_text(UNFINISHED.replace("4711", "1"))
    taken = f"exec 9>>{tmp_path}/smarteros/lock; flock -n 9; "
    for first, result in ((taken, "under way"), ("", "interrupted")):
        text = f"{first}{files(tmp_path)}\ntrue"
        out = subprocess.run([*apart, "bash", "-c", text], capture_output=True, text=True, check=True).stdout
        deploy = StatusFact().process([CLOCK, *out.splitlines()]).course.deploy
        assert deploy
        assert deploy.result == result


def test_generation_and_reboot_are_read(tmp_path: Path) -> None:
    assert StatusFact().process([CLOCK, *shell(files(tmp_path))]).course == Course()
    (tmp_path / "opt" / "generations" / "1a2b3c4d5e6f").mkdir(parents=True)
    (tmp_path / "opt" / "current").symlink_to("generations/1a2b3c4d5e6f")
    os.utime(tmp_path / "opt" / "current", (1795400000, 1795400000), follow_symlinks=False)
    (tmp_path / "reboot-required").write_text("*** System restart required ***\n")
    os.utime(tmp_path / "reboot-required", (1795410000, 1795410000))
    (tmp_path / "reboot-required.pkgs").write_text("linux-image-6.12.57\nlibc6\nlinux-image-6.12.57\n")
    assert StatusFact().process([CLOCK, *shell(files(tmp_path))]).course == Course(
        "1a2b3c4d5e6f", 1795400000, None, 1795410000, ("libc6", "linux-image-6.12.57")
    )
    (tmp_path / "opt" / "generations" / "1a2b3c4d5e6f").rmdir()
    gone = StatusFact().process([CLOCK, *shell(files(tmp_path))])
    assert (gone.course.generation, gone.course.gone) == ("1a2b3c4d5e6f", True)
    assert list(host_health.machine_problems(gone, ())) == [
        "files: those of the active generation are gone (/opt/smarteros/current leads nowhere): `make deploy` writes them anew"
    ]


def test_the_log_is_what_the_lock_writes() -> None:
    """The keys that are read are those of ``files/run-lock.sh``."""
    script = (ROOT / "files" / "run-lock.sh").read_text()
    assert all(f'"{key}": ' in script for key in json.loads(LOGGED))


@given(st.sampled_from(["run ", "unfinished ", "certificate a.example "]), st.text(max_size=30))
def test_whatever_stands_there_status_is_known(key: str, value: str) -> None:
    StatusFact().process([CLOCK, key + value])


def recorded(tmp_path: Path, number: str, tree: str, of: int) -> None:
    folder = tmp_path / "opt" / "records" / number
    folder.mkdir(parents=True)
    (folder / "tree").write_text(f"{tree}\n")
    (folder / "time").write_text("1795400000\n")
    settings = {"acme_root": "-----BEGIN CERTIFICATE-----\nMIIB\\n\n"}
    (folder / "made").write_text(
        json.dumps({"operator": "ann@laptop", "of": of, "settings": settings}) + "\n"
    )


def ran(command: str, **changes: str) -> str:
    return json.dumps({**json.loads(LOGGED), "command": command, "generation": "1a+", **changes})


NOTED, BACK = Back(3, "ann@laptop", 1795400000), Back(3, "root@laptop", 1795406400)


@pytest.mark.parametrize(
    ("of", "lines", "back"),
    [
        (0, [], None),
        (3, [], NOTED),
        (3, [ran("rollback")], BACK),
        (3, [ran("rollback"), ran("deploy", result="failed"), ran("rotate")], BACK),
        (3, [ran("rollback"), ran("deploy", generation="another")], BACK),
        (3, [ran("rollback"), ran("deploy")], None),
        (0, [ran("deploy"), ran("rollback")], Back(10, "root@laptop", 1795406400)),
        (0, [ran("update")], None),
    ],
)
def test_a_rollback_holds_until_a_deploy_has_found_what_it_describes(
    tmp_path: Path, of: int, lines: list[str], back: Back | None
) -> None:
    (tmp_path / "opt").mkdir()
    (tmp_path / "opt" / "current").symlink_to("generations/1a+")
    for number, tree, to in (("9", "1a", 0), ("10", "1a+", of), ("8", "1a+", 2), ("10.bak", "1a+", 7)):
        recorded(tmp_path, number, tree, to)
    (tmp_path / "runs.log").write_text("".join(f"{line}\n" for line in lines))
    question = CourseFact().command().replace(last_run.QUESTION, files(tmp_path))
    found = CourseFact().process(shell(question))
    assert (found.generation, found.number, found.back) == ("1a+", 10, back)
    assert StatusFact().process([CLOCK, *shell(question)]).course == found
