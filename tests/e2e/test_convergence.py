"""Convergence: a second run changes nothing; whatever is broken, one run repairs exactly that."""

import json
import time

from tests.e2e.deployment import Deployment

DOCKER = "Docker | engine, compose, buildx, daemon settings"
NETWORKS = "Networks | smarter-net, tenants-net, dokploy-network"
NOTED = "Host | changed programs and settings are noted every day"
FIREWALL = "Firewall | our table, loaded at boot"
FILES = "Generation | rendered files and their links"
VAULT, UNSEAL = "Vault | Vault runs and answers", "Vault | initialised and unsealed"
BOOT = "Boot | Vault is unsealed after a boot and a restart of its container"
ROLES = "Data | roles, databases and extensions"
ENV_FILES = "Secrets | /vault/secrets/<service>.env"
POSTGRES, REDIS = "Data | PostgreSQL", "Data | Redis"
CHATWOOT, BOTPRESS = "Services | Chatwoot CRM", "Services | Botpress Bot"
N8N, ODOO = "Services | n8n Workflows", "Services | Odoo ERP"
METABASE, MCP = "Services | Metabase KPI", "Services | MCP Registry"
DOKPLOY, VALIDATOR = "Services | Dokploy Panel", "Services | Vault Auth API"
CADDY, CADDYFILE = "Proxy | Caddy", "Proxy | the Caddyfile is loaded"
TIMER = "First logins | a timer removes them after 24 hours"
OUTDATED = "Outdated | the host asks weekly which images are outdated"
DRIFT = "Drift | the host looks daily for what differs"

JOBS = ("chatwoot-prepare", "n8n-files", "odoo-init")
# Every container, by the operation that starts it, in the order of the run.
STARTED = {
    VAULT: ("vault",),
    POSTGRES: ("postgres",),
    REDIS: ("redis",),
    CHATWOOT: ("chatwoot", "chatwoot-sidekiq", "chatwoot-prepare"),
    BOTPRESS: ("botpress",),
    N8N: ("n8n", "n8n-files"),
    ODOO: ("odoo", "odoo-init"),
    METABASE: ("smarteros-metabase",),
    MCP: ("mcp-registry-web",),
    DOKPLOY: ("dokploy",),
    VALIDATOR: ("vault-auth-validator",),
    CADDY: ("caddy-proxy",),
}
CONTAINERS = {name for names in STARTED.values() for name in names}

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
    assert {name for name in CONTAINERS if before.get(name) != after.get(name)} == set(renewed)
    assert set(after) == CONTAINERS
    deployed.unchanged()


def ids(deployed: Deployment) -> dict[str, str]:
    """Container → its id."""
    lines = deployed.sh("docker ps --all --no-trunc --format '{{.Names}} {{.ID}}'").splitlines()
    return dict(line.split() for line in lines)


def test_a_second_run_changes_nothing(deployed: Deployment) -> None:
    deployed.unchanged()


def test_containers_that_were_removed_stopped_or_paused_come_back_and_no_job_runs_again(
    deployed: Deployment,
) -> None:
    removed = (
        "vault",
        "redis",
        "chatwoot",
        "botpress",
        "smarteros-metabase",
        "mcp-registry-web",
        "caddy-proxy",
    )
    repaired(
        deployed,
        f"docker rm -f {' '.join(removed)}; docker stop chatwoot-sidekiq vault-auth-validator; docker pause odoo",
        [VAULT, REDIS, CHATWOOT, BOTPRESS, ODOO, METABASE, MCP, VALIDATOR, CADDY],
        renewed=removed,
    )


def test_a_database_networks_and_another_caddyfile_are_put_right(deployed: Deployment) -> None:
    deployed.sh(
        "printf 'http://127.0.0.1:2020 {\\n\\tbind 127.0.0.1\\n\\trespond foreign\\n}\\n'"
        " | docker exec -i caddy-proxy caddy reload --force --config - --adapter caddyfile"
    )
    repaired(
        deployed,
        f"docker rm -f postgres; {CUT.format('tenants-net')}; {CUT.format('dokploy-network')}",
        [NETWORKS, POSTGRES, N8N, ODOO, DOKPLOY, CADDYFILE],
        renewed=("postgres", "n8n", "odoo", "dokploy"),
    )


# As maintenance may leave them.
SHUT = """
docker exec -i postgres psql -qX -v ON_ERROR_STOP=1 -U postgres <<'SQL'
ALTER DATABASE chatwoot ALLOW_CONNECTIONS false;
ALTER DATABASE odoo CONNECTION LIMIT 0;
ALTER ROLE chatwoot NOLOGIN;
ALTER ROLE odoo VALID UNTIL '2020-01-01';
ALTER ROLE n8n CONNECTION LIMIT 0 CREATEROLE;
GRANT pg_execute_server_program TO n8n;
CREATE ROLE lent NOLOGIN;
GRANT lent TO odoo WITH ADMIN OPTION;
SET ROLE odoo;
GRANT lent TO n8n;
RESET ROLE;
SQL
"""


def test_roles_and_databases_that_let_nobody_in_are_opened_again(deployed: Deployment) -> None:
    repaired(deployed, SHUT, [ROLES])
    deployed.sh("docker exec postgres psql -qX -v ON_ERROR_STOP=1 -U postgres -c 'DROP ROLE lent'")


# What Compose does not see.
UPDATED = "docker update --restart=no --memory=900m --memory-swap=900m --cpus=0.5 --pids-limit=100 botpress caddy-proxy postgres"


def test_limits_that_somebody_has_changed_are_put_back_while_everything_runs(deployed: Deployment) -> None:
    state = "docker inspect --format '{{.Name}} {{.State.StartedAt}}' $(docker ps -q) | sort"
    told = "{{.RestartPolicy.Name}} {{.Memory}} {{.MemorySwap}} {{.NanoCPUs}} {{.PidsLimit}}"
    limits = f"docker inspect --format '{{{{.Name}}}} {{{{with .HostConfig}}}}{told}{{{{end}}}}' botpress caddy-proxy postgres"
    before = deployed.sh(state), deployed.sh(limits)
    repaired(deployed, UPDATED, [POSTGRES, BOTPRESS, CADDY])
    assert (deployed.sh(state), deployed.sh(limits)) == before


BY_HAND = """docker exec redis sh -c '
export REDISCLI_AUTH="$REDIS_PASSWORD"
redis-cli acl deluser n8n
redis-cli acl setuser evil on nopass "~*" +@all
redis-cli acl setuser chatwoot +@all
redis-cli config set appendonly no
redis-cli config set maxmemory-policy allkeys-lru
redis-cli replicaof 127.0.0.1 6399'"""
ASKED = """docker exec redis sh -c '
export REDISCLI_AUTH="$REDIS_PASSWORD"
redis-cli acl list | sort
redis-cli role | head -n 1
redis-cli config get appendonly maxmemory-policy'"""


def test_a_redis_that_somebody_has_changed_is_put_back_while_it_runs(deployed: Deployment) -> None:
    before = deployed.sh(ASKED), ids(deployed)
    deployed.sh(BY_HAND)
    changes = deployed.converge().changes
    assert changes[0] == "Data | Redis: what was changed by hand"
    # Whose worker has met a Redis that takes no writes is found on its way up again, or not, as it happens.
    assert set(changes[1:]) <= {CHATWOOT}
    assert (deployed.sh(ASKED), ids(deployed)) == before
    deployed.unchanged()


def test_a_volume_that_is_gone_is_no_empty_one_until_somebody_has_made_it(deployed: Deployment) -> None:
    deployed.sh("docker rm -f redis; docker volume rm redis_data")
    run = deployed.refused()
    made = "docker volume create --label smarteros.service=redis redis_data"
    assert any(
        line.startswith(f"redis: redis_data: there after the last deploy of {deployed.host.name}, and gone")
        and f"({made})" in line
        for line in run.lines
    ), run.output
    assert "redis" not in ids(deployed)
    drift = deployed.run(deploy="tasks.commands.drift.run")
    assert "volume redis_data: is gone" in drift.output
    repaired(deployed, made, [REDIS], renewed=("redis",))


LOCKED = """
setsid docker exec -i postgres psql -qX -U postgres -d chatwoot >/dev/null 2>&1 <<'SQL' &
SET application_name = 'somebody';
BEGIN;
LOCK TABLE users IN ACCESS EXCLUSIVE MODE;
SELECT pg_sleep(600);
SQL
until docker exec postgres psql -qAtX -U postgres -c "SELECT 'locked' FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted AND relation > 16384" |
    grep -q locked; do sleep 0.2; done
"""
FREED = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'somebody'"


def test_a_table_that_somebody_locks_holds_no_run_up(deployed: Deployment) -> None:
    deployed.sh(LOCKED)
    try:
        started = time.monotonic()
        run = deployed.refused()
        assert time.monotonic() - started < 120
        (line,) = [
            line for line in run.lines if line.startswith("whether chatwoot has an admin is not known")
        ]
        assert "pg_stat_activity" in line
    finally:
        deployed.sh(f'docker exec postgres psql -qX -U postgres -c "{FREED}"')
    deployed.unchanged()


# What the jobs have done is no longer known.
FORGOTTEN = """
docker exec -i postgres psql -qX -v ON_ERROR_STOP=1 -U postgres <<'SQL'
ALTER DATABASE chatwoot RESET smarteros.chatwoot_prepare;
ALTER DATABASE n8n RESET smarteros.n8n_files;
ALTER DATABASE odoo RESET smarteros.odoo_init;
SQL
"""


def test_jobs_that_have_ended_may_be_cleared_away_and_run_again_once_nobody_knows_of_them(
    deployed: Deployment,
) -> None:
    state = "docker inspect --format '{{.Name}} {{.State.StartedAt}}' $(docker ps -q) | sort"
    before = deployed.sh(state)
    deployed.sh("docker container prune --force")
    deployed.unchanged()
    assert set(ids(deployed)) == CONTAINERS - set(JOBS)
    repaired(deployed, FORGOTTEN, [CHATWOOT, N8N, ODOO], renewed=JOBS)
    assert deployed.sh(state) == before


def test_all_containers_and_their_network_removed_at_once_come_back(deployed: Deployment) -> None:
    # n8n that was killed waits for ten seconds when it starts again.
    damage = f"{FORGOTTEN}docker stop n8n; docker rm -f $(docker ps -aq); docker network rm smarter-net"
    repaired(deployed, damage, [NETWORKS, *STARTED], renewed=tuple(CONTAINERS))


def managed(deployed: Deployment) -> str:
    """Hash, mode, owner and target of every managed file."""
    folders = (
        "/opt/smarteros/current/ /vault/secrets /root/Caddyfile /root/dkcompose /root/env-templates /root/*.sh"
        " /etc/docker/daemon.json /etc/systemd/system/smarteros-*"
    )
    return deployed.sh(
        f"find {folders} -printf '%p %m %u:%g %l\\n' | sort;"
        f" find {folders} ! -type d -exec sha256sum {{}} + | sort"
    )


def test_rendered_files_their_links_and_env_files_are_put_right(deployed: Deployment) -> None:
    before = managed(deployed)
    repaired(
        deployed,
        "cd /opt/smarteros/current; echo '# by hand' >> dkcompose/n8n-deploy.yaml; rm dkcompose/odoo-deploy.yaml;"
        " chmod 600 caddy/Caddyfile; chown daemon vault/vault.hcl; touch caddy/extra;"
        " echo 'exit 0' > /root/generate-secrets.sh; chmod 644 scripts/odoo-smarter-config.sh;"
        " rm -r env-templates; rm /root/Caddyfile; echo mine > /root/Caddyfile;"
        " rm /root/dkcompose/redis-deploy.yaml /root/sync-forks.sh /root/env-templates/chatwoot.env.example;"
        " ln -sfn /dev/null /root/dkcompose/n8n-deploy.yaml; ln -sfn /bin/true /root/n8n-smarter-config.sh;"
        " cd /vault/secrets; rm postgres.env chatwoot.env; chmod 644 n8n.env; echo 'X=\"1\"' >> redis.env",
        [FILES, ENV_FILES],
    )
    assert managed(deployed) == before
    # On a host that was undone once it is what stood there before.
    kept = "/root/Caddyfile.before-smarteros"
    assert "mine\n" in deployed.sh(
        f"cat {kept} /var/lib/smarteros/before/files{kept.partition('.')[0]} 2>/dev/null; rm -f {kept}"
    )


def test_a_container_that_sees_files_changed_by_hand_is_made_anew_with_ours(deployed: Deployment) -> None:
    """It goes on to see the generation that it was started with, also when another is the active one."""
    before = managed(deployed)
    deployed.sh(
        "for page in /opt/smarteros/generations/*/mcp-registry/index.html; do echo '<!-- by hand -->' >> $page; done"
    )
    assert "<!-- by hand -->" in mcp_page(deployed)
    repaired(
        deployed,
        "rm /opt/smarteros/generations/*/redis/redis.conf",
        [FILES, REDIS, MCP],
        renewed=("redis", "mcp-registry-web"),
    )
    assert "<!-- by hand -->" not in mcp_page(deployed)
    assert managed(deployed) == before


def mcp_page(deployed: Deployment) -> str:
    return deployed.sh("docker exec mcp-registry-web wget -q -O - http://127.0.0.1/")


def test_a_timer_and_its_service_are_put_right(deployed: Deployment) -> None:
    before = managed(deployed)
    unit = "smarteros-first-logins"
    folder = "/etc/systemd/system"
    repaired(deployed, f"rm {folder}/{unit}.service; chmod 666 {folder}/{unit}.timer", [TIMER])
    repaired(deployed, f"systemctl disable --now --quiet {unit}.timer", [TIMER])
    assert deployed.sh(f"systemctl is-active {unit}.timer") == "active\n"
    assert managed(deployed) == before


# What an earlier release did not write yet.
NEWER = ("icc", "default-ulimits")


def test_docker_settings_are_put_right_with_one_restart_and_no_container_is_made_anew(
    deployed: Deployment,
) -> None:
    path, before = "/etc/docker/daemon.json", managed(deployed)
    repaired(deployed, f"chmod 666 {path}; chown daemon {path}", [DOCKER])
    restarts = "journalctl -u docker --no-pager -o cat | grep -c '^Started docker.service'"
    containers, count = ids(deployed), int(deployed.sh(restarts))
    old = {key: value for key, value in json.loads(deployed.sh(f"cat {path}")).items() if key not in NEWER}
    deployed.host.run(f"cat > {path}", input=json.dumps(old))
    changes = deployed.converge().changes
    # Docker restarts, and every container with it: some are healthy again before their turn comes, some after.
    assert changes[0] == DOCKER
    assert set(changes) <= {DOCKER, *STARTED}
    assert int(deployed.sh(restarts)) == count + 1
    assert ids(deployed) == containers
    assert managed(deployed) == before
    deployed.unchanged()


def test_all_managed_files_removed_at_once_come_back(deployed: Deployment) -> None:
    before = managed(deployed)
    repaired(
        deployed,
        "systemctl stop smarteros-unseal; rm -rf /opt/smarteros/generations /opt/smarteros/current"
        " /root/Caddyfile /root/dkcompose /root/*.sh /root/env-templates /vault/secrets /etc/systemd/system/smarteros-*",
        [
            NOTED,
            FIREWALL,
            FILES,
            VAULT,
            UNSEAL,
            BOOT,
            ENV_FILES,
            POSTGRES,
            REDIS,
            ODOO,
            MCP,
            DOKPLOY,
            TIMER,
            OUTDATED,
            DRIFT,
        ],
        renewed=("vault", "postgres", "redis", "odoo", "mcp-registry-web", "dokploy"),
    )
    assert managed(deployed) == before
