"""The health gate: a service that does not become healthy fails the run, and those after it are not touched."""

from tests.e2e.deployment import Deployment


def test_an_unhealthy_service_stops_the_run_before_those_after_it(deployed: Deployment) -> None:
    after = "docker inspect --format '{{.Id}} {{.State.StartedAt}}' vault-auth-validator caddy-proxy"
    before = deployed.sh(after)
    run = deployed.refused(
        overrides={
            "n8n": {"environment": {"DB_POSTGRESDB_HOST": "nowhere.invalid"}, "health_seconds": 8},
            "vault-auth-validator": {"memory_mb": 300},
            "caddy": {"memory_mb": 200},
        }
    )
    assert run.changed == {"main": ["Generation | rendered files and their links"]}
    assert run.failed == {"main": ["Services | n8n Workflows"]}
    assert deployed.sh(after) == before

    sentence = "n8n: container n8n on main is not healthy after 8 s ("
    start = next(number for number, line in enumerate(run.lines) if line.startswith(sentence))
    assert run.lines[start].endswith("); its last 50 log lines:")
    end = next(number for number, line in enumerate(run.lines) if number > start and line.startswith("Error"))
    log = run.lines[start + 1 : end]
    assert 0 < len(log) <= 50
    assert set(log) <= {line.strip() for line in deployed.sh("docker logs n8n 2>&1").splitlines()}

    assert deployed.converge().changes == [
        "Generation | rendered files and their links",
        "Services | n8n Workflows",
    ]
    deployed.unchanged()
