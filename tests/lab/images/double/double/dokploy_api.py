"""Dokploy's API: better-auth's sign-up and sign-in, and the procedures for keys, projects and compose services.

A procedure answers plainly on /api/NAME and wrapped on /api/trpc/NAME. All but settings.health need a session or
an x-api-key. compose.create's `description` has no default in upstream's schema, so it is required here.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
from collections.abc import Callable, Mapping
from typing import Any

from double.better_auth import Gate
from double.docker_socket import DockerSocket
from double.dokploy_docker import Nightly, deploy, remove
from double.dokploy_state import State, new_id
from double.dokploy_terminal import terminal
from double.store import Database, Row
from double.web import Failure, Request, Response, Site, as_json, page
from double.websocket import WebSocket

COOKIE = "better-auth.session_token"
TYPES = {
    "composeType": ("docker-compose", "stack"),
    "sourceType": ("git", "github", "gitlab", "bitbucket", "gitea", "raw"),
}
COMPOSE_FIELDS = ("name", "description", "composeType", "sourceType", "composeFile", "env", "environmentId")
Fields = Mapping[str, Any]


class Dokploy:
    """The handlers."""

    def __init__(self, database: Database, secret: str, docker: DockerSocket, base_url: str) -> None:
        self.state, self.database, self.secret, self.docker = State(database), database, secret, docker
        self.gate = Gate(lambda: {base_url.rstrip("/"), *self.state.trusted_origins()})
        self.nightly = Nightly(self.state, docker)
        self.queries: dict[str, Callable[[Fields, Row], object]] = {
            "organization.all": lambda _fields, member: self.state.organizations(member["user_id"]),
            "project.all": lambda _fields, member: self.state.projects(member["organization_id"]),
            "compose.one": self._compose,
        }
        self.mutations: dict[str, Callable[[Fields, Row], object]] = {
            "user.createApiKey": self._create_key,
            "project.create": self._create_project,
            "compose.create": self._create_compose,
            "compose.update": self._update_compose,
            "compose.delete": self._delete_compose,
            "compose.deploy": self._deploy_compose,
            "compose.saveEnvironment": self._save_environment,
            "settings.updateDockerCleanup": self._update_clean_up,
        }

    def site(self) -> Site:
        """All routes and the container terminal."""
        routes = {
            "GET /api/health": lambda _request: as_json({"ok": True}),
            "GET /api/trpc/settings.health": self.health,
            "POST /api/auth/sign-up/email": self.sign_up,
            "POST /api/auth/sign-in/email": self.sign_in,
            "POST /api/auth/sign-out": self.sign_out,
            "POST /api/auth/change-password": self.change_password,
            "GET /api/(trpc/)?[a-z]+\\.\\w+": lambda request: self._procedure(request, self.queries),
            "POST /api/(trpc/)?[a-z]+\\.\\w+": lambda request: self._procedure(request, self.mutations),
            # No entry of the panel has a token that the double knows; where one fits, upstream deploys it.
            "POST /api/deploy/[^/]+": lambda _request: as_json({"message": "Application Not Found"}, 404),
            "POST /api/deploy/compose/[^/]+": lambda _request: as_json({"message": "Compose Not Found"}, 404),
            "GET /(register|dashboard/.*)?": lambda _request: page("Dokploy"),
        }
        return Site(routes, {"/docker-container-terminal": self._terminal})

    def health(self, _request: Request) -> Response:
        """The one procedure for everybody: whether the database answers."""
        if not self.database.works():
            raise Failure(500, {"error": {"json": {"message": "Database connection error", "code": -32603}}})
        return _wrapped({"status": "ok"})

    def sign_up(self, request: Request) -> Response:
        """The first user becomes the owner; later ones need an invitation, which the double does not know."""
        self.gate.demand(request)
        fields = request.fields()
        email, name, password = (str(fields.get(key) or "") for key in ("email", "name", "password"))
        if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", email) or "name" not in fields:
            raise Failure(400, {"code": "VALIDATION_ERROR", "message": "Invalid email or name"})
        if not 8 <= len(password) <= 128:
            raise Failure(400, {"code": "PASSWORD_TOO_SHORT", "message": "Password too short"})
        if self.state.owner_exists():
            raise Failure(400, {"message": "Admin is already created"})
        return self._session(
            self.state.create_owner(email.lower(), name, str(fields.get("lastName") or ""), password)
        )

    def sign_in(self, request: Request) -> Response:
        """A session for an address and a password."""
        self.gate.demand(request)
        fields = request.fields()
        user = self.state.check_password(
            str(fields.get("email", "")).lower(), str(fields.get("password", ""))
        )
        if not user:
            raise Failure(401, {"code": "INVALID_EMAIL_OR_PASSWORD", "message": "Invalid email or password"})
        return self._session({"id": user["id"], "email": user["email"], "name": user["firstName"]})

    def sign_out(self, request: Request) -> Response:
        """The session's end."""
        self.gate.demand(request)
        self.database.query("DELETE FROM session WHERE token = %s", (request.cookie(COOKIE),))
        return as_json({"success": True}, headers={"Set-Cookie": f"{COOKIE}=; Max-Age=0; Path=/"})

    def change_password(self, request: Request) -> Response:
        """As better-auth 1.6 does it: with a session's cookie, in its order of checks."""
        self.gate.demand(request)
        if not self.state.session_member(request.cookie(COOKIE)):
            raise Failure(401, {"code": "UNAUTHORIZED", "message": "Unauthorized"})
        fields = request.fields()
        now, new, others = (
            fields.get(key) for key in ("currentPassword", "newPassword", "revokeOtherSessions")
        )
        if not isinstance(now, str) or not isinstance(new, str) or not isinstance(others, bool | None):
            raise Failure(400, {"code": "VALIDATION_ERROR", "message": "Invalid input"})
        if not 8 <= len(new) <= 128:
            long = "LONG" if len(new) > 128 else "SHORT"
            raise Failure(400, {"code": f"PASSWORD_TOO_{long}", "message": f"Password too {long.lower()}"})
        user = self.state.session_user(request.cookie(COOKIE))
        if not self.state.check_password(user["email"], now):
            raise Failure(400, {"code": "INVALID_PASSWORD", "message": "Invalid password"})
        self.state.change_password(user["id"], new)
        named = {"id": user["id"], "email": user["email"], "name": user["firstName"]}
        if others:
            self.database.query("DELETE FROM session WHERE user_id = %s", (user["id"],))
            return self._session(named)
        return as_json({"token": None, "user": named})

    def _session(self, user: Row) -> Response:
        token = self.state.open_session(user["id"])
        cookie = f"{COOKIE}={token}; Max-Age=259200; Path=/; HttpOnly; SameSite=Lax"
        return as_json({"token": token, "user": user}, headers={"Set-Cookie": cookie})

    def _member(self, request: Request) -> Row:
        if key := request.headers.get("x-api-key"):
            member = self.state.key_member(key)
        else:
            member = self.state.session_member(request.cookie(COOKIE))
        if not member:
            raise Failure(401, {"message": "Unauthorized"})
        return member

    def _procedure(self, request: Request, known: Mapping[str, Callable[[Fields, Row], object]]) -> Response:
        name, trpc = request.path.rsplit("/", 1)[1], request.path.startswith("/api/trpc/")
        member = self._member(request)
        if name not in known:
            raise Failure(404, {"message": "Not found", "code": "NOT_FOUND"})
        if request.method == "GET":
            fields = (
                json.loads(request.query["input"])["json"]
                if trpc and "input" in request.query
                else request.query
            )
        else:
            fields = request.fields()["json"] if trpc else request.fields()
        result = known[name](fields, member)
        return _wrapped(result) if trpc else as_json(result)

    def _create_key(self, fields: Fields, member: Row) -> object:
        name = _text(fields, "name")
        metadata = fields.get("metadata")
        if len(name) > 32:
            raise _invalid("name", "Name must be at most 32 characters")
        if not isinstance(metadata, dict) or not isinstance(metadata.get("organizationId"), str):
            raise _invalid("metadata.organizationId", "Required")
        if metadata["organizationId"] not in [
            each["id"] for each in self.state.organizations(member["user_id"])
        ]:
            raise Failure(403, {"message": "You are not a member of this organization", "code": "FORBIDDEN"})
        limited = fields.get("rateLimitEnabled", True) is not False
        return self.state.create_key(name, member["user_id"], metadata["organizationId"], limited=limited)

    def _create_project(self, fields: Fields, member: Row) -> object:
        return self.state.create_project(
            _text(fields, "name"), fields.get("description"), member["organization_id"]
        )

    def _create_compose(self, fields: Fields, member: Row) -> object:
        values = {key: fields[key] for key in COMPOSE_FIELDS if key in fields and key != "env"}
        _text(fields, "name")
        if not isinstance(fields.get("description"), str):
            raise _invalid("description", "Required")
        if not self.state.has_environment(_text(fields, "environmentId"), member["organization_id"]):
            raise Failure(404, {"message": "Environment not found", "code": "NOT_FOUND"})
        _check_types(fields)
        name = re.sub(r"[^a-z0-9-]", "-", str(fields.get("appName") or fields["name"]).lower())
        return self.state.save_compose(new_id(), {**values, "appName": f"{name}-{secrets.token_hex(3)}"})

    def _compose(self, fields: Fields, member: Row) -> Row:
        row = self.state.compose(_text(fields, "composeId"), member["organization_id"])
        if not row:
            raise Failure(404, {"message": "Compose not found", "code": "NOT_FOUND"})
        return row

    def _update_compose(self, fields: Fields, member: Row) -> object:
        row = self._compose(fields, member)
        _check_types(fields)
        return self.state.save_compose(
            row["composeId"], {key: fields.get(key, row[key]) for key in (*COMPOSE_FIELDS, "appName")}
        )

    def _delete_compose(self, fields: Fields, member: Row) -> object:
        if not isinstance(fields.get("deleteVolumes"), bool):
            raise _invalid("deleteVolumes", "Required")
        row = self._compose(fields, member)
        self.state.delete_compose(row["composeId"])
        remove(row["appName"], volumes=fields["deleteVolumes"])
        return row

    def _deploy_compose(self, fields: Fields, member: Row) -> object:
        row = self._compose(fields, member)
        if row["composeType"] != "docker-compose":
            raise Failure(
                500, {"message": "This node is not a swarm manager", "code": "INTERNAL_SERVER_ERROR"}
            )
        self.state.set_status(row["composeId"], "running")
        threading.Thread(target=deploy, args=(self.state, row)).start()
        return {"success": True, "message": "Deployment queued", "composeId": row["composeId"]}

    def _update_clean_up(self, fields: Fields, _member: Row) -> object:
        enabled = fields.get("enableDockerCleanup")
        if not isinstance(enabled, bool):
            raise _invalid("enableDockerCleanup", "Required")
        self.state.clean_up(enabled=enabled)
        self.nightly.armed = enabled
        return True

    def _save_environment(self, fields: Fields, member: Row) -> object:
        if not isinstance(fields.get("env"), str):
            raise _invalid("env", "Required")
        self._update_compose({"composeId": fields.get("composeId"), "env": fields["env"]}, member)
        return True

    def _terminal(self, socket: WebSocket, request: Request) -> None:
        try:
            self._member(request)
        except Failure:
            socket.close()
            return
        terminal(socket, request.query, self.docker)


def _wrapped(result: object) -> Response:
    return as_json({"result": {"data": {"json": result}}})


def _invalid(name: str, message: str) -> Failure:
    issues = [{"path": name.split("."), "message": message}]
    return Failure(400, {"message": "Input validation failed", "code": "BAD_REQUEST", "issues": issues})


def _text(fields: Fields, name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise _invalid(name, "Required")
    return value


def _check_types(fields: Fields) -> None:
    for name, allowed in TYPES.items():
        if name in fields and fields[name] not in allowed:
            raise _invalid(name, f"Invalid option: expected one of {'|'.join(allowed)}")
