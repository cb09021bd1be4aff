"""Odoo: ERP. The image's line 16.0 is frozen upstream; one override moves it."""

from tasks.model.catalogue import (
    CORE,
    TENANTS,
    Admin,
    Container,
    Database,
    Health,
    Route,
    Secret,
    Service,
    Size,
    Volume,
)
from tasks.model.mail import password
from tasks.model.stack import Stack

# The last that upstream built of 16.0 (docker-library's list; odoo/docker has dropped the line since).
IMAGE = "odoo:16.0-20250909"
_VOLUMES = (
    Volume(
        "odoo_data",
        "/var/lib/odoo",
        backup=True,
        adopted="attachments are found there where the database knows them",
    ),
    Volume("odoo_extra", "/mnt/extra-addons", backup=True),
)

# What staff and programs use. The rest is its website's, its portal's, its payments' and its modules', and any module adds to that. Each
# answers below a language, too: /es/jsonrpc (addons/http_routing, case 9). /odoo and /json are of 18 and 19.
_GUARDED = (
    "/web",
    "/*/web",
    "/odoo",
    "/odoo/*",
    "/*/odoo",
    "*/web/dataset/*",
    "*/web/action/*",
    "*/web/export/*",
    "*/web/view/*",
    "*/web/database/*",
    "*/web/session/authenticate",
    "*/report/download",
    "*/report/html/*",
    "*/report/pdf/*",
    "*/jsonrpc",
    "*/json/*",
    "*/xmlrpc/*",
)


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
        guarded=_GUARDED,
        domain=stack.override("odoo").domain or "",
    )
    admin = Admin(
        login=stack.acme_email or f"admin@{stack.zone}",
        secret="ADMIN_PASSWORD",
        owned="SELECT FROM ir_config_parameter WHERE key = 'smarteros.first_admin'",
    )
    return Service(
        name="odoo",
        title="Odoo ERP",
        rollout="rolling",
        needs=("postgres",),
        routes=(route,),
        databases=(
            Database("odoo", secret="PGPASSWORD", extensions=("pg_trgm", "unaccent"), create_databases=True),
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
                environment={**_environment(admin), **_mail(stack)},
                files={"odoo": "/etc/odoo"},
                volumes=_VOLUMES,
                user="odoo",
                health=Health(("true",), seconds=900),
                size=Size(memory_mb=768, cpus=1, disk_gb=0.1, used_mb=400),
                stop_seconds=10,
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
                health=Health(
                    ("curl", "-fsS", "-o", "/dev/null", "http://127.0.0.1:8069/web/health"), seconds=240
                ),
                # The real Odoo 19 with base alone, 4 workers: 250 MB in the lab, all they share counted once. Modules and users
                # make more of it; Odoo's own rule of thumb is 150 MB for a light worker, of which there are two for each core.
                size=Size(memory_mb=2048, cpus=2, disk_gb=10, used_mb=300, share=0.2, image_gb=1.9),
                stop_seconds=60,
            ),
        ),
        admin=admin,
    )


def _environment(admin: Admin) -> dict[str, str]:
    """The database's client reads PG… itself, with PGPASSWORD from the env file."""
    return {"PGHOST": "postgres", "PGPORT": "5432", "PGUSER": "odoo", "ADMIN_EMAIL": admin.login}


def _mail(stack: Stack) -> dict[str, str]:
    """For its first run, which makes them an outgoing server of the database: odoo.conf would have to hold the password, too."""
    if stack.mail is None:
        return {}
    return {
        "MAIL_HOST": stack.mail.host,
        "MAIL_PORT": str(stack.mail.at),
        "MAIL_USER": stack.mail.user,
        "MAIL_FROM": stack.mail.sender,
        "MAIL_SECURITY": stack.mail.security,
    }
