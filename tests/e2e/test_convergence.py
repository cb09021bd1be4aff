"""Convergence: a second run changes nothing; whatever is broken, one run repairs exactly that."""

from tests.e2e.deployment import Deployment

DOCKER = "Docker | engine, compose, buildx, daemon settings"
NETWORKS = "Networks | smarter-net, tenants-net"
FILES = "Generation | rendered files and their links"
VAULT, UNSEAL = "Vault | Vault runs and answers", "Vault | initialised and unsealed"
ENV_FILES = "Secrets | /vault/secrets/<service>.env"
POSTGRES, REDIS = "Data | PostgreSQL", "Data | Redis"
N8N, VALIDATOR = "Services | n8n Workflows", "Services | Vault Auth API"
CADDY, CADDYFILE = "Proxy | Caddy", "Proxy | the Caddyfile is loaded"

CONTAINERS = ("vault", "postgres", "redis", "n8n", "vault-auth-validator", "caddy-proxy")

# Cuts every container off from a network and removes it.
CUT = (
    "for name in $(docker network inspect --format '{{{{range .Containers}}}}{{{{.Name}}}} {{{{end}}}}' {0});"
    " do docker network disconnect --force {0} $name; done; docker network rm {0}"
)


def repaired(deployed: Deployment, damage: str, changes: list[str], *, renewed: tuple[str, ...] = ()) -> None:
    """After the damage one run makes exactly these changes and these containers anew, the next one none."""
    before = ids(deployed)
    deployed.sh(f"set -e; {damage}")
    assert deployed.converge().changes == changes
    after = ids(deployed)
    assert {name for name in CONTAINERS if before[name] != after[name]} == set(renewed)
    deployed.unchanged()


def ids(deployed: Deployment) -> dict[str, str]:
    """Container → its id."""
    lines = deployed.sh("docker ps --all --no-trunc --format '{{.Names}} {{.ID}}'").splitlines()
    return dict(line.split() for line in lines)


def test_a_second_run_changes_nothing(deployed: Deployment) -> None:
    deployed.unchanged()


def test_stateless_containers_that_were_removed_or_stopped_come_back(deployed: Deployment) -> None:
    repaired(
        deployed,
        "docker rm -f redis vault-auth-validator; docker stop caddy-proxy",
        [REDIS, VALIDATOR, CADDY],
        renewed=("redis", "vault-auth-validator"),
    )


def test_a_vault_that_was_removed_comes_back_unsealed(deployed: Deployment) -> None:
    repaired(
        deployed,
        "docker rm -f vault caddy-proxy; docker pause redis; docker stop vault-auth-validator",
        [VAULT, UNSEAL, REDIS, VALIDATOR, CADDY],
        renewed=("vault", "caddy-proxy"),
    )


def test_a_database_a_network_and_another_caddyfile_are_put_right(deployed: Deployment) -> None:
    deployed.sh(
        "printf 'http://127.0.0.1:2020 {\\n\\tbind 127.0.0.1\\n\\trespond foreign\\n}\\n'"
        " | docker exec -i caddy-proxy caddy reload --force --config - --adapter caddyfile"
    )
    repaired(
        deployed,
        f"docker rm -f postgres; {CUT.format('tenants-net')}",
        [NETWORKS, POSTGRES, N8N, CADDYFILE],
        renewed=("postgres", "n8n"),
    )


def test_all_containers_removed_at_once_come_back(deployed: Deployment) -> None:
    repaired(
        deployed,
        f"docker rm -f {' '.join(CONTAINERS)}",
        [VAULT, UNSEAL, POSTGRES, REDIS, N8N, VALIDATOR, CADDY],
        renewed=CONTAINERS,
    )


def test_a_network_that_every_container_was_cut_off_from_is_made_anew(deployed: Deployment) -> None:
    repaired(
        deployed,
        CUT.format("smarter-net"),
        [NETWORKS, VAULT, UNSEAL, POSTGRES, REDIS, N8N, VALIDATOR, CADDY],
        renewed=CONTAINERS,
    )


def managed(deployed: Deployment) -> str:
    """Hash, mode, owner and target of every managed file."""
    folders = "/opt/smarteros/current/ /vault/secrets /root/Caddyfile /root/dkcompose /etc/docker/daemon.json"
    return deployed.sh(
        f"find {folders} -printf '%p %m %u:%g %l\\n' | sort;"
        f" find {folders} ! -type d -exec sha256sum {{}} + | sort"
    )


def test_rendered_files_their_links_and_env_files_are_put_right(deployed: Deployment) -> None:
    before = managed(deployed)
    repaired(
        deployed,
        "cd /opt/smarteros/current; echo '# by hand' >> dkcompose/n8n-deploy.yaml; rm redis/redis.conf;"
        " chmod 600 caddy/Caddyfile; chown daemon vault/vault.hcl; touch caddy/extra;"
        " rm /root/Caddyfile; echo mine > /root/Caddyfile; rm /root/dkcompose/redis-deploy.yaml;"
        " ln -sfn /dev/null /root/dkcompose/n8n-deploy.yaml;"
        " cd /vault/secrets; rm postgres.env; chmod 644 n8n.env; echo 'X=\"1\"' >> redis.env",
        [FILES, ENV_FILES],
    )
    assert managed(deployed) == before
    assert (
        deployed.sh("cat /root/Caddyfile.before-smarteros; rm /root/Caddyfile.before-smarteros") == "mine\n"
    )


def test_docker_settings_are_put_right_and_no_container_is_made_anew(deployed: Deployment) -> None:
    path, before = "/etc/docker/daemon.json", managed(deployed)
    repaired(deployed, f"chmod 666 {path}; chown daemon {path}", [DOCKER])
    containers = ids(deployed)
    deployed.sh(f"rm {path}")
    changes = deployed.converge().changes
    # Docker restarts, and every container with it: some are healthy again before their turn comes, some after.
    assert changes[0] == DOCKER
    assert UNSEAL in changes
    assert set(changes) <= {DOCKER, VAULT, UNSEAL, POSTGRES, REDIS, N8N, VALIDATOR, CADDY}
    assert ids(deployed) == containers
    assert managed(deployed) == before
    deployed.unchanged()


def test_all_managed_files_removed_at_once_come_back(deployed: Deployment) -> None:
    before = managed(deployed)
    repaired(
        deployed,
        "rm -rf /opt/smarteros/current/* /opt/smarteros/current /root/Caddyfile /root/dkcompose /vault/secrets",
        [FILES, ENV_FILES],
    )
    assert managed(deployed) == before
