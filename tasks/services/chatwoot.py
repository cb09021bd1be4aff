"""Chatwoot: CRM and inboxes. A prepare job, the web process, and sidekiq for what runs behind."""

import json
from collections.abc import Iterator
from secrets import token_hex
from typing import Any
from urllib.parse import quote

from tasks.model.catalogue import (
    Admin,
    Container,
    Database,
    Files,
    Health,
    RedisUser,
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
from tasks.model.visitor import NAME, Visitor
from tasks.model.words import apart

# Active Record Encryption keeps these under its keys.
_ENCRYPTED = "second factors and access tokens of channels"

# Active Storage's disk service keeps abcdef… as ab/cd/abcdef…. What ACTIVE_STORAGE_SERVICE has sent elsewhere is no file here.
_BLOBS = (
    "SELECT substr(key, 1, 2) || '/' || substr(key, 3, 2) || '/' || key, checksum FROM active_storage_blobs "
    "WHERE service_name = 'local'"
)
IMAGE = "chatwoot/chatwoot:v4.15.1"  # the newest patch of 4.15 in public use, November 2026
_UPSTREAM = (Upstream("chatwoot/chatwoot", "https://github.com/chatwoot/chatwoot/releases/tag/v{version}"),)
_ADOPTED = "attachments are found there where the database knows them"
_STORAGE = (Volume("chatwoot_storage", "/app/storage", backup="files", adopted=_ADOPTED),)
_EXTENSIONS = ("pg_stat_statements", "pg_trgm", "pgcrypto", "vector")
# What customers and their channels reach (config/routes.rb of v4.15): widget with API and WebSocket, help centre, surveys, webhooks, those of
# inbound mail too (with a password or signature each), OAuth's way back, attachments, these pages' files. Not the agents' API, /app's.
_PUBLIC = apart(
    "/widget /api/v1/widget/* /public/api/* /cable /survey/* /hc/* /webhooks/* /enterprise/webhooks/* /api/v1/integrations/webhooks /bot /twilio/*",
    "/twitter/callback /microsoft/callback /google/callback /instagram/callback /tiktok/callback /notion/callback /linear/callback /shopify/callback",
    "/rails/active_storage/* /rails/action_mailbox/* /slack_uploads /.well-known/* /vite/* /packs/* /assets/* /audio/* /brand-assets/* /favicon*",
)


def describe(stack: Stack) -> Service:
    """Web and sidekiq share their settings, secrets and storage."""
    domain = stack.override("chatwoot").domain or ""
    route = Route("crm", "chatwoot", 3000, loopback=3100, expect=(200, 302), public=_PUBLIC, domain=domain)
    environment = _environment(stack, f"https://{domains(stack, route)[0]}")
    # 14 s are for requests: a migration of a large table takes longer (config/database.yml).
    prepare = {**environment, "POSTGRES_STATEMENT_TIMEOUT": "600s"}
    return Service(
        name="chatwoot",
        title="Chatwoot CRM",
        needs=("postgres", "redis"),
        routes=(route,),
        mails="agents' invitations, confirmations, password resets and answers of e-mail inboxes are lost",
        redis=RedisUser("chatwoot", secret="REDIS_PASSWORD"),
        databases=(Database("chatwoot", secret="POSTGRES_PASSWORD", extensions=_EXTENSIONS),),
        secrets=(
            Secret("SECRET_KEY_BASE", length=64, signs=True),
            Secret("POSTGRES_PASSWORD"),
            Secret("REDIS_PASSWORD"),
            Secret("ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY", length=32, lasting=_ENCRYPTED),
            Secret("ACTIVE_RECORD_ENCRYPTION_DETERMINISTIC_KEY", length=32, lasting=_ENCRYPTED),
            Secret("ACTIVE_RECORD_ENCRYPTION_KEY_DERIVATION_SALT", length=32, lasting=_ENCRYPTED),
            Secret("ADMIN_PASSWORD", kind="password", length=24, least=6, asks="Aa1!"),
            *password(stack, "SMTP_PASSWORD"),
        ),
        composed={"REDIS_URL": "redis://chatwoot:{REDIS_PASSWORD}@redis:6379/0"},
        containers=(
            _container("chatwoot", "bundle exec rails s -p 3000 -b 0.0.0.0", environment, stop=30),
            _container("chatwoot-sidekiq", "bundle exec sidekiq -C config/sidekiq.yml", environment, stop=60),
            _container("chatwoot-prepare", "bundle exec rails db:chatwoot_prepare", prepare, stop=30),
        ),
        admin=Admin(environment["ADMIN_EMAIL"], "ADMIN_PASSWORD", owned="SELECT FROM users", changes=changes),
        users=users,
        upstream=_UPSTREAM,
        proof=Files(_BLOBS, root="chatwoot_storage", digest="md5-base64"),
    )


# 300 to 350 MB each right after boot (chatwoot/chatwoot#13280); upstream's own unit gives sidekiq 1.2 GB without swap, which takes up to 1.0 GB of it
# under load (deployment/chatwoot-worker.1.service), and here what is in its /tmp counts, too. None of it was measured by us. Unpacked 2.3 GB, an estimate.
_SIZES = {
    "chatwoot": Size(memory_mb=1024, cpus=1, disk_gb=2, used_mb=450, least_mb=768, image_gb=2.3),
    "chatwoot-sidekiq": Size(memory_mb=1536, cpus=1, used_mb=600),
    "chatwoot-prepare": Size(memory_mb=768, cpus=1, used_mb=450),
}


def _container(name: str, command: str, environment: dict[str, str], stop: int) -> Container:
    checks = {
        "chatwoot": ("wget", "-q", "-O", "/dev/null", "http://127.0.0.1:3000/health"),
        "chatwoot-sidekiq": ("pgrep", "-f", r"^sidekiq .* busy\]"),
    }
    return Container(
        name=name,
        image=IMAGE,
        # The image has no entrypoint. Upstream's compose names docker/entrypoints/rails.sh, which runs `bundle install` at each
        # start, here on a root that is read-only, and waits for the database, which `needs` has seen to.
        command=tuple(command.split()),
        environment=environment,
        env_file=True,
        volumes=_STORAGE,
        tmpfs=("/tmp", "/app/tmp", "/app/log"),
        root="its image has no other user, and /app/storage is root's in it",
        health=Health(checks.get(name, ("true",)), seconds=240),
        size=_SIZES[name],
        stop_seconds=stop,
        job=name == "chatwoot-prepare",
        twice="they share database, Redis and attachments; a job migrates" if name == "chatwoot" else "",
    )


def _environment(stack: Stack, url: str) -> dict[str, str]:
    return {
        "RAILS_ENV": "production",
        "NODE_ENV": "production",
        "INSTALLATION_ENV": "docker",
        "FRONTEND_URL": url,
        "FORCE_SSL": "false",  # Caddy does it
        "ENABLE_ACCOUNT_SIGNUP": "false",
        "RAILS_LOG_TO_STDOUT": "true",
        # It would write up to 100 MB to /app/tmp at every start, which is memory here and empty at the next one.
        "DISABLE_BOOTSNAP_COMPILE_CACHE": "1",
        "ACTIVE_STORAGE_SERVICE": "local",
        "POSTGRES_HOST": "postgres",
        "POSTGRES_PORT": "5432",
        "POSTGRES_DATABASE": "chatwoot",
        "POSTGRES_USERNAME": "chatwoot",
        # Webhooks to n8n and Botpress go to private addresses.
        "SAFE_FETCH_ALLOW_PRIVATE_NETWORK": "true",
        "MAILER_SENDER_EMAIL": stack.acme_email or f"admin@{stack.zone}",
        "ADMIN_EMAIL": (stack.acme_email or f"admin@{stack.zone}").lower(),
        **_mail(stack),
    }


def _mail(stack: Stack) -> dict[str, str]:
    """Without SMTP_ADDRESS it takes a sendmail that its image has not (config/initializers/mailer.rb)."""
    if stack.mail is None:
        return {}
    # Of the two ways to log in, PLAIN is the one that each server has to have (RFC 4954); a few have LOGIN alone, which
    # `make test-mail` says.
    login = {"SMTP_USERNAME": stack.mail.user, "SMTP_AUTHENTICATION": "plain"} if stack.mail.user else {}
    return login | {
        "MAILER_SENDER_EMAIL": stack.mail.sender,
        "SMTP_ADDRESS": stack.mail.host,
        "SMTP_PORT": str(stack.mail.at),
        "SMTP_DOMAIN": stack.mail.sender.rpartition("@")[2],
        "SMTP_ENABLE_STARTTLS_AUTO": "true" if stack.mail.security == "starttls" else "false",
        "SMTP_TLS": "true" if stack.mail.security == "tls" else "false",
        "SMTP_OPENSSL_VERIFY_MODE": "peer",
    }


def users(visitor: Visitor) -> Iterator[str]:
    """An inbox, a conversation in it, and a message that arrives at an open page: through sidekiq and Redis."""
    yield "sign in"
    session, user = _signed_in(visitor, visitor.secret("ADMIN_PASSWORD"))
    account = f"/api/v1/accounts/{user['account_id']}"
    with visitor.leaving() as leaving:
        leaving.callback(visitor.delete, "/auth/sign_out", headers=session)
        yield "remove what an earlier check has left"
        for left in _left(visitor, account, session):
            visitor.delete(left, headers=session, expect=(200, 404))
        yield "make an inbox"
        wanted = {"name": NAME, "channel": {"type": "api", "webhook_url": ""}}
        inbox = visitor.post(f"{account}/inboxes", wanted, headers=session).json()["id"]
        leaving.callback(visitor.delete, f"{account}/inboxes/{inbox}", headers=session)
        yield "make a conversation"
        person = {"inbox_id": inbox, "name": NAME}
        made = visitor.post(f"{account}/contacts", person, headers=session).json()["payload"]
        contact = made["contact"]["id"]
        leaving.callback(visitor.delete, f"{account}/contacts/{contact}", headers=session)
        begun = {"source_id": made["contact_inbox"]["source_id"], "inbox_id": inbox, "contact_id": contact}
        conversation = visitor.post(f"{account}/conversations", begun, headers=session).json()["id"]
        yield "see a message through the WebSocket"
        room = {"channel": "RoomChannel", "pubsub_token": user["pubsub_token"],
                "account_id": user["account_id"], "user_id": user["id"]}  # fmt: skip
        with visitor.websocket("/cable") as page:
            page.send({"command": "subscribe", "identifier": json.dumps(room)})
            page.until(lambda heard: heard.get("type") == "confirm_subscription", "the subscription")
            message = {"content": token_hex(8), "message_type": "outgoing"}
            visitor.post(f"{account}/conversations/{conversation}/messages", message, headers=session)
            new = {"message.created", message["content"]}
            page.until(lambda heard: all(f'"{word}"' in json.dumps(heard) for word in new), "the message")
        yield "remove them"


def changes(visitor: Visitor, now: str, new: str) -> None:
    """All other sessions end with the old password (devise_token_auth.rb), and access tokens stay."""
    session, _ = _signed_in(visitor, now)
    with visitor.leaving() as leaving:
        leaving.callback(visitor.delete, "/auth/sign_out", headers=session)
        if new:
            profile = {"current_password": now, "password": new, "password_confirmation": new}
            visitor.ask("PUT", "/api/v1/profile", json={"profile": profile}, headers=session)


def _signed_in(visitor: Visitor, password: str) -> tuple[dict[str, str], Any]:
    """The session's headers, and who it is. 206: a second factor is asked for."""
    login = {"email": visitor.login, "password": password}
    signed = visitor.post("/auth/sign_in", login, denied=(401, 206))
    names = ("access-token", "client", "uid", "token-type")
    return {name: signed.headers[name] for name in names}, signed.json()["data"]


def _left(visitor: Visitor, account: str, session: dict[str, str]) -> Iterator[str]:
    """What has our name; a removed inbox is listed until sidekiq comes to it. Fifteen contacts, the next check finds the next."""
    for kind, listed in (("inboxes", ""), ("contacts", f"/search?q={quote(NAME)}")):
        found = visitor.get(f"{account}/{kind}{listed}", headers=session).json()["payload"]
        yield from (f"{account}/{kind}/{one['id']}" for one in found if one["name"] == NAME)
