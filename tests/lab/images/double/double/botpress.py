"""Botpress v12 (12.31.10), community edition: `bp`.

Stricter than upstream, which falls back to SQLite without DATABASE_URL and guesses a missing EXTERNAL_URL, and whose
/status says that NLU is up even where it has no Duckling. Studio, NLU and Messaging are processes of their own there.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from double.botpress_bots import Bots
from double.contract import BOOLEAN, NUMBER, POSTGRES_URL, URL, Environment, Refused, Rule, demand, writable
from double.needs import executable, memory
from double.passwords import hashed, matches
from double.store import Database
from double.web import Failure, Request, Response, Site, as_json, page, redirect, serve
from double.websocket import WebSocket

DATA = Path("/botpress/data")
RULES = (
    Rule(
        "DATABASE_URL",
        POSTGRES_URL,
        "postgres://user:password@host:port/database, or Botpress would use SQLite",
    ),
    Rule("EXTERNAL_URL", URL, "an absolute URL such as https://bot.example.com"),
    Rule("PORT", NUMBER, "a number", required=False),
    Rule("BP_PRODUCTION", BOOLEAN, "true or false", required=False),
    Rule("AUTO_MIGRATE", BOOLEAN, "true or false", required=False),
    Rule("BP_CONFIG_SENDUSAGESTATS", BOOLEAN, "true or false", required=False),
    Rule("BP_MODULE_NLU_MODELCACHESIZE", r"\d+(kb|mb|gb)", "a size such as 256mb", required=False),
    Rule("BPFS_STORAGE", r"database|disk", "database or disk", required=False),
)
TABLES = """
CREATE TABLE IF NOT EXISTS srv_metadata (server_version text PRIMARY KEY, created_on timestamptz DEFAULT now());
CREATE TABLE IF NOT EXISTS srv_ghost_files (file_path text PRIMARY KEY, content text);
CREATE TABLE IF NOT EXISTS strategy_default (id serial PRIMARY KEY, email text UNIQUE NOT NULL, password text NOT NULL,
  attributes jsonb DEFAULT '{}');
ALTER TABLE strategy_default ADD COLUMN IF NOT EXISTS "tokenVersion" int NOT NULL DEFAULT 1;
INSERT INTO srv_metadata (server_version) VALUES ('12.31.10') ON CONFLICT DO NOTHING;
"""
# Five processes without a bot (bp, its web worker, Studio, Messaging, NLU); upstream's least for a server is 2048.
NEEDED_MB = 1536
CONFIG = "data/global/botpress.config.json"
CLUSTER = (
    "Redis is enabled in your Botpress configuration. "
    "To use Botpress in a cluster, please upgrade to Botpress Pro."
)


def run(arguments: list[str], environment: Environment) -> None:
    """Start the server; `bp` has other commands, which the double does not know."""
    if arguments not in ([], ["serve"]):
        raise Refused(f"cannot run bp {' '.join(arguments)}: the double knows only bp and bp serve")
    cluster = CLUSTER if environment.get("CLUSTER_ENABLED", "").lower() in ("true", "1", "yes") else ""
    demand(environment, RULES, [cluster])
    memory(NEEDED_MB)
    writable(DATA / "assets")
    writable(environment.get("APP_DATA_PATH") or Path(environment.get("HOME", "/")) / "botpress")
    database = Database(environment["DATABASE_URL"])
    database.login()
    database.migrate(TABLES)
    secret = environment.get("BP_CONFIG_APPSECRET") or _app_secret(
        database, environment.get("BPFS_STORAGE", "disk")
    )
    bot = Botpress(
        database,
        secret,
        environment.get("BP_MODULE_NLU_DUCKLINGURL", ""),
        studio=_starts_studio(),
        servers=_named(environment.get("BP_MODULE_NLU_LANGUAGESOURCES", "")),
    )
    if environment.get("BP_ADMIN_EMAIL") and environment.get("BP_ADMIN_PASSWORD") and bot.is_first_user():
        bot.create(environment["BP_ADMIN_EMAIL"], environment["BP_ADMIN_PASSWORD"])
    root = urlsplit(environment["EXTERNAL_URL"]).path.rstrip("/")
    serve(bot.site(root), int(environment.get("PORT") or 3000), environment.get("BP_HOST") or "localhost")


def _app_secret(database: Database, storage: str) -> str:
    """The secret of all tokens, made once and kept in the configuration: in the database or on disk."""
    made = json.dumps({"appSecret": secrets.token_urlsafe(30)})
    if storage == "database":
        database.query("INSERT INTO srv_ghost_files VALUES (%s, %s) ON CONFLICT DO NOTHING", (CONFIG, made))
        rows = database.query("SELECT content FROM srv_ghost_files WHERE file_path = %s", (CONFIG,))
        return str(json.loads(rows[0]["content"])["appSecret"])
    path = writable(DATA / "global") / "botpress.config.json"
    if not path.exists():
        path.write_text(made)
    return str(json.loads(path.read_text())["appSecret"])


def _named(sources: str) -> tuple[str, ...]:
    """The endpoints of the language servers that the setting names, as JSON."""
    try:
        return tuple(str(item["endpoint"]) for item in json.loads(sources or "[]"))
    except (ValueError, TypeError, KeyError):
        raise Refused(f"BP_MODULE_NLU_LANGUAGESOURCES: cannot read {sources!r}") from None


def _ready(endpoint: str) -> bool:
    """What NLU asks it first (packages/lang-client: GET /info)."""
    try:
        with urllib.request.urlopen(f"{endpoint.rstrip('/')}/info", timeout=2) as answer:
            return bool(json.loads(answer.read()).get("ready"))
    except (OSError, ValueError, AttributeError):
        return False


def _starts_studio() -> bool:
    """Studio loads its native modules from the temporary folder; one that cannot is given up, and bp goes on."""
    try:
        executable(tempfile.gettempdir())
    except Refused as refusal:
        print(f"[studio] Could not require NativeExtension: {refusal}")
        print("[studio] Exceeded the maximum number of automatic reboot")
        return False
    return True


@dataclass(frozen=True)
class Botpress:
    """The handlers, and the users in the strategy `default`."""

    database: Database
    secret: str
    duckling: str
    studio: bool
    servers: tuple[str, ...] = ()

    def site(self, root: str) -> Site:
        """All routes, below the path of EXTERNAL_URL."""
        routes = {
            "GET /status": self.status,
            "GET /version": lambda _request: Response(200, b"12.31.10", {"Content-Type": "text/html"}),
            "GET /": lambda _request: redirect(f"{root}/admin"),
            "GET /admin(/.*)?": lambda _request: page("Botpress Admin Panel"),
            **Bots(self.database, self.identify, studio=self.studio, languages=self.speaks).routes(),
            "GET /(.*/)?studio/.+": self.editor,
            "GET /api/v1/auth/config": self.config,
            "POST /api/v1/auth/register/basic/default": self.register,
            "POST /api/v1/auth/login/basic/default": self.login,
            "GET /api/v[12]/admin/ping": self.ping,
            "GET /socket.io/?": self.polling,
            "GET /assets/modules/channel-web/inject.js": lambda _request: Response(
                200, b"window.botpressWebChat = {};\n", {"Content-Type": "application/javascript"}
            ),
            "GET /lite/[^/]+(/.*)?": lambda _request: page("Botpress"),
            "POST /api/v1/bots/[^/]+/converse/[^/]+": self.converse,
        }
        prefixed = {
            " ".join([route.split(" ")[0], root + route.split(" ")[1]]): each
            for route, each in routes.items()
        }
        return Site(prefixed, {f"{root}/socket.io/": self.realtime})

    def status(self, _request: Request) -> Response:
        """Always 200 once the server is up; the database's state is in the body."""
        database = "up" if self.database.works() else "error"
        nlu = "up" if self.studio and self._finds_entities() else "down"
        return as_json({"botpress": "up", "database": database, "messaging": "up", "nlu": nlu})

    def _finds_entities(self) -> bool:
        """Whether Duckling answers; NLU is started without proxies, as bp asks it without them."""
        asking = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with asking.open(f"{self.duckling}/", timeout=2) as answer:
                return bool(answer.read() == b"quack!")
        except (OSError, ValueError):
            return False

    def speaks(self) -> bool:
        """Whether a language server says that it is ready; upstream's own is taken for there, where none is named."""
        return not self.servers or any(map(_ready, self.servers))

    def editor(self, _request: Request) -> Response:
        """Studio's page, the same for every bot; bp's proxy says 504 in the place of a process that is not there."""
        return (
            page("Botpress Studio") if self.studio else Response(504, b"Error occurred while trying to proxy")
        )

    def config(self, _request: Request) -> Response:
        """How to log in, and whether the next one to register becomes the administrator."""
        strategy = {"strategyType": "basic", "strategyId": "default", "label": "Default Authentication Method",
                    "loginUrl": "/login/basic/default", "registerUrl": "/register/basic/default"}  # fmt: skip
        return _success("Auth Config", {"strategies": [strategy], "isFirstUser": self.is_first_user()})

    def is_first_user(self) -> bool:
        """Whether nobody has registered."""
        return not self.database.query("SELECT 1 FROM strategy_default LIMIT 1")

    def register(self, request: Request) -> Response:
        """The first user, who becomes the administrator."""
        if not self.is_first_user():
            return Response(403, b"Registration is disabled", {"Content-Type": "text/html"})
        email, password = _credentials(request)
        if len(email) < 4 or len(password) < 4:
            raise Failure(400, {"statusCode": 400, "message": "Email or password is too short."})
        self.create(email, password)
        return _success("Registration successful", self._token(email))

    def create(self, email: str, password: str) -> None:
        """A user; the address is kept, and looked for, in lower case."""
        self.database.query(
            "INSERT INTO strategy_default (email, password) VALUES (%s, %s)",
            (email.lower(), hashed(password)),
        )

    def login(self, request: Request) -> Response:
        """A token for a user; wrong credentials are 400, not 401. A new password has no rules without options of the strategy's,
        and ends the tokens of before unless it is asked not to (core/security/strategy-basic.ts).
        """
        email, password = _credentials(request)
        rows = self.database.query("SELECT password FROM strategy_default WHERE email = %s", (email.lower(),))
        if not rows or not matches(password, rows[0]["password"]):
            raise Failure(400, {"statusCode": 400, "errorCode": "BP_0009", "message": "Invalid credentials"})
        if new := str(request.fields().get("newPassword") or ""):
            if new == password:
                message = "Password doesn't match policy New password should not match old password"
                raise Failure(400, {"statusCode": 400, "errorCode": "BP_0012", "message": message})
            ends = int(request.fields().get("invalidateActiveSessions", True) is not False)
            self.database.query(
                'UPDATE strategy_default SET password = %s, "tokenVersion" = "tokenVersion" + %s WHERE email = %s',
                (hashed(new), ends, email.lower()),
            )
        return _success("Login successful", self._token(email.lower()))

    def ping(self, request: Request) -> Response:
        """Who holds a token is answered."""
        self.identify(request)
        return _success("Pong", {"serverId": "double"})

    def identify(self, request: Request) -> str:
        """Whose token a request carries; one without fails."""
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        email, _, signature = token.rpartition(".")
        if not signature or not hmac.compare_digest(signature, self._sign(email)):
            raise Failure(401, {"statusCode": 401, "message": "Unauthorized"})
        return email

    def converse(self, _request: Request) -> Response:
        """A message for a bot. The double has none (core/security/router-security.ts, checkBotVisibility)."""
        raise Failure(404, {"statusCode": 404, "message": "Invalid Bot ID"})

    def _token(self, email: str) -> dict[str, object]:
        return {
            "jwt": f"{email}.{self._sign(email)}",
            "csrf": secrets.token_hex(8),
            "exp": int(time.time()) + 3600,
        }

    def _sign(self, email: str) -> str:
        """Over the address and the version that its tokens have now."""
        rows = self.database.query('SELECT "tokenVersion" FROM strategy_default WHERE email = %s', (email,))
        version = rows[0]["tokenVersion"] if rows else "none"
        return hmac.new(self.secret.encode(), f"{version} {email}".encode(), hashlib.sha256).hexdigest()

    def polling(self, _request: Request) -> Response:
        """Engine.IO's first answer without a WebSocket."""
        return Response(200, _engine_open().encode(), {"Content-Type": "text/plain; charset=UTF-8"})

    def realtime(self, socket: WebSocket, _request: Request) -> None:
        """Engine.IO: the opening packet, and an answer to every probe."""
        socket.send(_engine_open())
        for text in socket.messages():
            if text.startswith("2"):
                socket.send(f"3{text[1:]}")
            elif text == "40":
                socket.send(f'40{{"sid":"{secrets.token_hex(8)}"}}')


def _credentials(request: Request) -> tuple[str, str]:
    fields = request.fields()
    return str(fields.get("email", "")), str(fields.get("password", ""))


def _engine_open() -> str:
    session = {
        "sid": secrets.token_hex(8),
        "upgrades": ["websocket"],
        "pingInterval": 25000,
        "pingTimeout": 20000,
    }
    return "0" + json.dumps(session)


def _success(message: str, payload: object) -> Response:
    return as_json({"status": "success", "message": message, "payload": payload})
