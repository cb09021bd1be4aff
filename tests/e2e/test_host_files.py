"""The host's files as an operator uses them: links, templates, generate-secrets, first logins, compose by hand."""

import re
import shlex
from collections.abc import Iterator

import pytest

from tests.e2e.clients import n8n_owner
from tests.e2e.deployment import Deployment
from tests.e2e.vault_access import Vault, kept, opened

RENDERED, N8N = "Secrets | /vault/secrets/<service>.env", "Services | n8n Workflows"
TIMER = "First logins | a timer removes them after 24 hours"
LOGINS = "First logins | /root/GENERATED-SECRETS-<date>.txt"
OWNED = ("botpress", "chatwoot", "dokploy", "metabase", "n8n", "odoo")
WITH_SECRETS = (*OWNED, "postgres", "redis", "vault-auth-validator")
ALL = (*WITH_SECRETS, "caddy", "mcp-registry", "vault")
SCRIPTS = ("generate-secrets", "sync-forks", "undo-takeover", *(f"{name}-smarter-config" for name in OWNED))
CURRENT = "/opt/smarteros/current"
SHOW = "bash /root/generate-secrets.sh show"


@pytest.fixture
def vault(deployed: Deployment) -> Iterator[Vault]:
    with opened(deployed) as vault:
        yield vault


def generate(host: Deployment, credential: dict[str, str]) -> str:
    """All that generate-secrets.sh prints, run with the credential from its standard input."""
    lines = "\n".join(f"export {name}={shlex.quote(value)}" for name, value in credential.items())
    done = host.host.run("set -a; . /dev/stdin; sh /root/generate-secrets.sh 2>&1", input=lines, check=False)
    return str(done.stdout)


def deployer(host: Deployment) -> dict[str, str]:
    """What the machine that deploys keeps of its credential."""
    state = kept(host)
    return {"VAULT_ROLE_ID": state["role_id"], "VAULT_SECRET_ID": state["secret_id"]}


def test_the_architectures_paths_are_links_to_real_files(deployed: Deployment) -> None:
    found = deployed.sh("find /root -maxdepth 2 -type l -printf '%p %l\\n'").splitlines()
    assert sorted(found) == sorted(
        [
            f"/root/Caddyfile {CURRENT}/caddy/Caddyfile",
            *(f"/root/dkcompose/{x}-deploy.yaml {CURRENT}/dkcompose/{x}-deploy.yaml" for x in ALL),
            *(
                f"/root/env-templates/{x}.env.example {CURRENT}/env-templates/{x}.env.example"
                for x in WITH_SECRETS
            ),
            *(f"/root/{name}.sh {CURRENT}/scripts/{name}.sh" for name in SCRIPTS),
        ]
    )
    paths = " ".join(line.split()[0] for line in found)
    states = deployed.sh(f"stat -L -c '%n %a %U:%G %F' {paths}").splitlines()
    modes = {line.split()[0]: line.split(" ", 1)[1] for line in states}
    assert modes == {
        path: f"{'755' if path.endswith('.sh') else '644'} root:root regular file" for path in modes
    }
    assert len(modes) == len(found)


def test_an_env_template_names_every_variable_of_the_env_file_and_holds_no_value(
    deployed: Deployment,
) -> None:
    for name in WITH_SECRETS:
        template = deployed.sh(f"cat /root/env-templates/{name}.env.example")
        made, _, _ = template.partition("\n# Not secret")
        real = dict(
            re.findall(r'^(\w+)="(.*)"$', deployed.sh(f"cat /vault/secrets/{name}.env"), re.MULTILINE)
        )
        assert sorted(re.findall(r"^(?:# )?([A-Za-z_]\w*)=", made, re.MULTILINE)) == sorted(real)
        assert [variable for variable, value in real.items() if value in template] == []


def test_generate_secrets_fills_what_is_missing_and_the_next_deploy_applies_it(
    deployed: Deployment, vault: Vault
) -> None:
    before = vault.everything()
    lost = {"n8n": "N8N_INSTANCE_OWNER_PASSWORD_HASH", "chatwoot": "ADMIN_PASSWORD"}
    credential = deployer(deployed)
    assert generate(deployed, credential) == "Nothing was missing.\n"
    for name, key in lost.items():
        vault.write(name, {other: value for other, value in before[name][0].items() if other != key})
    printed = generate(deployed, credential)
    assert printed == (
        "secret/chatwoot: generated ADMIN_PASSWORD\n"
        "secret/n8n: generated N8N_INSTANCE_OWNER_PASSWORD_HASH\n"
        "The next deploy brings them to their services.\n"
    )
    after = vault.everything()
    assert {name: after[name] for name in after if name not in lost} == {
        name: before[name] for name in before if name not in lost
    }
    for name, key in lost.items():
        assert after[name][0] == {**before[name][0], key: after[name][0][key]}
        assert after[name][0][key] != before[name][0][key]
        assert after[name][1] == before[name][1] + 2
    vault.write("chatwoot", before["chatwoot"][0])
    assert deployed.converge().changes == [RENDERED, N8N]
    with n8n_owner(deployed):
        pass  # it takes the hash that Caddy made
    deployed.unchanged()


def test_generate_secrets_says_what_it_needs(deployed: Deployment) -> None:
    assert generate(deployed, {}) == (
        "generate-secrets: Vault needs a credential: set VAULT_TOKEN, "
        "or VAULT_ROLE_ID and VAULT_SECRET_ID, in the environment\n"
    )
    assert "permission denied" in generate(deployed, {"VAULT_TOKEN": "s.nothing"})


def test_first_logins_are_handed_out_once(deployed: Deployment, vault: Vault) -> None:
    deployed.sh("rm -f /root/GENERATED-SECRETS-* /opt/smarteros/handed-out")
    assert deployed.converge().changes == [LOGINS]
    deployed.unchanged()
    today = deployed.sh("date +%F").strip()
    listed = deployed.sh("stat -c '%n %a %U:%G' /root/GENERATED-SECRETS-*")
    assert listed == f"/root/GENERATED-SECRETS-{today}.txt 600 root:root\n"
    shown = deployed.sh(SHOW)
    passwords = re.findall(r"password  (\S+)\n  in Vault  secret/(\S+), (\S+)", shown)
    assert sorted(name for _, name, _ in passwords) == sorted(OWNED)
    assert [vault.read(name)[0][key] for _, name, key in passwords] == [value for value, _, _ in passwords]
    assert re.findall(r"URL       https://(\S+)\.smarterbot\.cl/", shown) == [
        {"chatwoot": "crm", "botpress": "bot", "odoo": "erp", "metabase": "kpi"}.get(name, name)
        for _, name, _ in passwords
    ]
    assert "no first logins are kept here" in deployed.sh(f"{SHOW} 2>&1 || true")
    deployed.unchanged()


def test_first_logins_that_nobody_asks_for_remove_themselves(deployed: Deployment) -> None:
    unit = "smarteros-first-logins"
    old, young = "/root/GENERATED-SECRETS-2025-01-01.txt", "/root/GENERATED-SECRETS-2025-01-02.txt"
    for path, hours in ((old, 25), (young, 23)):
        deployed.sh(f"echo 'First logins of SmarterOS on lab-1' >{path}; touch -d '{hours} hours ago' {path}")
    assert deployed.sh(f"systemd-analyze verify /etc/systemd/system/{unit}.* 2>&1") == ""
    deployed.sh(f"systemctl start {unit}.service")
    assert deployed.sh("ls /root/GENERATED-SECRETS-2025-*").splitlines() == [young]
    deployed.sh(
        f"rm {young}; systemctl disable --now --quiet {unit}.timer; echo >> /etc/systemd/system/{unit}.service"
    )
    assert deployed.converge().changes == [TIMER]
    state = deployed.sh(f"systemctl is-enabled {unit}.timer; systemctl is-active {unit}.timer").split()
    assert state == ["enabled", "active"]
    assert deployed.sh(f"systemctl show -p NeedDaemonReload --value {unit}.service").strip() == "no"
    deployed.unchanged()


def test_compose_by_hand_changes_nothing_on_a_deployed_host(deployed: Deployment) -> None:
    shape = "{{.Name}} {{.Id}} {{.State.StartedAt}}"
    state = f"docker inspect --format '{shape}' $(docker ps -aq) | sort"
    before = deployed.sh(state)
    for name in ALL:
        deployed.sh(f"docker compose -f /root/dkcompose/{name}-deploy.yaml up -d 2>&1", timeout=300)
    assert deployed.sh(state) == before
