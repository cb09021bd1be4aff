"""Asks registries what tags stand for, and which there are; run by the host's Python, as Docker there would ask.

The argument is JSON, ``{"images": [...], "socket": path, "tags": bool}``. A line of JSON comes out for each image: ``image``,
``digest`` or ``wrong``, and ``tags`` or ``unlisted``. Digests come from Docker itself, with its mirrors, its proxy and its
authorities; it lists no tags, so that registries are asked for those. Nothing is pulled.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

HUB, HUB_REGISTRY, HUB_LOGIN = "docker.io", "registry-1.docker.io", "https://index.docker.io/v1/"
DAEMON_SECONDS, SECONDS, PAGES = 60, 15, 50
LOCAL = re.compile(r"(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?")


class Unknown(Exception):
    """Why something cannot be told."""


class Local(http.client.HTTPConnection):
    """A connection to Docker's socket."""

    def __init__(self, path: str) -> None:
        """path: the socket's."""
        super().__init__("docker", timeout=DAEMON_SECONDS)
        self.path = path

    def connect(self) -> None:
        """In place of an address."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def docker(path: str, question: str, headers: dict[str, str] | None = None) -> Any:
    """Docker's own answer, from JSON."""
    connection = Local(path)
    try:
        connection.request("GET", question, headers=headers or {})
        answer = connection.getresponse()
        found = json.loads(answer.read() or b"{}")
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unknown(f"Docker does not answer: {error}") from None
    finally:
        connection.close()
    if answer.status != 200:
        raise Unknown(str(found.get("message", f"Docker answers HTTP {answer.status}")).strip())
    return found


def split(image: str) -> tuple[str, str, str]:
    """registry, repository and tag; docker.io/library/redis for redis."""
    name, _, tag = image.rpartition(":")
    first, slash, rest = name.partition("/")
    if slash and (first == "localhost" or "." in first or ":" in first):
        return first, rest, tag
    return HUB, name if slash else f"library/{name}", tag


def login(registry: str) -> dict[str, str]:
    """What root has logged in with there (docker login), as Docker wants to have it; {} without one."""
    folder = os.environ.get("DOCKER_CONFIG") or "~/.docker"
    try:
        config = json.loads(Path(folder, "config.json").expanduser().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    server = HUB_LOGIN if registry == HUB else registry
    helper = (config.get("credHelpers") or {}).get(server) or config.get("credsStore")
    if helper:
        return helped(helper, server)
    for name, entry in (config.get("auths") or {}).items():
        if bare(name) == bare(server):
            user, _, password = base64.b64decode(entry.get("auth") or "").decode().partition(":")
            found = {"username": user, "password": password, "identitytoken": entry.get("identitytoken")}
            return {key: value for key, value in found.items() if value}
    return {}


def bare(server: str) -> str:
    """https://ghcr.io/v1/ → ghcr.io."""
    return re.sub(r"^https?://", "", server).split("/")[0]


def helped(helper: str, server: str) -> dict[str, str]:
    """What a program for credentials says."""
    try:
        done = subprocess.run(
            [f"docker-credential-{helper}", "get"],
            input=server,
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        found = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return {}  # it has none, or the registry says what it lacks
    if found.get("Username") == "<token>":
        return {"identitytoken": found.get("Secret", "")}
    return {"username": found.get("Username", ""), "password": found.get("Secret", "")}


def digest(path: str, image: str) -> str:
    """What the tag stands for: where it has several platforms, all of them."""
    found = login(split(image)[0])
    headers = (
        {"X-Registry-Auth": base64.urlsafe_b64encode(json.dumps(found).encode()).decode()} if found else {}
    )
    said = docker(path, f"/distribution/{urllib.parse.quote(image, safe='/:')}/json", headers)
    return said["Descriptor"]["digest"]


def places(info: Any, registry: str) -> list[str]:
    """Where the registry is asked, its mirrors first."""
    known = (info.get("RegistryConfig") or {}).get("IndexConfigs") or {}
    if registry == HUB:
        mirrors = (known.get(HUB) or {}).get("Mirrors") or []
        return [*(mirror.rstrip("/") for mirror in mirrors), f"https://{HUB_REGISTRY}"]
    plain = (known.get(registry) or {}).get("Secure") is False or LOCAL.fullmatch(registry)
    return [f"{'http' if plain else 'https'}://{registry}"]


def tags(info: Any, image: str) -> list[str]:
    """All tags of the image's repository."""
    registry, repository, _ = split(image)
    why = ""
    for place in places(info, registry):
        try:
            return list(listed(place, repository, login(registry)))
        except Unknown as error:
            why = why or str(error)
    raise Unknown(why)


def listed(place: str, repository: str, known: dict[str, str]) -> Iterator[str]:
    """Page by page."""
    url, authorization = f"{place}/v2/{repository}/tags/list?n=1000", ""
    for _ in range(PAGES):
        answer, authorization = asked(url, repository, known, authorization)
        try:
            yield from json.loads(answer.read()).get("tags") or []
        except (ValueError, AttributeError, TypeError):
            raise Unknown(f"{bare(place)} lists no tags") from None
        following = re.search(r'<([^>]+)>;\s*rel="?next', answer.headers.get("Link") or "")
        if not following:
            return
        url = urllib.parse.urljoin(url, following[1])
        if not url.startswith(f"{place}/"):
            raise Unknown(f"{bare(place)} leads elsewhere for more of its tags")


def asked(url: str, repository: str, known: dict[str, str], authorization: str) -> tuple[Any, str]:
    """The answer, and what the registry lets us in with: a token that it asks for once, or the login itself."""
    try:
        return opened(url, authorization), authorization
    except urllib.error.HTTPError as error:
        wanted = error.headers.get("WWW-Authenticate") or ""
        if error.code != 401 or authorization:
            raise Unknown(f"{bare(url)} answers HTTP {error.code}") from None
    basic = "Basic " + base64.b64encode(f"{known.get('username')}:{known.get('password')}".encode()).decode()
    mine = basic if known.get("password") else ""
    if wanted.lower().startswith("bearer"):
        parts = dict(re.findall(r'(\w+)="([^"]*)"', wanted))
        mine = "Bearer " + token(url, parts, repository, mine)
    if not mine:
        raise Unknown(f"{bare(url)} asks for a login: docker login {bare(url)}, as root, on the host")
    try:
        return opened(url, mine), mine
    except urllib.error.HTTPError as error:
        raise Unknown(f"{bare(url)} answers HTTP {error.code}") from None


def token(url: str, wanted: dict[str, str], repository: str, basic: str) -> str:
    """What the registry's own server for logins gives for this one repository."""
    realm = wanted.get("realm", "")
    if not realm.startswith(("https://", "http://") if url.startswith("http://") else "https://"):
        raise Unknown(f"{bare(url)} wants a login elsewhere than over HTTPS")
    scope = {"service": wanted.get("service", ""), "scope": f"repository:{repository}:pull"}
    try:
        found = json.loads(opened(f"{realm}?{urllib.parse.urlencode(scope)}", basic).read())
        return found.get("token") or found["access_token"]
    except urllib.error.HTTPError as error:
        raise Unknown(f"{bare(realm)} answers HTTP {error.code}") from None
    except (ValueError, KeyError, AttributeError):
        raise Unknown(f"{bare(realm)} gives no token") from None


def opened(url: str, authorization: str) -> Any:
    """With the authorities that Docker trusts for that registry, too."""
    # Only ever http(s): places() and token() see to it.
    request = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310
    if authorization:
        request.add_unredirected_header("Authorization", authorization)
    context = ssl.create_default_context()
    for path in Path("/etc/docker/certs.d", bare(url)).glob("*.crt"):
        context.load_verify_locations(path)
    handler = urllib.request.HTTPSHandler(context=context)
    try:
        return urllib.request.build_opener(handler).open(request, timeout=SECONDS)
    except urllib.error.HTTPError:
        raise
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unknown(f"{bare(url)} does not answer: {getattr(error, 'reason', error)}") from None


def told(info: Any, wanted: Any, image: str) -> dict[str, Any]:
    """All that is said of one image."""
    found = {"image": image}
    try:
        found["digest"] = digest(wanted["socket"], image)
    except Unknown as error:
        found["wrong"] = str(error)
    except (KeyError, TypeError, ValueError) as error:
        found["wrong"] = f"Docker answers otherwise than it should ({type(error).__name__})"
    if wanted["tags"]:
        try:
            found["tags"] = tags(info, image)
        except (Unknown, OSError, http.client.HTTPException) as error:
            found["unlisted"] = str(error)
    return found


def answers(wanted: Any) -> Iterator[dict[str, Any]]:
    """What is said of each image, in their order. Raises Unknown where Docker does not answer."""
    info = docker(wanted["socket"], "/info")
    # What Docker pulls through; a name and password of its own it does not tell.
    for name, key in (("http_proxy", "HttpProxy"), ("https_proxy", "HttpsProxy"), ("no_proxy", "NoProxy")):
        if info.get(key):
            os.environ[name] = info[key]
    with ThreadPoolExecutor(8) as pool:
        yield from pool.map(lambda image: told(info, wanted, image), wanted["images"])


def main() -> None:
    """A line for each image."""
    try:
        for found in answers(json.loads(sys.argv[1])):
            print(json.dumps(found))
    except Unknown as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
