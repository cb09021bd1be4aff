"""Chatwoot's inboxes, contacts, conversations and messages, and how a new message reaches an open page.

As upstream: the web process leaves a job in Redis, sidekiq takes it and publishes to the pages' channels, and the web process
passes on what it hears there. Upstream removes what belongs to an inbox or a contact a little later, here it goes at once.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from double.chatwoot_accounts import Accounts
from double.store import Row
from double.web import Failure, Handler, Request, Response, as_json

PREFIX = "chatwoot_production:"
QUEUE = "queue:critical"
JOB = "ActionCableBroadcastJob"
CONTACTS = 15  # on a page
BASE = r"/api/v1/accounts/(\d+)"


@dataclass(frozen=True)
class Conversations:
    """The handlers; ``user_of`` says whose request it is, or fails."""

    accounts: Accounts
    user_of: Callable[[Request], Row]

    def routes(self) -> dict[str, Handler]:
        """All of them."""
        return {
            f"GET {BASE}/inboxes": self.inboxes,
            f"POST {BASE}/inboxes": self.make_inbox,
            f"DELETE {BASE}/inboxes/(\\d+)": self._remover("inboxes", {"message": "Your inbox deletion request will be processed in some time."}),
            f"GET {BASE}/contacts/search": self.search,
            f"POST {BASE}/contacts": self.make_contact,
            f"DELETE {BASE}/contacts/(\\d+)": self._remover("contacts", None),
            f"POST {BASE}/conversations": self.begin,
            f"POST {BASE}/conversations/(\\d+)/messages": self.write,
        }  # fmt: skip

    def inboxes(self, request: Request) -> Response:
        """All of the account, by name."""
        rows = self.accounts.database.query(
            "SELECT id, name FROM inboxes WHERE account_id = %s ORDER BY name", (self._account(request),)
        )
        return as_json({"payload": [{**row, "channel_type": "Channel::Api"} for row in rows]})

    def search(self, request: Request) -> Response:
        """Contacts whose names contain it, in whatever case; a page of them."""
        account, wanted = self._account(request), request.query.get("q", "").strip()
        if not wanted:
            raise Failure(422, {"error": "Specify search string with parameter q"})
        page = int(request.query.get("page") or 1)
        rows = self.accounts.database.query(
            "SELECT id, name FROM contacts WHERE account_id = %s AND name ILIKE %s ORDER BY id LIMIT %s OFFSET %s",
            (account, f"%{wanted}%", CONTACTS, CONTACTS * (page - 1)),
        )
        return as_json({"meta": {"count": len(rows), "current_page": page}, "payload": rows})

    def make_inbox(self, request: Request) -> Response:
        """An inbox of an API channel."""
        account, fields = self._account(request), request.fields()
        channel = fields.get("channel")
        if not fields.get("name") or not isinstance(channel, dict) or channel.get("type") != "api":
            raise Failure(
                422, {"message": "the double makes inboxes with a name and a channel of the type api"}
            )
        row = self._insert("INSERT INTO inboxes (account_id, name) VALUES (%s, %s)", account, fields["name"])
        return as_json({**row, "channel_type": "Channel::Api"})

    def make_contact(self, request: Request) -> Response:
        """A contact, and its place in an inbox."""
        account, fields = self._account(request), request.fields()
        inbox = self._owned("inboxes", account, fields.get("inbox_id"))
        row = self._insert(
            "INSERT INTO contacts (account_id, inbox_id, name, source_id) VALUES (%s, %s, %s, %s)",
            account, inbox["id"], str(fields.get("name", "")), secrets.token_hex(12),
        )  # fmt: skip
        place = {"inbox": inbox, "source_id": row["source_id"]}
        return as_json(
            {"payload": {"contact": {"id": row["id"], "name": row["name"]}, "contact_inbox": place}}
        )

    def begin(self, request: Request) -> Response:
        """A conversation with a contact."""
        account, fields = self._account(request), request.fields()
        contact = self._owned("contacts", account, fields.get("contact_id"))
        if (contact["source_id"], contact["inbox_id"]) != (fields.get("source_id"), fields.get("inbox_id")):
            raise Failure(404, {"error": "Resource could not be found"})
        row = self._insert(
            "INSERT INTO conversations (account_id, contact_id) VALUES (%s, %s)", account, contact["id"]
        )
        return as_json(
            {"id": row["id"], "account_id": account, "inbox_id": contact["inbox_id"], "status": "open"}
        )

    def write(self, request: Request) -> Response:
        """A message; what makes open pages show it is a job of sidekiq's."""
        account, fields = self._account(request), request.fields()
        conversation = self._owned("conversations", account, request.path.split("/")[-2])
        row = self._insert(
            "INSERT INTO messages (conversation_id, content) VALUES (%s, %s)",
            conversation["id"], str(fields.get("content", "")),
        )  # fmt: skip
        said = {**row, "message_type": 1, "account_id": account}
        listeners = self.accounts.database.query(
            "SELECT u.pubsub_token FROM users u JOIN account_users a ON a.user_id = u.id WHERE a.account_id = %s",
            (account,),
        )
        job = {"class": "ActiveJob::QueueAdapters::SidekiqAdapter::JobWrapper", "wrapped": JOB,
               "args": [[each["pubsub_token"] for each in listeners], "message.created", said]}  # fmt: skip
        self.accounts.redis.lpush(QUEUE, json.dumps(job, default=str))
        return as_json(said)

    def _remover(self, table: str, answer: object) -> Handler:
        def remove(request: Request) -> Response:
            row = self._owned(table, self._account(request), request.path.rsplit("/", 1)[1])
            self.accounts.database.query(f"DELETE FROM {table} WHERE id = %s", (row["id"],))
            return as_json(answer) if answer else Response(200)

        return remove

    def _account(self, request: Request) -> int:
        """The account of the path, when it is the user's."""
        found = re.match(BASE, request.path)
        account = int(found.group(1)) if found else 0
        rows = self.accounts.database.query(
            "SELECT 1 FROM account_users WHERE account_id = %s AND user_id = %s",
            (account, self.user_of(request)["id"]),
        )
        if not rows:
            raise Failure(404, {"error": "Resource could not be found"})
        return account

    def _owned(self, table: str, account: int, number: object) -> Row:
        rows = self.accounts.database.query(
            f"SELECT * FROM {table} WHERE account_id = %s AND id::text = %s", (account, str(number))
        )
        if not rows:
            raise Failure(404, {"error": "Resource could not be found"})
        return rows[0]

    def _insert(self, statement: str, *values: object) -> Row:
        return self.accounts.database.query(f"{statement} RETURNING *", values)[0]


def broadcast(redis: Any, job: dict[str, Any]) -> None:
    """Sidekiq's part: to every page that listens."""
    if job.get("wrapped") == JOB:
        tokens, event, data = job["args"]
        for token in tokens:
            redis.publish(f"{PREFIX}{token}", json.dumps({"event": event, "data": data}))


def listen(accounts: Accounts, identifier: str, send: Callable[..., None], done: threading.Event) -> bool:
    """The web process' part: whether the page's subscription is somebody's, who hears from now on what is published."""
    asked = json.loads(identifier)
    user = accounts.listener(str(asked.get("pubsub_token")), asked.get("user_id"))
    if asked.get("channel") != "RoomChannel" or not user:
        return False
    channel = accounts.redis.pubsub(ignore_subscribe_messages=True)
    channel.subscribe(f"{PREFIX}{asked['pubsub_token']}")

    def pass_on() -> None:
        while not done.is_set():
            if heard := channel.get_message(timeout=1):
                send(identifier=identifier, message=json.loads(heard["data"]))
        channel.close()

    threading.Thread(target=pass_on, daemon=True).start()
    return True
