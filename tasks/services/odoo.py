"""Odoo: ERP. The image's line 16.0 is frozen upstream; one override moves it."""

from collections.abc import Iterator
from typing import Any

from tasks.model.catalogue import (
    CORE,
    TENANTS,
    Admin,
    Container,
    Database,
    End,
    Files,
    Health,
    Route,
    Secret,
    Service,
    Size,
    Upstream,
    Volume,
    domains,
)  # fmt: skip
from tasks.model.mail import password
from tasks.model.stack import Stack
from tasks.model.visitor import NAME, Denied, Failed, Missing, TooSoon, Visitor
from tasks.services._odoo_paths import GUARDED, PUBLIC

# The last that upstream built of 16.0 (docker-library's list; odoo/docker has dropped the line since).
IMAGE = "odoo:16.0-20250909"
_ADOPTED = "attachments are found there where the database knows them"
_VOLUMES = (
    # Sessions: a file for each visitor, at each visit; whoever is signed in signs in again.
    Volume("odoo_data", "/var/lib/odoo", backup="files", omits=("sessions",), adopted=_ADOPTED),
    Volume("odoo_extra", "/mnt/extra-addons", backup="files"),
)
_END = End("16", "2025-09-30", "https://www.odoo.com/documentation/19.0/administration/standard_extended_support.html", "2026-11-27")  # fmt: skip
_UPSTREAM = (Upstream("odoo", "https://www.odoo.com/odoo-{major}-release-notes", ends=(_END,)),)


def describe(stack: Stack) -> Service:
    """Its role may create databases (one for each company) and is no superuser."""
    route = Route(
        "erp",
        "odoo",
        8069,
        loopback=8069,
        check="/web/health",
        expect=(200, 303),
        paths={"/websocket": 8072, "/longpolling/*": 8072},
        public=PUBLIC,
        guarded=GUARDED,
        languages=True,
        domain=stack.override("odoo").domain or "",
    )
    url = f"https://{domains(stack, route)[0]}"
    admin = Admin(
        login=stack.acme_email or f"admin@{stack.zone}",
        secret="ADMIN_PASSWORD",
        owned="SELECT FROM ir_config_parameter WHERE key = 'smarteros.first_admin'",
        changes=changes,
    )
    return Service(
        name="odoo",
        title="Odoo ERP",
        needs=("postgres",),
        routes=(route,),
        databases=(
            Database(
                "odoo",
                secret="PGPASSWORD",
                extensions=("pg_trgm", "unaccent"),
                create_databases=True,
                variable="PGUSER",
            ),
        ),
        secrets=(
            Secret("PGPASSWORD"),
            Secret("ADMIN_PASSWORD", kind="password", length=24),
            *password(stack, "MAIL_PASSWORD"),
        ),
        mails="no app sends anything: invitations, password resets, quotations and invoices wait in its queue and fail",
        containers=(
            Container(
                name="odoo-init",
                image=IMAGE,
                entrypoint=("python3", "/etc/odoo/first-run"),
                env_file=True,
                environment={**_environment(admin), **_mail(stack), "BASE_URL": url},
                files={"odoo": "/etc/odoo"},
                volumes=_VOLUMES,
                user="odoo",
                health=Health(("true",), seconds=900),
                # The real Odoo 19, making its database in the lab: 111 MB at its peak; 16.0 was not measured.
                size=Size(memory_mb=768, cpus=1, disk_gb=0.1, used_mb=400),
                job=True,
            ),
            Container(
                name="odoo",
                image=IMAGE,
                # Not the image's entrypoint, which writes the password of the database into the command line.
                entrypoint=("odoo",),
                env_file=True,
                environment=_environment(admin),
                files={"odoo": "/etc/odoo"},
                networks=(CORE, TENANTS),
                volumes=_VOLUMES,
                user="odoo",
                health=Health(("sh", "/etc/odoo/healthy"), seconds=240),
                # The real Odoo 19 with base alone, 4 workers: 250 MB in the lab, all they share counted once. Modules and users
                # make more of it; Odoo's own rule of thumb is 150 MB for a light worker, of which there are two for each core.
                size=Size(memory_mb=2048, cpus=2, disk_gb=10, used_mb=300, share=0.2, image_gb=1.9),
                stop_seconds=60,
                alone=True,
                # As several servers do behind a load balancer.
                twice="they share database, files and sessions; one of them takes each scheduled action, whose row it locks",
            ),
        ),
        admin=admin,
        users=users,
        upstream=_UPSTREAM,
        # Named by their content (odoo/addons/base/models/ir_attachment.py); each database has a folder of its own. s3://… is elsewhere
        # (OCA's fs_attachment).
        proof=Files(
            sql="SELECT store_fname, checksum FROM ir_attachment WHERE store_fname IS NOT NULL AND strpos(store_fname, '://') = 0",
            root="odoo_data/filestore/{database}",
            digest="sha1-hex",
        ),
    )


def _environment(admin: Admin) -> dict[str, str]:
    """The database's client reads PG… itself, with PGPASSWORD from the env file."""
    return {"PGHOST": "postgres", "PGPORT": "5432", "PGUSER": "odoo", "ADMIN_EMAIL": admin.login}


def _mail(stack: Stack) -> dict[str, str]:
    """For its first run, which makes them an outgoing server of the database: odoo.conf would have to hold the password, too."""
    if (mail := stack.mail) is None:
        return {}
    login = {"MAIL_HOST": mail.host, "MAIL_PORT": str(mail.at), "MAIL_USER": mail.user}
    return {**login, "MAIL_FROM": mail.sender, "MAIL_SECURITY": mail.security}


def users(visitor: Visitor) -> Iterator[str]:
    """A partner, and a report that every Odoo has, printed as PDF."""
    yield "sign in"
    _signed_in(visitor, visitor.secret("ADMIN_PASSWORD"))
    with visitor.leaving() as leaving:
        leaving.callback(_call, visitor, "/web/session/destroy")
        yield "remove what an earlier check has left"
        if left := _method(visitor, "res.partner", "search", [["name", "=", NAME]]):
            _method(visitor, "res.partner", "unlink", left)
        yield "make a partner"
        partner = _method(visitor, "res.partner", "create", {"name": NAME})
        with visitor.leaving() as made:
            made.callback(_method, visitor, "res.partner", "unlink", [partner])
            if (seen := _method(visitor, "res.partner", "read", [partner], ["name"])[0]["name"]) != NAME:
                raise Failed(f"the partner is called {seen!r}")
            yield "remove it"
        yield "print a PDF"
        if _call(visitor, "/report/check_wkhtmltopdf") == "install":
            raise Missing("it has no wkhtmltopdf")
        [model] = _method(visitor, "ir.model", "search", [["model", "=", "res.partner"]])
        printed = visitor.get(f"/report/pdf/base.report_irmodeloverview/{model}")
        if not printed.body.startswith(b"%PDF-"):
            raise Failed(f"the report is no PDF: {printed.text[:200]}")


def changes(visitor: Visitor, now: str, new: str) -> None:
    """All of its sessions end with the old password (res_users.py, _get_session_token_fields); API keys stay."""
    _signed_in(visitor, now)
    with visitor.leaving() as leaving:
        leaving.callback(_call, visitor, "/web/session/destroy")
        if new:
            _method(visitor, "res.users", "change_password", now, new)
            leaving.pop_all()


def _signed_in(visitor: Visitor, password: str) -> None:
    login = {"db": "odoo", "login": visitor.login, "password": password}
    if not _call(visitor, "/web/session/authenticate", **login)["uid"]:
        raise Denied("no session")  # without an error: a second factor is asked for


def _method(visitor: Visitor, model: str, method: str, *args: Any) -> Any:
    return _call(visitor, "/web/dataset/call_kw", model=model, method=method, args=args, kwargs={})


def _call(visitor: Visitor, path: str, **params: Any) -> Any:
    """One of Odoo's JSON-RPC requests, whose errors have status 200."""
    answer = visitor.post(path, {"jsonrpc": "2.0", "method": "call", "params": params}).json()
    if "error" not in answer:
        return answer.get("result")  # None is left out
    error = answer["error"].get("data") or answer["error"]
    said = f"{path}: {str(error.get('message') or error.get('name'))[:200]}"
    if "Too many login failures" in said:
        raise TooSoon(said)
    raise Denied(said) if str(error.get("name")).endswith("AccessDenied") else Failed(said)
