"""Botpress v12: bots. Community edition cannot cluster, so there is one, stopped before it is started anew."""

import re
from collections.abc import Iterator
from secrets import token_hex
from typing import Any

from tasks.model.catalogue import (
    Admin,
    Container,
    Database,
    Health,
    Route,
    Secret,
    Service,
    Size,
    Upstream,
    Volume,
    domains,
)
from tasks.model.stack import Stack
from tasks.model.visitor import Failed, Visitor

# The image starts Duckling, which finds dates and amounts in texts, from a shell that forwards no signals. Here bp stays the
# process that gets them. Duckling writes a folder beside itself, and takes PORT for its own.
_START = "(cd /tmp && exec env -u PORT /botpress/duckling) & exec /botpress/bp"
# What those who talk to a bot reach: its API with converse and the webchat, its WebSocket, channels' webhooks, the page around the
# webchat, short links (packages/bp/src/core/app/server.ts of 12.31.10). It serves the studio below any path whatever.
_PUBLIC = (
    "/api/v1/bots/*",
    "/api/v1/messaging/*",
    "/api/v1/chat/*",
    "/api/v1/media/*",
    "/socket.io/*",
    "/assets/*",
    "/lite/*",
    "/s/*",
)


def describe(stack: Stack) -> Service:
    """DATABASE_URL holds the role's password, so it is a secret made from it."""
    route = Route(
        "bot",
        "botpress",
        3000,
        loopback=3200,
        # A page of Studio, for a bot that need not be there: /status says nothing of Studio's process, and bp answers
        # 504 in its place when that has given up (v12.31.10 server.ts setupStudioProxy).
        check="/studio/smarteros",
        public=_PUBLIC,
        guarded=("*/studio/*", "*/api/v1/studio*"),
        domain=stack.override("botpress").domain or "",
    )
    # As it is kept and looked for (v12.31.10 strategy_users.ts).
    admin = Admin(
        login=(stack.acme_email or f"admin@{stack.zone}").lower(),
        secret="BP_ADMIN_PASSWORD",
        owned="SELECT FROM strategy_default",
        changes=changes,
    )
    return Service(
        name="botpress",
        title="Botpress Bot",
        needs=("postgres",),
        routes=(route,),
        databases=(Database("botpress", secret="DATABASE_PASSWORD"),),
        secrets=(
            Secret("DATABASE_PASSWORD"),
            Secret("APP_SECRET", length=48, signs=True),
            Secret(admin.secret, kind="password", length=24, least=4),
        ),
        composed={
            "DATABASE_URL": "postgres://botpress:{DATABASE_PASSWORD}@postgres:5432/botpress",
            # What signs the sessions; else it makes one itself and keeps it in its database (core/app/botpress.ts).
            "BP_CONFIG_APPSECRET": "{APP_SECRET}",
        },
        containers=(
            Container(
                name="botpress",
                # Upstream's last (botpress/v12, .github/workflows/docker.yml).
                image="botpress/server:12.31.10",
                architectures=("amd64",),  # https://github.com/botpress/v12/issues/1842
                command=("sh", "-c", _START),
                env_file=True,
                environment={
                    "EXTERNAL_URL": f"https://{domains(stack, route)[0]}",
                    "PORT": "3000",
                    "BP_HOST": "0.0.0.0",  # noqa: S104  inside its container
                    "BP_PRODUCTION": "true",
                    "BPFS_STORAGE": "database",
                    "AUTO_MIGRATE": "true",
                    "REVERSE_PROXY": "true",
                    "CLUSTER_ENABLED": "false",
                    "BP_CONFIG_SENDUSAGESTATS": "false",
                    # 850 MB of models by default, beside all its processes (modules/nlu/src/config.ts).
                    "BP_MODULE_NLU_MODELCACHESIZE": "256mb",
                    "BP_ADMIN_EMAIL": admin.login,  # with BP_ADMIN_PASSWORD: made at its start, while there is nobody
                },
                volumes=(
                    Volume(
                        "botpress_data",
                        "/botpress/data",
                        backup="files",
                        adopted="its bots and files are shown as they are",
                    ),
                ),
                user="999",
                executable="Studio and NLU unpack their native modules there (vercel/pkg 4.5.1, prelude/bootstrap.js)",
                tmpfs=("/tmp", "/home/botpress:uid=999,gid=999"),
                health=Health(("wget", "-q", "-O", "/dev/null", "http://127.0.0.1:3000/status"), seconds=240),
                # Five processes and Duckling: 0.7 to 1.0 GB without a bot is an estimate; upstream asks for 2 GB and advises 4
                # (docs/going-to-production/requirements). Measured: the server of 12.31.10 alone, from source, without a module:
                # there in 3 s with 147 MB, 104 MB two minutes later.
                size=Size(memory_mb=2048, cpus=1, disk_gb=5, used_mb=900, least_mb=1536, image_gb=1.6),
                stop_seconds=30,
                once="the Community edition cannot cluster: neither would know what the other caches, and has begun",
            ),
        ),
        admin=admin,
        users=users,
        upstream=(Upstream("botpress/server", "https://github.com/botpress/v12/releases/tag/v{version}"),),
    )


def users(visitor: Visitor) -> Iterator[str]:
    """A bot of upstream's template: Studio is a process of its own, NLU another, which needs a language server."""
    yield "sign in"
    signed = _signed_in(visitor, visitor.secret("BP_ADMIN_PASSWORD"))
    session = {"Authorization": f"Bearer {signed['payload']['jwt']}", "X-BP-Workspace": "default"}
    bots = "/api/v2/admin/workspace/bots"
    yield "remove what an earlier check has left"
    for old in visitor.get(bots, headers=session).json()["payload"]["bots"]:
        if re.fullmatch(r"smarteros-check-[0-9a-f]{8}", old["id"]):
            visitor.post(f"{bots}/{old['id']}/delete", {}, headers=session)
    with visitor.leaving() as leaving:
        yield "make a bot"
        bot = f"smarteros-check-{token_hex(4)}"
        wanted = {"id": bot, "name": bot, "template": {"moduleId": "builtin", "id": "welcome-bot"}}
        visitor.post(bots, wanted, headers=session)
        leaving.callback(visitor.post, f"{bots}/{bot}/delete", {}, headers=session)
        yield "open it in Studio"
        page = visitor.get(f"/studio/{bot}/")
        if "<html" not in page.text.lower():
            raise Failed(f"Studio's page is no page: {page.text[:200]}")
        visitor.get(f"/api/v1/studio/{bot}/nlu/intents", headers=session)
        yield "find a language server"
        nlu = f"/api/v1/bots/{bot}/mod/nlu"
        health = visitor.get(f"{nlu}/health", headers=session, expect=(200, 404))
        if health.status == 404 or "en" not in health.json()["validLanguages"]:
            raise Failed("no language server answers, so no bot can be trained: see the README")
        yield "train it"
        visitor.post(f"{nlu}/train/en", {}, headers=session)
        visitor.until(
            lambda: _trained(visitor, f"{nlu}/training/en", session), "the training is not done", 90
        )
        yield "get an answer to a message"
        message = {"type": "text", "text": "hello"}
        said = visitor.post(f"/api/v1/bots/{bot}/converse/{token_hex(8)}", message).json()
        if not said["responses"]:
            raise Failed("the bot says nothing")
        yield "remove it"


def changes(visitor: Visitor, now: str, new: str) -> None:
    """In the sign-in itself, which ends all sessions of before (core/security/strategy-basic.ts)."""
    _signed_in(visitor, now, **({"newPassword": new} if new else {}))


def _signed_in(visitor: Visitor, password: str, **more: str) -> Any:
    """A wrong password is 400, as is one that has expired and one that was locked out."""
    login = {"email": visitor.login, "password": password, **more}
    return visitor.post("/api/v1/auth/login/basic/default", login, denied=(400, 401)).json()


def _trained(visitor: Visitor, path: str, session: dict[str, str]) -> bool:
    status = visitor.get(path, headers=session).json()["status"]
    if status in ("errored", "canceled"):
        raise Failed(f"the training has ended otherwise: {status}")
    return bool(status == "done")
