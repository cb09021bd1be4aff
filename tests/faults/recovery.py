"""Recovery: `recover` onto a bare host is killed at line after line of each part; a re-run goes on, and in the end all is there."""

from collections.abc import Mapping
from pathlib import Path
from random import Random
from shlex import join

from tests.e2e.backed import Backed
from tests.e2e.deployment import Deployment, Run
from tests.e2e.recovering import Operator
from tests.faults.script import Script
from tests.lab import smarteros

NOW = "tasks.commands.backup.run"
# Of recover.sh, which comes there with the deploy; the last one after all else. With "list" it asks the bucket for what comes.
PARTS = ("vault", "list", "files", "redis", "postgres", "end")
_SCRIPT = "/opt/smarteros/current/restore/recover.sh"
_WORD = "/var/lib/docker/volumes/n8n_data/_data/recovered"
_HELD = {
    "rows": "docker exec postgres psql -qAtX -U postgres -d n8n -c 'SELECT count(*), sum(n) FROM recovered'",
    "files": f"cat {_WORD}; stat -c '%u:%g %a' {_WORD}",
    "redis": "docker exec redis sh -c 'REDISCLI_AUTH=\"$REDIS_PASSWORD\" redis-cli GET recovered'",
    "secrets": "sha256sum /vault/secrets/*.env",
    "certificates": "docker exec caddy-proxy sh -c 'cd /data/caddy/certificates && find . -name *.crt | sort | xargs sha256sum'",
}


def given(backed: Backed) -> Mapping[str, str]:
    """What the host holds, all of which is in the bucket."""
    host = backed.host
    host.sh(
        f"""
set -e
docker exec postgres psql -qX -U postgres -d n8n -c 'DROP TABLE IF EXISTS recovered; CREATE TABLE recovered AS SELECT generate_series(1, 1000) AS n'
echo precious >{_WORD}; chown 1000:1000 {_WORD}; chmod 640 {_WORD}
docker exec redis sh -c 'REDISCLI_AUTH="$REDIS_PASSWORD" redis-cli SET recovered precious'
"""
    )
    made = backed.run(NOW)
    assert made.code == 0, made.output[-6000:]
    held = _held(host)
    assert all(held.values()), held
    return held


def recovers(
    backed: Backed, host: Deployment, held: Mapping[str, str], folder: Path, chance: Random
) -> list[str]:
    """Each part is killed until it was at all its lines, within the deploy and then by itself. The points."""
    host.lab.point(smarteros.domains(), host.host)
    operator, script = Operator(folder, backed), Script(host, "", chance)
    script.follow()
    brought(operator, host, script, FORCE="1")
    script.leave()
    assert {point.partition(":")[0] for point in script.killed} == {*PARTS}
    assert _held(host) == held
    assert (
        host.sh(
            "ls -d /var/lib/smarteros/recover /var/lib/smarteros/restore/{files,redis} 2>/dev/null || true"
        )
        == ""
    )
    assert host.sh("docker ps -a --format '{{.Names}}' | grep -E 'recovering|restored-' || true") == ""
    again = operator.pyinfra("deploy.py")
    again.unchanged()
    status = operator.pyinfra("tasks.commands.status.run")
    assert status.code == 0, status.output[-4000:]
    return script.killed


def brought(operator: Operator, host: Deployment, script: Script, **words: str) -> Run:
    """Recovered with these words, by one command after another, of which each was killed but the last."""
    while True:
        run = operator.recover(host, None, **words)
        point = script.was_killed()
        if not point:
            assert run.code == 0, run.output[-8000:]
            return run
        assert run.code == 1, (point, run.output[-6000:])
        part = point.partition(":")[0]
        print(f"killed {point}", flush=True)
        if part == "end":  # after which there is nothing left to go on with
            script.only(_of_the_end(host))
            continue
        given, _ = script.called()

        def rerun(given: list[str] = given) -> tuple[int, str]:
            done = host.host.run(join(["bash", _SCRIPT, *given]), check=False)
            return done.returncode, done.stdout + done.stderr

        script.chain(rerun)
        print(f"ok    recover, {part}: killed {len(script.killed)} times so far", flush=True)


def _of_the_end(host: Deployment) -> list[str]:
    lines = host.sh(f"cat {_SCRIPT}").splitlines()
    begins = lines.index("end)")
    ends = lines.index("    ;;", begins)
    return [f"end:restore/recover.sh:{number}*1" for number in range(begins + 2, ends + 1)]


def _held(host: Deployment) -> dict[str, str]:
    return {what: host.sh(command) for what, command in _HELD.items()}
