"""No secret shows: not in what a run prints, not in a process list, not on the host outside its allowed places."""

import secrets

from tests.e2e.canary import LOUD, assert_hidden, every_secret, watched
from tests.e2e.deployment import Deployment
from tests.e2e.test_secrets import N8N, PANEL, RENDERED, VALIDATOR, container_environment
from tests.e2e.vault_access import opened
from tests.lab.lab import Lab

ADMIN = "Services | Chatwoot CRM: its first admin"
LOGINS = "First logins | /root/GENERATED-SECRETS-<date>.txt"
CHANGES = [RENDERED, ADMIN, N8N, PANEL, VALIDATOR, LOGINS]
# What makes the next run write env files, make an admin and hand out the logins again.
UNDO = (
    "rm -rf /vault/secrets /opt/smarteros/handed-out; docker rm -f vault-auth-validator;"
    " docker exec postgres psql -U postgres -d chatwoot -qc 'TRUNCATE users CASCADE'"
)


def test_the_loudest_first_deploy_shows_none_of_them(lab: Lab) -> None:
    deployment = Deployment(lab, lab.host("lab-1"))
    with watched(deployment) as seen:
        run = deployment.run(*LOUD)
    assert run.code == 0, run.output[-6000:]
    assert {ADMIN, N8N, LOGINS} <= {*run.changes}, "this host was deployed before: take a new lab"
    assert "chatwoot-smarter-config.sh" in seen[0]  # it did look
    with opened(deployment) as vault:
        hidden = every_secret(deployment, vault)
    assert_hidden(deployment, hidden, {"first deploy": run.output, "processes": seen[0]})
    deployment.unchanged()


def test_a_loud_run_that_changes_secrets_shows_none_of_them(deployed: Deployment) -> None:
    with opened(deployed) as vault:
        values, _ = vault.read("n8n")
        rest = {**values, "DB_POSTGRESDB_PASSWORD": secrets.token_hex(20)}
        rest.pop("CANARY", None)
        vault.write("n8n", {**rest, "CANARY": secrets.token_hex(20)})
        deployed.sh(UNDO)
        try:
            with watched(deployed) as seen:
                plan = deployed.run("--dry", *LOUD, yes=False)
                run = deployed.run(*LOUD)
            assert (plan.code, run.code, run.changes) == (0, 0, CHANGES), run.changes
            hidden = every_secret(deployed, vault)
            assert container_environment(deployed, "n8n")["CANARY"] == hidden["n8n#CANARY"]
            for command in ("bring_up /root/dkcompose/vault-auth-", "chatwoot-smarter-config.sh"):
                assert command in seen[0]  # it did look
            assert_hidden(deployed, hidden, {"plan": plan.output, "run": run.output, "processes": seen[0]})
        finally:
            vault.write("n8n", rest)
            deployed.sh("rm -f /root/GENERATED-SECRETS-*")
    assert deployed.converge().changes == [RENDERED, N8N]
    deployed.unchanged()
