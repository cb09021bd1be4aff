"""Botpress' bots: made of a template, opened in Studio, trained by NLU, spoken to through the Converse API.

The double stands for a Botpress whose default language server answers; one that is named has to. As upstream's, its NLU loads native code at its first training,
which ends as errored where none can be loaded from the temporary folder.
"""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from double.contract import Refused
from double.needs import executable
from double.store import Database
from double.web import Failure, Handler, Request, Response, as_json

BOT = r"([A-Za-z0-9][A-Za-z0-9_-]+[A-Za-z0-9])"
TEMPLATES = ("empty-bot", "welcome-bot", "small-talk", "learn-botpress")
TRAINING_SECONDS = 1


@dataclass(frozen=True)
class Bots:
    """The handlers; ``identify`` says whose request it is, or fails."""

    database: Database
    identify: Callable[[Request], str]
    studio: bool
    languages: Callable[[], bool]
    trainings: dict[str, float] = field(default_factory=dict)

    def routes(self) -> dict[str, Handler]:
        """All of them."""
        bots, bot = "/api/v2/admin/workspace/bots", f"/api/v1/bots/{BOT}"
        return {
            f"GET {bots}": self.bots,
            f"POST {bots}": self.make,
            f"POST {bots}/{BOT}/delete": self.remove,
            f"GET /api/v1/studio/{BOT}/nlu/intents": self.intents,
            f"GET {bot}/mod/nlu/health": self.health,
            f"POST {bot}/mod/nlu/train/en": self.train,
            f"GET {bot}/mod/nlu/training/en": self.training,
            f"POST {bot}/converse/[^/]+": self.converse,
        }

    def bots(self, request: Request) -> Response:
        """Those of the workspace, each as its configuration describes it."""
        self._admin(request)
        rows = self.database.query(
            "SELECT content FROM srv_ghost_files WHERE file_path LIKE %s ORDER BY file_path", (_config("%"),)
        )
        payload = {"bots": [json.loads(row["content"]) for row in rows], "workspace": {"name": "Default"}}
        return as_json({"status": "success", "message": "Retrieved bots", "payload": payload})

    def make(self, request: Request) -> Response:
        """A bot of a template of the module builtin."""
        self._admin(request)
        fields = request.fields()
        name, template = str(fields.get("id", "")), fields.get("template")
        if not re.fullmatch(BOT, name) or len(name) > 50:
            raise Failure(400, {"statusCode": 400, "message": "An error occurred while creating the bot"})
        if (
            not isinstance(template, dict)
            or template.get("moduleId") != "builtin"
            or template.get("id") not in TEMPLATES
        ):
            raise Failure(
                500, {"statusCode": 500, "message": "the double knows the templates of the module builtin"}
            )
        if self._known(name):
            raise Failure(
                409,
                {
                    "statusCode": 409,
                    "message": f'Bot "{name}" already exists and is already linked in workspace',
                },
            )
        config = json.dumps({"id": name, "name": name, "defaultLanguage": "en", "languages": ["en"]})
        self.database.query("INSERT INTO srv_ghost_files VALUES (%s, %s)", (_config(name), config))
        return as_json({"status": "success", "message": "Added new bot", "payload": {"botId": name}})

    def remove(self, request: Request) -> Response:
        """Forgets a bot."""
        self._admin(request)
        name = self._bot(request)
        self.database.query("DELETE FROM srv_ghost_files WHERE file_path = %s", (_config(name),))
        self.trainings.pop(name, None)
        return as_json({"status": "success", "message": "Removed bot from team", "payload": {"botId": name}})

    def intents(self, request: Request) -> Response:
        """What the bot understands; Studio's API."""
        if not self.studio:
            raise Failure(504, "Error occurred while trying to proxy")
        self.identify(request)
        self._bot(request)
        return as_json([{"name": "hello", "contexts": ["global"], "utterances": {"en": ["hello"]}}])

    def health(self, request: Request) -> Response:
        """What the NLU server says of its language server."""
        self._bot(request)
        known = self.languages()
        return as_json(
            {"isEnabled": True, "validProvidersCount": int(known), "validLanguages": ["en"] if known else []}
        )

    def train(self, request: Request) -> Response:
        """Begins; how it goes is asked for."""
        self.identify(request)
        self.trainings[self._bot(request)] = time.monotonic()
        return Response(200, b"OK", {"Content-Type": "text/plain"})

    def training(self, request: Request) -> Response:
        """How it goes."""
        name = self._bot(request)
        began = self.trainings.get(name)
        if began is None:
            status = "needs-training"
        elif not _loads_native_code():
            status = "errored"
        else:
            status = "done" if time.monotonic() - began > TRAINING_SECONDS else "training"
        return as_json(
            {
                "key": f"training:{name}:en",
                "language": "en",
                "status": status,
                "progress": int(status == "done"),
            }
        )

    def converse(self, request: Request) -> Response:
        """An answer to a text; everybody may ask."""
        self._bot(request)
        fields = request.fields()
        if fields.get("type") != "text" or not fields.get("text"):
            raise Failure(400, {"statusCode": 400, "message": "Invalid payload"})
        return as_json({"responses": [{"type": "typing", "value": True}, {"type": "text", "text": "Hello"}]})

    def _admin(self, request: Request) -> None:
        self.identify(request)
        if not request.headers.get("x-bp-workspace"):
            raise Failure(
                400, {"statusCode": 400, "message": "Workspace is missing. Set header X-BP-Workspace"}
            )

    def _bot(self, request: Request) -> str:
        found = re.search(rf"/(?:studio|bots)/{BOT}/", request.path)
        name = found.group(1) if found else ""
        if not self._known(name):
            raise Failure(404, {"statusCode": 404, "message": f"Bot {name} doesn't exist"})
        return name

    def _known(self, name: str) -> bool:
        return bool(
            self.database.query("SELECT 1 FROM srv_ghost_files WHERE file_path = %s", (_config(name),))
        )


def _config(name: str) -> str:
    return f"data/bots/{name}/bot.config.json"


def _loads_native_code() -> bool:
    try:
        executable(tempfile.gettempdir())
    except Refused as refusal:
        print(f"Error: {refusal}")
        return False
    return True
