"""Takeover: which container may be stopped for our proxy, in which order, and back, whenever a run is killed."""

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pyinfra.api.exceptions import FactProcessError

from tasks import preflight, proxy, verify
from tasks.facts import Foreign, Machine, TakeoverFact, TakeoverState
from tasks.facts.listeners import Published
from tasks.model.catalogue import Service
from tasks.operations import containers, rollout, takeover
from tasks.operations.described import links
from tasks.rendering.host_files import files
from tasks.run import forget
from tasks.services import load
from tests import samples
from tests.fake import commands, fake, texts
from tests.samples import container

TRAEFIK = Foreign("traefik-api-gateway", "traefik:v2.11", "root", temporary=False, ports=frozenset((80, 443)))
OLD_CADDY = Foreign("caddy-proxy", "caddy:2", "", temporary=False, ports=frozenset((443,)))
BACKEND = Foreign("old-app", "example/traefik-demo:1", "", temporary=False, ports=frozenset((3000,)))
CADDY = Service(
    "caddy", "Caddy", (container("caddy-proxy", image="caddy:2.11.7-alpine"),), phase="proxy", role="proxies"
)
LINES = [
    "c||/traefik-api-gateway|traefik:v2.11|root|false|443 443 80 80 ",
    "c|n8n|/n8n|n8nio/n8n:2.30.8|n8n|false|",
    "c||/old-app|example/traefik-demo:1||false|3000 ",
]
FACT = "takeover/unverified"
LINK = "l|/opt/smarteros/current/caddy/Caddyfile"


def test_what_is_not_ours_is_read() -> None:
    expected = TakeoverState((TRAEFIK, BACKEND), unverified=True, caddyfile="/etc/Caddyfile")
    assert TakeoverFact().process(["u|", "l|/etc/Caddyfile", *LINES]) == expected
    assert TakeoverFact().process([]) == TakeoverState()


def test_a_line_that_is_cut_is_an_error() -> None:
    with pytest.raises(FactProcessError, match="cannot read what docker prints"):
        TakeoverFact().process([LINES[0].rpartition("|")[0]])


def test_only_a_container_on_the_webs_ports_whose_name_or_image_is_meant_is_taken_over() -> None:
    found = TakeoverState((TRAEFIK, OLD_CADDY, BACKEND))
    assert takeover.holders(found, "traefik") == (TRAEFIK,)
    assert takeover.holders(found, "caddy:2") == (OLD_CADDY,)
    assert takeover.holders(found, "gateway") == (TRAEFIK,)
    assert takeover.holders(found, "nginx") == ()
    assert takeover.holders(found, "") == ()


def test_one_that_could_not_be_put_back_is_refused() -> None:
    temporary = Foreign("traefik", "traefik:3", "", temporary=True, ports=frozenset((80,)))
    sibling = Foreign("caddy-proxy", "caddy:2", "caddy", temporary=False, ports=frozenset())
    assert list(takeover.problems(TakeoverState((temporary, sibling)), "traefik", (CADDY,))) == [
        (
            "takeover: the container traefik was started with --rm and would be gone once stopped: "
            "start it without --rm, or stop it yourself"
        ),
        (
            "takeover: the container caddy-proxy is of a Compose project called caddy, as ours is, "
            "and Compose would remove it: start it again as another one (docker compose -p old-caddy up -d), "
            "or remove it yourself"
        ),
    ]
    assert list(takeover.problems(TakeoverState((TRAEFIK, OLD_CADDY)), "traefik", (CADDY,))) == []


def test_preflight_lets_go_the_ports_of_exactly_that_container() -> None:
    machine = Machine(
        system="debian",
        release="13",
        architecture="x86_64",
        init="systemd",
        user="root",
        memory_mb=100_000,
        cpus=64,
        disk_free_mb=10**7,
        published=(
            Published("nginx", "", "tcp", "0.0.0.0", 80, 80),
            Published("traefik", "", "tcp", "0.0.0.0", 443, 443),
        ),
    )
    chosen = load(samples.stack(services=["vault", "caddy"]))
    assert list(preflight.problems(machine, chosen, frozenset(["traefik"]))) == [
        'port 80: taken by the container nginx: stop it (docker stop nginx), or set takeover = "nginx" to have it replaced'
    ]
    both = frozenset(["traefik", "nginx"])
    assert list(preflight.problems(machine, chosen, both)) == []


def test_the_setting_names_a_part_of_a_container() -> None:
    assert samples.refusals(takeover="traefik") == []
    assert samples.refusals(takeover="a b") == ["takeover: 'a b' names no container or image"]


def test_without_the_setting_nobody_is_asked() -> None:
    with fake({FACT: ["u|", *LINES]}):
        assert (takeover.accepted(), list(takeover.refusals())) == (frozenset(), [])
        assert takeover._found() == TakeoverState()


def test_with_it_the_holder_is_accepted() -> None:
    with fake({FACT: LINES}, takeover="traefik"):
        assert (takeover.accepted(), list(takeover.refusals())) == (frozenset(["traefik-api-gateway"]), [])


def test_the_link_that_an_old_proxy_would_read_is_left_to_the_takeover() -> None:
    with fake({}, services=FEW):
        assert "/root/Caddyfile" in links()
    with fake({}, services=FEW, takeover="traefik"):
        assert "/root/Caddyfile" not in links()


# The operations


def test_where_nothing_is_in_the_way_only_the_link_is_made() -> None:
    with fake({FACT: [LINK, *LINES[1:]]}, takeover="traefik"):
        assert texts(takeover.taken, CADDY) == []
    with fake({FACT: []}, takeover="traefik"):
        assert texts(takeover.taken, CADDY) == [f"set -e\n{takeover._LINK}"]


def test_the_plan_names_the_container_and_the_way_back(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    old = "c||/caddy-proxy|caddy:2||false|443 "
    with fake({FACT: [LINES[0], old]}, takeover="traefik", executing=False) as host:
        monkeypatch.setattr(host, "log", said.append)
        assert texts(takeover.taken, CADDY) == [
            takeover.hand_over(CADDY, "@fake/one", (TRAEFIK,), (OLD_CADDY,))
        ]
    assert said == [
        (
            "traefik-api-gateway (traefik:v2.11) holds 80 and 443: stopped and kept; "
            "bash /root/undo-takeover.sh undoes it"
        ),
        "caddy-proxy: a container of that name is not ours: renamed to caddy-proxy-before-smarteros",
    ]


def test_a_takeover_stands_once_it_is_verified() -> None:
    with fake({FACT: ["u|"]}, takeover="traefik"):
        assert texts(takeover.stands) == ["rm -f /opt/smarteros/takeover/unverified"]
    with fake({FACT: []}, takeover="traefik"):
        assert texts(takeover.stands) == []


def outcome(lines: list[str], after: list[str] | None = None) -> tuple[list[str], str]:
    """The commands that put the old proxy back, and what is said of it."""
    yielded, answers = [], [*lines]
    with fake({FACT: answers}, takeover="traefik") as host:
        assert host.data.fake_responses[FACT] is answers
        generator = takeover.put_back()
        try:
            while True:
                yielded.append(str(next(generator)))
                answers[:] = after or []
                forget()
        except StopIteration as end:
            return yielded, str(end.value)


def test_what_is_not_verified_is_put_back_and_said() -> None:
    undo = ["bash /root/undo-takeover.sh || true"]
    assert outcome(["u|"], LINES) == (
        undo,
        (
            "\n    put back: traefik-api-gateway; our proxy is stopped, "
            "its log is in /opt/smarteros/takeover/proxy.log"
        ),
    )
    assert outcome(["u|"], ["u|"]) == (
        undo,
        "\n    the old proxy could not be put back: `bash /root/undo-takeover.sh` says why",
    )


def test_what_stands_is_never_put_back_by_itself() -> None:
    assert outcome(LINES) == ([], "")


def test_a_verification_that_fails_puts_back_and_still_fails_with_its_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(verify, "_patiently", lambda *args: verify.Answer(args[2], problem="no answer"))
    said: list[str] = []
    with fake({FACT: ["u|"], "docker ps -aq": []}, takeover="traefik", services=FEW) as host:
        monkeypatch.setattr(host, "log_styled", lambda text, **_: said.append(text))
        undo, failure = commands(verify.verified)
        assert str(undo) == "bash /root/undo-takeover.sh || true"
        assert failure.function(host.state, host) is False
    assert said == [
        (
            "does not answer as it should:\n"
            "    https://api.smarterbot.cl: no answer\n"
            "    https://api.smarterbot.store: no answer\n"
            "    see `docker logs caddy-proxy`\n"
            "    the old proxy could not be put back: `bash /root/undo-takeover.sh` says why"
        )
    ]


FEW = ["vault", "vault-auth-validator", "caddy"]


@pytest.mark.parametrize(("wanted", "first"), [("", "start"), ("traefik", "taken")])
def test_the_proxy_phase_takes_over_first_where_that_is_set(
    wanted: str, first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    for owner, name in (
        (takeover, "taken"),
        (containers, "start"),
        (containers, "caddyfile"),
    ):
        monkeypatch.setattr(owner, name, lambda *_, of=name, **__: calls.append(of))
    with fake({}, takeover=wanted, services=FEW):
        proxy.run()
    assert calls[0] == first


# The shell, with a docker whose containers are folders: name, policy, running, label, Caddyfile

DOCKER = r"""#!/bin/sh
# Compose gets no environment.
. "${0%/*}/environment"
cd "$BOXES"
for last; do :; done
of() { for box in *; do if [ "$box" = "$1" ] || [ "$(cat $box/name)" = "$1" ]; then echo $box; return; fi; done; return 1; }
case "$*" in
"image inspect "* | "volume inspect "*) ;;
"inspect --type container --format {{.Id}} "*) of "$last" ;;
"inspect "*"--format {{slice .Name 1}} "*) cat "$(of "$last")/name" ;;
"inspect --type container --format {{.Id}}|"*)
    box=$(of "$last") && echo "$box|$(cat $box/name)|$(cat $box/policy)|$(cat $box/running)" ;;
"inspect --type container --format {{.State.Status}}/"*)
    box=$(of "$last") && [ "$(cat "$box/running")" = true ] && echo running/healthy/0/0 ;;
"ps -aq --filter label=smarteros.service=caddy") [ ! -d ours ] || echo ours ;;
"ps -a --filter "*) ;;
"logs "*) echo "log of $last" ;;
"rename "*) ! of "$3" >/dev/null && box=$(of "$2") && echo "$3" > $box/name ;;
"update --restart="*) echo "${2#--restart=}" > "$(of "$3")/policy" ;;
"stop "*) echo false > "$(of "$2")/running" ;;
"start "*)
    ! grep -q true */running || exit 1
    echo true > "$(of "$2")/running"; cp "$HOST/Caddyfile" "$(of "$2")/loaded" ;;
"rm "*) rm -r "$(of "$2")" ;;
"cp -L "*":/etc/caddy/Caddyfile "*) box=${3%%:*}; cp "$box/Caddyfile" "$THERE/$4" ;;
"cp "*":/etc/caddy/Caddyfile.backup -") box=${2%%:*}; cat "$box/Caddyfile.backup" ;;
"cp "*) box=${3%%:*}; cp "$THERE/$2" "$box/${3##*/}" ;;
"compose "*" up --no-start --no-build --quiet-pull")
    [ -d ours ] || { ! of caddy-proxy >/dev/null && mkdir ours && echo caddy-proxy > ours/name &&
        echo unless-stopped > ours/policy && echo false > ours/running; } ;;
"compose "*" up -d "*)
    [ -z "$FAIL" ] || exit 17
    [ -d ours ] || { ! of caddy-proxy >/dev/null && mkdir ours && echo caddy-proxy > ours/name; } || exit 1
    [ "$(cat ours/running)" = true ] || ! grep -q true */running || exit 18
    echo true > ours/running ;;
*) echo "unexpected: $*" >&2; exit 99 ;;
esac
"""


@dataclass(frozen=True)
class Box:
    """A host in a folder: the containers, /root, /opt/smarteros."""

    root: Path

    def shell(self, script: str, *, fail: bool = False) -> tuple[int, str]:
        """Exit code and output of a script whose places are below this folder."""
        values = {
            "BOXES": str(self.root / "boxes"),
            "HOST": str(self.root / "home"),
            "THERE": str(self.root / "opt/takeover"),
            "FAIL": "yes" if fail else "",
        }
        (self.root / "bin/environment").write_text(
            "".join(f"export {name}={value}\n" for name, value in values.items())
        )
        done = subprocess.run(
            ["sh", "-c", self.moved(script)],
            env={"PATH": f"{self.root / 'bin'}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        return done.returncode, done.stdout + done.stderr

    def moved(self, text: str) -> str:
        """The text with our places below this folder."""
        text = text.replace("/opt/smarteros", f"{self.root}/opt").replace("/root/", f"{self.root}/home/")
        return text.replace("/var/lib", f"{self.root}/lib")

    def seen(self, box: str) -> tuple[str, ...]:
        """Name, restart policy and whether it runs."""
        read = [self.root / "boxes" / box / part for part in ("name", "policy", "running")]
        return tuple(path.read_text().strip() for path in read)

    @property
    def caddyfile(self) -> str:
        """What /root/Caddyfile says."""
        return (self.root / "home/Caddyfile").read_text()


@pytest.fixture
def box(tmp_path: Path) -> Box:
    """An old proxy called caddy-proxy that restarts always, and its Caddyfile; our generation is active."""
    made = Box(tmp_path)
    files_ = {
        "bin/docker": DOCKER,
        "boxes/0a1b/name": "caddy-proxy\n",
        "boxes/0a1b/policy": "on-failure:5\n",
        "boxes/0a1b/running": "true\n",
        "boxes/0a1b/Caddyfile": "old\n",
        "home/Caddyfile": "old\n",
        "opt/current/caddy/Caddyfile": "ours\n",
        "home/undo-takeover.sh": made.moved(undo_script()),
    }
    for path, text in files_.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    (tmp_path / "bin/docker").chmod(0o755)
    return made


def undo_script() -> str:
    stack = samples.stack()
    return files(stack, load(stack))["scripts/undo-takeover.sh"]


def script(name: str = "caddy-proxy") -> str:
    """Old and clashing at once, by the name that it has now."""
    old = Foreign(name, "caddy:2", "", temporary=False, ports=frozenset((80, 443)))
    return takeover.hand_over(CADDY, "host-1", (old,), (old,) if name == "caddy-proxy" else ())


BEFORE = ("caddy-proxy", "on-failure:5", "true")
AFTER = ("caddy-proxy-before-smarteros", "no", "false")
OURS = ("caddy-proxy", "unless-stopped", "true")
UNDO = "bash /root/undo-takeover.sh"


def test_the_old_proxy_hands_over_and_is_put_back(box: Box) -> None:
    assert box.shell(script()) == (0, "")
    assert (box.seen("0a1b"), box.seen("ours"), box.caddyfile) == (AFTER, OURS, "ours\n")
    assert (box.root / f"lib/smarteros/before/files{box.root}/home/Caddyfile").read_text() == "old\n"
    assert (box.root / "boxes/0a1b/Caddyfile.backup").read_text() == "old\n"
    assert (box.root / "opt/takeover/unverified").exists()
    said = (
        f"{box.root}/home/Caddyfile is the old one again\n"
        "caddy-proxy runs again (restart policy on-failure:5)\n"
        "the domains of SmarterOS do not answer until the next run\n"
    )
    assert box.shell(UNDO) == (0, said)
    assert (box.seen("0a1b"), box.caddyfile) == (BEFORE, "old\n")
    assert not (box.root / "boxes/ours").exists()
    assert (box.root / "boxes/0a1b/loaded").read_text() == "old\n"
    assert (box.root / "opt/takeover/proxy.log").read_text() == "log of ours\n"
    assert box.shell(UNDO) == (0, "nothing was taken over\n")


def test_a_backup_of_its_operators_is_left_alone(box: Box) -> None:
    (box.root / "boxes/0a1b/Caddyfile.backup").write_text("theirs\n")
    assert box.shell(script()) == (0, "")
    assert (box.root / "boxes/0a1b/Caddyfile.backup").read_text() == "theirs\n"
    assert (box.root / "opt/takeover/caddy-proxy.Caddyfile").read_text() == "old\n"


def test_after_an_undo_a_run_takes_over_again(box: Box) -> None:
    for _ in range(2):
        assert box.shell(script()) == (0, "")
        assert (box.seen("0a1b"), box.seen("ours"), box.caddyfile) == (AFTER, OURS, "ours\n")
        assert box.shell(UNDO)[0] == 0
        assert (box.seen("0a1b"), box.caddyfile) == (BEFORE, "old\n")


def test_a_proxy_of_another_name_keeps_it_and_ours_is_only_stopped(box: Box) -> None:
    (box.root / "boxes/0a1b/name").write_text("traefik\n")
    assert box.shell(script("traefik")) == (0, "")
    assert box.seen("0a1b") == ("traefik", "no", "false")
    assert box.shell(UNDO)[0] == 0
    assert box.seen("0a1b") == ("traefik", "on-failure:5", "true")
    assert box.seen("ours") == ("caddy-proxy", "unless-stopped", "false")


def test_a_start_that_fails_is_undone_at_once(box: Box) -> None:
    code, said = box.shell(script(), fail=True)
    assert (code, said.splitlines()[1:]) == (
        17,
        [
            "caddy-proxy runs again (restart policy on-failure:5)",
            "the domains of SmarterOS do not answer until the next run",
        ],
    )
    assert (box.seen("0a1b"), box.caddyfile) == (BEFORE, "old\n")


def test_an_old_proxy_that_was_removed_is_said(box: Box) -> None:
    assert box.shell(script()) == (0, "")
    subprocess.run(["rm", "-r", box.root / "boxes/0a1b"], check=True)
    code, said = box.shell(UNDO)
    assert (code, said.splitlines()[1]) == (0, "caddy-proxy was removed since: it cannot be put back")


def test_a_failed_undo_can_be_tried_again(box: Box) -> None:
    assert box.shell(script()) == (0, "")
    squatter = box.root / "boxes/9f9f"
    squatter.mkdir()
    for part, text in (("name", "squatter"), ("policy", "no"), ("running", "true")):
        (squatter / part).write_text(text)
    assert box.shell(UNDO)[0] == 1
    (squatter / "running").write_text("false")
    assert box.shell(UNDO)[0] == 0
    assert box.seen("0a1b") == BEFORE


def killed() -> Iterator[str]:
    """The script as it is when it is killed with -9 after each of its lines."""
    lines = script().splitlines()
    for end in range(4, len(lines) - 1):
        yield "\n".join([*lines[: end + 1], "kill -9 $$", *lines[end + 1 :]])


@pytest.mark.parametrize("cut", list(killed()))
def test_whenever_a_run_is_killed_the_next_one_goes_on_and_all_can_be_put_back(cut: str, box: Box) -> None:
    box.shell(cut)
    name, _, running = box.seen("0a1b")
    if running == "true":
        assert box.shell(script(name)) == (0, "")
    else:
        rest = rollout.start_script(CADDY, "host-1")
        assert box.shell(f"set -e\n{takeover._LINK}\n{rest}") == (0, "")
    assert (box.seen("0a1b"), box.seen("ours"), box.caddyfile) == (AFTER, OURS, "ours\n")
    assert box.shell(UNDO)[0] == 0
    assert (box.seen("0a1b"), box.caddyfile) == (BEFORE, "old\n")


def test_the_facts_command_is_valid_shell() -> None:
    assert subprocess.run(["sh", "-n", "-c", TakeoverFact().command()], check=False).returncode == 0
    assert re.search(r"\{\{\.HostConfig\.AutoRemove\}\}", TakeoverFact().command())


@pytest.mark.parametrize(("unverified", "remembered"), [(True, ["9f9f", "0a1b"]), (False, ["0a1b"])])
def test_of_two_old_proxies_the_one_that_a_killed_run_stopped_is_remembered(
    unverified: bool, remembered: list[str], box: Box
) -> None:
    state = box.root / "opt/takeover"
    state.mkdir()
    (state / "containers").write_text("9f9f|traefik|always|true\n")
    if unverified:
        (state / "unverified").touch()
    assert box.shell(script()) == (0, "")
    lines = (state / "containers").read_text().splitlines()
    assert [line.split("|")[0] for line in lines] == remembered
