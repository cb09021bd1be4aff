"""Metabase: KPI dashboards. It migrates its database at boot, so there is one at a time."""

from collections.abc import Iterator

from tasks.model.catalogue import (
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
    domains,
)
from tasks.model.mail import password
from tasks.model.stack import Stack
from tasks.model.visitor import NAME, Denied, Failed, TooSoon, Visitor

# Shares of the container's limit, whoever sets that, where -Xmx would be of the catalogue's alone; what is beside the heap was
# seen to be 0.4 GB. uid 2000 is nobody in the image, so that its home would be /, which is read-only; what Truffle (charts in
# mails, SQL) would load from its cache cannot be loaded from /tmp, and it does without.
_HEAP = 0.5
_JAVA = (
    f"-XX:MaxRAMPercentage={_HEAP * 100} -XX:InitialRAMPercentage=10.0 -Duser.home=/tmp "
    "-Dpolyglotimpl.AttachLibraryFailureAction=ignore"
)

# Shared and embedded charts, which Metabase shows only where an admin has switched that on, their data, their maps, and the files that
# those pages load (src/metabase/server/routes.clj); the way out of its mails, which a hash in the link allows. What api_routes has without
# a login beside these (setup, sessions, settings) its own pages alone need.
_PUBLIC = (
    "/public/*", "/embed/*", "/api/public/*", "/api/embed/*", "/api/geojson/*", "/app/*", "/favicon.ico",
    "/unsubscribe", "/api/notification/unsubscribe", "/api/pulse/unsubscribe",
)  # fmt: skip


def describe(stack: Stack) -> Service:
    """Its state is in Postgres; the container has no volume."""
    route = Route(
        "kpi",
        "smarteros-metabase",
        3000,
        mirrored=True,
        check="/api/health",
        public=_PUBLIC,
        domain=stack.override("metabase").domain or "",
    )
    return Service(
        name="metabase",
        title="Metabase KPI",
        needs=("postgres",),
        routes=(route,),
        databases=(Database("metabase", secret="MB_DB_PASS", extensions=("citext",)),),
        metrics=(Metrics("smarteros-metabase", 9191),),
        mails="invitations, password resets, alerts and subscriptions are not sent",
        secrets=(
            Secret("MB_DB_PASS"),
            Secret("MB_ENCRYPTION_SECRET_KEY", length=48, lasting="connections to databases"),
            Secret("ADMIN_PASSWORD", kind="password", length=24, least=6, asks="1"),
            *password(stack, "MB_EMAIL_SMTP_PASSWORD"),
        ),
        containers=(
            Container(
                name="smarteros-metabase",
                # The newest of its line that is seen in public use (October 2026, with the figures below); of v0.64.2.2,
                # pinned before, no public file tells.
                image="metabase/metabase:v0.64.1.5",
                env_file=True,
                environment={
                    "MB_DB_TYPE": "postgres",
                    "MB_DB_HOST": "postgres",
                    "MB_DB_PORT": "5432",
                    "MB_DB_DBNAME": "metabase",
                    "MB_DB_USER": "metabase",
                    "MB_SITE_URL": f"https://{domains(stack, route)[0]}",
                    "MB_ANON_TRACKING_ENABLED": "false",
                    "MB_PROMETHEUS_SERVER_PORT": "9191",
                    "ADMIN_EMAIL": stack.acme_email or f"admin@{stack.zone}",
                    # Its driver is unpacked to /tmp, where nothing is loaded from; and it is no figures of the company's.
                    "MB_LOAD_SAMPLE_CONTENT": "false",
                    "JAVA_OPTS": _JAVA,
                    "XDG_CACHE_HOME": "/tmp",
                    **_mail(stack),
                },
                user="2000:2000",
                tmpfs=("/tmp", "/plugins:uid=2000,gid=2000"),
                health=Health(
                    ("curl", "-fsS", "-o", "/dev/null", "http://127.0.0.1:3000/api/health"), seconds=300
                ),
                # v0.64.1.5 with -Xmx1g, settled and asked nothing: 1412 MB (docker stats, a public course of October 2026);
                # 1 GB with one core no longer started 0.60 (metabase/metabase#72942). Unpacked 1.9 GB.
                size=Size(
                    memory_mb=2048, cpus=1, disk_gb=1, used_mb=400, share=_HEAP, least_mb=1200, image_gb=1.9
                ),
                stop_seconds=30,
                alone=True,
                once="it migrates its database at its start, under the one that runs",
            ),
        ),
        # Its internal user, which nobody can log in as, is there from the beginning.
        admin=Admin(
            login=stack.acme_email or f"admin@{stack.zone}",
            secret="ADMIN_PASSWORD",
            owned="SELECT FROM core_user WHERE is_superuser",
            changes=changes,
        ),
        users=users,
        upstream=(
            Upstream("metabase/metabase", "https://github.com/metabase/metabase/releases/tag/v{version}"),
        ),
    )


# What Metabase calls them: its `ssl` is TLS from the first byte, its `starttls` does not go on without.
_SECURITY = {"starttls": "starttls", "tls": "ssl", "none": "none"}


def _mail(stack: Stack) -> dict[str, str]:
    if stack.mail is None:
        return {}
    login = {"MB_EMAIL_SMTP_USERNAME": stack.mail.user} if stack.mail.user else {}
    return login | {
        "MB_EMAIL_SMTP_HOST": stack.mail.host,
        "MB_EMAIL_SMTP_PORT": str(stack.mail.at),
        "MB_EMAIL_SMTP_SECURITY": _SECURITY[stack.mail.security],
        "MB_EMAIL_FROM_ADDRESS": stack.mail.sender,
    }


def users(visitor: Visitor) -> Iterator[str]:
    """A query of its own database, connected for that: who has connected none has no other, the examples are left out."""
    yield "sign in"
    session = _signed_in(visitor, visitor.secret("ADMIN_PASSWORD"))
    with visitor.leaving() as leaving:
        leaving.callback(visitor.delete, "/api/session", headers=session, expect=(204,))
        yield "remove what an earlier check has left"
        for old in visitor.get("/api/database", headers=session).json()["data"]:
            if old["name"] == NAME:
                visitor.delete(f"/api/database/{old['id']}", headers=session, expect=(204,))
        yield "connect a database"
        details = {"host": "postgres", "port": 5432, "dbname": "metabase", "user": "metabase",
                   "password": visitor.secret("MB_DB_PASS"), "ssl": False,
                   "schema-filters-type": "inclusion", "schema-filters-patterns": "none"}  # fmt: skip
        database = {"name": NAME, "engine": "postgres", "details": details}
        number = visitor.post("/api/database", database, headers=session).json()["id"]
        leaving.callback(visitor.delete, f"/api/database/{number}", headers=session, expect=(204,))
        yield "run a query"
        question = {"database": number, "type": "native", "native": {"query": "SELECT 6 * 7"}}
        answer = visitor.post("/api/dataset", question, headers=session, expect=(200, 202)).json()
        if answer["status"] != "completed":
            raise Failed(f"the query {answer['status']}: {str(answer.get('error'))[:200]}")
        if (rows := answer["data"]["rows"]) != [[42]]:
            raise Failed(f"6 * 7 is answered with {str(rows)[:200]}")
        yield "remove it"


def changes(visitor: Visitor, now: str, new: str) -> None:
    """It asks no admin for the password of now, which the sign-in has seen; sessions of before last until they expire."""
    session = _signed_in(visitor, now)
    with visitor.leaving() as leaving:
        # Older ones end them all.
        leaving.callback(visitor.delete, "/api/session", headers=session, expect=(204, 401, 404))
        if new:
            me = visitor.get("/api/user/current", headers=session).json()["id"]
            wanted = {"password": new, "old_password": now}
            made = visitor.ask("PUT", f"/api/user/{me}/password", json=wanted, headers=session).json()
            another = {"X-Metabase-Session": made["session_id"]}
            leaving.callback(visitor.delete, "/api/session", headers=another, expect=(204,))


def _signed_in(visitor: Visitor, password: str) -> dict[str, str]:
    """Who has tried too often is answered with 401 as well, and a second factor with 200 (session/api.clj)."""
    login = {"username": visitor.login, "password": password}
    answer = visitor.post("/api/session", login, expect=(200, 401))
    if "Too many attempts" in answer.text:
        raise TooSoon("POST /api/session: too many attempts")
    if answer.status == 401 or "id" not in answer.json():
        raise Denied(f"POST /api/session: HTTP {answer.status}")
    return {"X-Metabase-Session": answer.json()["id"]}
