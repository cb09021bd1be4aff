"""What stands for ntfy, Slack, Telegram and a webhook: one HTTP server that takes what their public documents say, and nothing else.

``python3 receivers.py PORT FOLDER`` serves until it is ended; each message that was taken is a file of JSON in the folder. Python's
own library alone, so that it runs on a host of the lab.
"""

from __future__ import annotations

import base64
import html
import json
import re
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

NTFY_TOKEN = "tk_AgQdq7mVBoFD37zQVN29RhuMzNIz2"
SLACK = "/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"
BOT = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"
CHAT = -1001234567890

Answer = tuple[int, Any]


def ntfy(path: str, headers: Any, body: dict[str, Any]) -> Answer:
    """https://docs.ntfy.sh/publish/#publish-as-json: to the root, the topic in the body; the token as bearer, or as Basic's password."""
    basic = base64.b64encode(f":{NTFY_TOKEN}".encode()).decode()
    if headers.get("Authorization") not in (f"Bearer {NTFY_TOKEN}", f"Basic {basic}"):
        return 403, {"code": 40301, "http": 403, "error": "forbidden"}
    shapes = {"topic": str, "message": str, "title": str, "tags": list, "priority": int}
    if path != "/ntfy/" or any(not isinstance(body.get(key), kind) for key, kind in shapes.items()):
        return 400, {"code": 40024, "http": 400, "error": "invalid request: request body must be valid JSON"}
    if not re.fullmatch(r"[-_A-Za-z0-9]{1,64}", body["topic"]) or not 1 <= body["priority"] <= 5:
        return 400, {"code": 40009, "http": 400, "error": "invalid request: topic invalid"}
    if len(body["message"].encode()) > 4096:
        return 400, {"error": "becomes an attachment"}
    return 200, {"id": "hwQ2YpKdmg", "event": "message", "topic": body["topic"]}


def slack(path: str, headers: Any, body: dict[str, Any]) -> Answer:
    """https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks: plain words as answers; &, < and > are markup."""
    if path != SLACK:
        return 404, "no_service"
    if set(body) != {"text"} or headers.get("Content-Type") != "application/json":
        return 400, "invalid_payload"
    if re.search(r"[<>]|&(?!(amp|lt|gt);)", body["text"]):
        return 400, "markup"
    return 200, "ok"


def telegram(path: str, headers: Any, body: dict[str, Any]) -> Answer:
    """https://core.telegram.org/bots/api#sendmessage: 1 to 4096 characters; what is wrong stands in description."""
    if path != f"/bot{BOT}/sendMessage":
        return 401, {"ok": False, "error_code": 401, "description": "Unauthorized"}
    if body.get("chat_id") != CHAT:
        return 400, {"ok": False, "error_code": 400, "description": "Bad Request: chat not found"}
    known = {"chat_id", "text", "parse_mode", "link_preview_options", "disable_notification"}
    if (
        set(body) - known
        or not 1 <= len(body["text"]) <= 4096
        or headers.get("Content-Type") != "application/json"
    ):
        return 400, {"ok": False, "error_code": 400, "description": "Bad Request"}
    return 200, {"ok": True, "result": {"message_id": 42}}


def webhook(path: str, headers: Any, body: dict[str, Any]) -> Answer:
    """Ours: the shape that the README names."""
    keys = {"version", "event", "result", "type", "title", "body", "host", "zone", "time"}
    kinds = ("success", "failure", "warning", "info")
    right = keys <= set(body) and body["type"] in kinds and headers.get("Content-Type") == "application/json"
    return (200, "") if right and path == "/hook/of-ours" else (422, "no such event")


class Handler(BaseHTTPRequestHandler):
    """Chooses by the path; /slow says nothing, /dribble a byte a second, /moved leads elsewhere, /echo says what it was sent."""

    folder: Path

    def do_POST(self) -> None:
        """One message."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.startswith("/slow"):
            time.sleep(60)
        if self.path.startswith("/dribble"):
            self._dribble()
            return
        if self.path.startswith("/moved"):
            self._say(302, "", [("Location", "/hook/of-ours")])
            return
        if self.path.startswith("/echo"):
            said = f"{self.headers.get('Authorization', '')} {self.path}"
            self._say(400, f"{said} {json.dumps(said)} {html.escape(said)} {quote(said)} {unquote(said)}")
            return
        prefixes = {"/ntfy": ntfy, "/services": slack, "/bot": telegram}
        chosen = next((found for start, found in prefixes.items() if self.path.startswith(start)), webhook)
        told = json.loads(body)
        code, answer = chosen(self.path, self.headers, told)
        if code == 200:
            stamp = f"{time.time_ns()}-{chosen.__name__}"
            (self.folder / f".{stamp}").write_text(json.dumps(told))
            (self.folder / f".{stamp}").rename(self.folder / stamp)
        self._say(code, answer if isinstance(answer, str) else json.dumps(answer))

    def do_GET(self) -> None:
        """What a POST becomes that was sent elsewhere."""
        self._say(200, "")

    def _say(self, code: int, text: str, headers: list[tuple[str, str]] | None = None) -> None:
        self.send_response(code)
        for name, value in headers or []:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def _dribble(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        for _ in range(60):
            self.wfile.write(b".")
            time.sleep(1)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


def serving(folder: Path, port: int = 0) -> ThreadingHTTPServer:
    """The server, which has to be told to serve."""
    folder.mkdir(parents=True, exist_ok=True)
    server = ThreadingHTTPServer(("127.0.0.1", port), type("Handling", (Handler,), {"folder": folder}))
    server.daemon_threads = True
    return server


if __name__ == "__main__":
    serving(Path(sys.argv[2]), int(sys.argv[1])).serve_forever()
