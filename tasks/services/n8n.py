"""n8n: workflows. Data in Postgres, encryption key from Vault, owner made before the first visitor."""

from collections.abc import Iterator
from functools import partial
from secrets import token_hex
from urllib.parse import quote

from tasks.model.catalogue import (
    CORE,
    TENANTS,
    Admin,
    Container,
    Database,
    Health,
    Metrics,
    Route,
    Secret,
    Service,
    Size,
    Upstream,
    Volume,
    domains,
)
from tasks.model.mail import password
from tasks.model.stack import Stack
from tasks.model.visitor import NAME, Failed, Visitor

# What workflows offer to others, those that wait for an answer and those being tested too, and what says who may by itself: OAuth's way
# back, signed files (n8n 2.30's endpoints.config and abstract-server), the WebSocket of a public chat, which asks for its execution's
# token (chat-service). Not /mcp-server, which changes workflows.
_PUBLIC = (
    "/webhook/*", "/webhook-test/*", "/webhook-waiting/*", "/chat", "/form/*", "/form-test/*", "/form-waiting/*",
    "/mcp/*", "/mcp-test/*", "/rest/oauth1-credential/callback", "/rest/oauth2-credential/callback",
    "/rest/binary-data/signed", "/static/*", "/favicon.ico",
)  # fmt: skip

# The newest patch of 2.30 in npm's registry, and in public use; upstream marked .4 as a pre-release.
IMAGE = "n8nio/n8n:2.30.8"
_FILES = "/home/node/.n8n-files"  # where workflows may read and write their own
_KEPT_FILES = (Volume("n8n_files", _FILES, backup="files"),)


def describe(stack: Stack) -> Service:
    """One main process (Community cannot run two); queue mode comes with several nodes."""
    route = Route(
        subdomain="n8n",
        container="n8n",
        port=5678,
        loopback=5678,
        public=_PUBLIC,
        domain=stack.override("n8n").domain or "",
    )
    return Service(
        name="n8n",
        title="n8n Workflows",
        needs=("postgres",),
        routes=(route,),
        databases=(Database("n8n", secret="DB_POSTGRESDB_PASSWORD"),),
        metrics=(Metrics("n8n", 5678),),
        mails="people are invited by a link that the owner hands on, and a forgotten password is reset by nobody",
        secrets=(
            Secret("N8N_ENCRYPTION_KEY", length=48, lasting="stored credentials, and n8n does not start"),
            Secret("DB_POSTGRESDB_PASSWORD"),
            Secret("N8N_OWNER_PASSWORD", length=24),
            Secret("N8N_INSTANCE_OWNER_PASSWORD_HASH", kind="bcrypt", of="N8N_OWNER_PASSWORD"),
            *password(stack, "N8N_SMTP_PASS"),
        ),
        containers=(
            Container(
                name="n8n",
                image=IMAGE,
                env_file=True,
                environment=_environment(stack, f"https://{domains(stack, route)[0]}/"),
                networks=(CORE, TENANTS),
                user="node",
                volumes=(
                    Volume(
                        "n8n_data",
                        "/home/node/.n8n",
                        backup="files",
                        omits=(
                            "n8nEventLog*.log",
                            "crash.journal",
                        ),  # of what ran; the database has it as well
                        adopted="n8n refuses to start when it holds another encryption key than Vault (n8n#N8N_ENCRYPTION_KEY)",
                    ),
                    *_KEPT_FILES,
                ),
                tmpfs=("/tmp", "/home/node/.cache:uid=1000,gid=1000,mode=0700"),
                # Its first start, with all migrations, took 40 s in the lab, and 182 where three hosts of two cores' machine did so at once.
                health=Health(
                    ("wget", "-q", "--spider", "http://127.0.0.1:5678/healthz/readiness"), seconds=300
                ),
                # The architecture's estimate is 512 MB; 450 to 755 MB were measured without a workflow, in the real n8n.
                size=Size(memory_mb=1024, cpus=1, disk_gb=5, used_mb=650, image_gb=1.2),
                stop_seconds=60,
                alone=True,
                once="a second main process would run each trigger and schedule once more",
            ),
            Container(
                name="n8n-files",
                image=IMAGE,
                entrypoint=("chown", "node:node", _FILES),
                volumes=_KEPT_FILES,
                root="Docker makes the folder as root's, since the image has none of that name",
                cap_add={
                    "CHOWN": "it gives the folder to n8n's user",
                    "DAC_READ_SEARCH": "the folder is in that user's home, which may be closed to others",
                },
                health=Health(("true",)),
                size=Size(memory_mb=64, cpus=0.5, used_mb=10),
                job=True,
            ),
        ),
        admin=Admin(
            login=stack.acme_email or f"admin@{stack.zone}",
            secret="N8N_OWNER_PASSWORD",
            owned='SELECT FROM "user" WHERE email IS NOT NULL AND password IS NOT NULL',
            restored="`docker restart n8n` on the host writes the owner of Vault again",
        ),
        users=users,
        upstream=(Upstream("n8nio/n8n", "https://github.com/n8n-io/n8n/releases/tag/n8n@{version}"),),
    )


def _environment(stack: Stack, url: str) -> dict[str, str]:
    return {
        "DB_TYPE": "postgresdb",
        "DB_POSTGRESDB_HOST": "postgres",
        "DB_POSTGRESDB_PORT": "5432",
        "DB_POSTGRESDB_DATABASE": "n8n",
        "DB_POSTGRESDB_USER": "n8n",
        "N8N_EDITOR_BASE_URL": url,
        "N8N_WEBHOOK_URL": url,
        "N8N_PROXY_HOPS": "1",
        "N8N_METRICS": "true",
        # In the database they would be read into memory first, and strangers may send 200 MB to a form or a webhook: two such uploads
        # ended it (n8n 2.30's database.manager). Those kept there before are still read from there.
        "N8N_DEFAULT_BINARY_DATA_MODE": "filesystem",
        # By default a folder of the home, which is read-only (security.config).
        "N8N_RESTRICT_FILE_ACCESS_TO": _FILES,
        # Community nodes are installed by npm, whose own cache would be below a home that is read-only.
        "NPM_CONFIG_CACHE": "/tmp/npm",
        "N8N_DIAGNOSTICS_ENABLED": "false",
        "N8N_VERSION_NOTIFICATIONS_ENABLED": "false",
        # Without these the first visitor of the domain would become its owner.
        "N8N_INSTANCE_OWNER_MANAGED_BY_ENV": "true",
        "N8N_INSTANCE_OWNER_EMAIL": stack.acme_email or f"admin@{stack.zone}",
        "N8N_INSTANCE_OWNER_FIRST_NAME": "SmarterOS",
        "N8N_INSTANCE_OWNER_LAST_NAME": "Owner",
        "GENERIC_TIMEZONE": stack.timezone,
        **_mail(stack),
    }


def _mail(stack: Stack) -> dict[str, str]:
    """Whether STARTTLS is used, it leaves to what the server offers; the certificate is checked."""
    if stack.mail is None:
        return {}
    login = {"N8N_SMTP_USER": stack.mail.user} if stack.mail.user else {}
    return login | {
        "N8N_EMAIL_MODE": "smtp",
        "N8N_SMTP_HOST": stack.mail.host,
        "N8N_SMTP_PORT": str(stack.mail.at),
        "N8N_SMTP_SENDER": stack.mail.sender,
        "N8N_SMTP_SSL": "true" if stack.mail.security == "tls" else "false",
        "N8N_SMTP_STARTTLS": "true" if stack.mail.security == "starttls" else "false",
    }


def users(visitor: Visitor) -> Iterator[str]:
    """A workflow of one webhook, called as the world calls it. Sessions are one browser's."""
    browser = {"browser-id": "smarteros"}
    yield "sign in"
    login = {"emailOrLdapLoginId": visitor.login, "password": visitor.secret("N8N_OWNER_PASSWORD")}
    visitor.post("/rest/login", login, headers=browser, denied=(401,))
    with visitor.leaving() as leaving:
        leaving.callback(visitor.post, "/rest/logout", {}, headers=browser)
        yield "remove what an earlier check has left"
        named = quote(f'{{"name": "{NAME}"}}')  # n8n finds what only contains it, too
        for old in visitor.get(f"/rest/workflows?filter={named}", headers=browser).json()["data"]:
            if old["name"] == NAME:
                archive = f"/rest/workflows/{old['id']}/archive"
                visitor.post(archive, {}, headers=browser, expect=(200, 400))  # 400: it is
                _remove(visitor, f"/rest/workflows/{old['id']}", browser)
        yield "make a workflow"
        word = token_hex(8)
        made = visitor.post("/rest/workflows", _workflow(word), headers=browser).json()["data"]
        workflow = f"/rest/workflows/{made['id']}"
        leaving.callback(_remove, visitor, workflow, browser)
        leaving.callback(visitor.post, f"{workflow}/archive", {}, headers=browser)
        yield "activate it"
        visitor.post(f"{workflow}/activate", {"versionId": made["versionId"]}, headers=browser)
        yield "call its webhook by its public URL"
        webhook = f"/webhook/smarteros-{word}?word={word}"
        # Newer versions publish a workflow behind the request's back, and take it back as they do.
        there = partial(visitor.get, webhook, expect=(200, 404))
        visitor.until(lambda: there().status == 200, "the webhook is not there", 15)
        said = visitor.get(webhook).text
        if f'"word":"{word}"' not in said.replace(" ", ""):
            raise Failed(f"the webhook's answer is not what it was sent: {said[:200]}")
        yield "remove it"


def _remove(visitor: Visitor, workflow: str, browser: dict[str, str]) -> None:
    gone = partial(visitor.delete, workflow, headers=browser, expect=(200, 409))
    visitor.until(lambda: gone().status == 200, "the workflow is not removed", 15)


def _workflow(word: str) -> dict[str, object]:
    webhook = {
        "id": word,
        "webhookId": word,
        "name": "Webhook",
        "type": "n8n-nodes-base.webhook",
        "typeVersion": 2,
        "position": [0, 0],
        "parameters": {"path": f"smarteros-{word}", "responseMode": "lastNode", "options": {}},
    }
    return {"name": NAME, "nodes": [webhook], "connections": {}, "settings": {}, "active": False}
