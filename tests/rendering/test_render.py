"""Rendering: golden files, checked by the real Caddy and by compose's rules, and what changes which digest.

``UPDATE_GOLDEN=1 pytest tests/test_render.py`` writes the golden files anew; the difference is to be read.
"""

import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.model.catalogue import Container, Service
from tasks.model.stack import Stack
from tasks.rendering import render
from tasks.services import load
from tests.samples import HELPDESK, ROOT, stack

GOLDEN = ROOT / "tests" / "golden"
VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "openbao": {"vault_engine": "openbao"},
    "backup": {
        "backup": {
            "endpoint": "https://s3.example.com:8443",
            "bucket": "acme-backup",
            "root": str(Path(__file__).with_name("authority.pem")),
        }
    },
    "changed": {
        "mirror_zones": [],
        "acme_directory": "https://ca.example.org:14000/directory",
        "timezone": "America/Santiago",
        "overrides": {
            "n8n": {
                "domain": "flows.example.org",
                "guard": True,
                "port": 15678,
                "memory_mb": 2048,
                "environment": {"TRICKY": "5$ $HOME ${X} #1: 'a' \"b\" \\ ü"},
            },
            "odoo": {"guard": True, "allow_from": ["198.51.100.7"], "public": ["/our-shop/*"]},
            "dokploy": {"allow_from": ["203.0.113.0/24", "198.51.100.7"]},
            "vault-auth-validator": {"image": "registry.example/validator:1.0@sha256:" + "0" * 64},
        },
    },
}


COPIED = (
    "build/",
    "drift/",
    *(f"outdated/{name}.py" for name in ("outdated", "ask_registries", "tags", "written")),
)


def tree(variant: str) -> dict[str, str]:
    """What is rendered, without the build contexts and the programs that the host has of ours, which are copies."""
    files = render.tree(stack(**VARIANTS[variant]))
    return {path: text for path, text in files.items() if not path.startswith(COPIED)}


def helpdesk(monkeypatch: pytest.MonkeyPatch) -> tuple[Stack, Service]:
    """The made-up service, as the only one beside the validator and the proxy."""
    settings = stack()
    loaded = load(settings)
    chosen = tuple(item for item in loaded if item.name in {"vault-auth-validator", "caddy"})
    monkeypatch.setattr(render, "load", lambda _: (HELPDESK, *chosen))
    return settings, HELPDESK


def compare(folder: str, files: dict[str, str]) -> None:
    """Fails with the first difference and how to accept it."""
    root = GOLDEN / folder
    if os.environ.get("UPDATE_GOLDEN") == "1":
        for path in [item for item in root.rglob("*") if item.is_file()]:
            path.unlink()
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
    kept = {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}
    for name in sorted(kept.keys() | files.keys()):
        rendered, golden = files.get(name, ""), kept.get(name, "")
        assert rendered == golden, f"{root / name} differs; UPDATE_GOLDEN=1 accepts what is rendered now"


@pytest.mark.parametrize("variant", VARIANTS)
def test_rendered_files_are_the_golden_ones(variant: str) -> None:
    """Of a variant only what differs from the default is kept."""
    files, default = tree(variant), tree("default")
    more = {path for path in files if path not in default}
    assert set(default) <= set(files)
    assert bool(more) is (variant == "backup")
    same = {} if variant == "default" else default
    compare(variant, {path: text for path, text in files.items() if text != same.get(path)})


def test_a_service_with_everything_is_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    settings, service = helpdesk(monkeypatch)
    caddy = render.render(settings, load(settings)[-1])
    compare("helpdesk", {**render.render(settings, service), "caddy/Caddyfile": caddy["caddy/Caddyfile"]})


def test_the_golden_files_are_not_rewritten_by_accident() -> None:
    assert "UPDATE_GOLDEN" not in os.environ
    called = [ROOT / "Makefile", *(ROOT / ".ci").iterdir()]
    assert [str(path) for path in called if "UPDATE_GOLDEN" in path.read_text()] == []


def caddyfiles() -> list[Path]:
    return sorted(GOLDEN.rglob("Caddyfile"))


@pytest.mark.parametrize("path", caddyfiles(), ids=lambda path: path.parent.parent.name)
def test_caddy_itself_takes_the_caddyfile(path: Path, tmp_path: Path) -> None:
    text = path.read_text().replace("/var/log/caddy", str(tmp_path))
    formatted = caddy(tmp_path, "fmt", "-", text=text)
    assert formatted.stdout == text
    copy = tmp_path / "Caddyfile"
    copy.write_text(text)
    checked = caddy(tmp_path, "validate", "--adapter", "caddyfile", "--config", str(copy))
    assert checked.returncode == 0, checked.stderr
    assert "Valid configuration" in checked.stdout + checked.stderr
    assert '"level":"warn"' not in checked.stderr


def test_caddy_would_have_refused_a_broken_one(tmp_path: Path) -> None:
    copy = tmp_path / "Caddyfile"
    copy.write_text(caddyfiles()[0].read_text().replace("reverse_proxy", "reverse_proxi"))
    assert caddy(tmp_path, "validate", "--adapter", "caddyfile", "--config", str(copy)).returncode == 1


def caddy(home: Path, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("caddy"), *arguments],
        input=text,
        env={"HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def documents() -> list[tuple[str, dict[str, Any]]]:
    paths = sorted(GOLDEN.rglob("*-deploy.yaml"))
    return [(str(path.relative_to(GOLDEN)), yaml.safe_load(path.read_text())) for path in paths]


# The exceptions, each with its reason in the service's file.
WRITES = {"dokploy"}
HOST_PATHS = {
    "dokploy": [
        "/var/run/docker.sock:/var/run/docker.sock",
        "/vault/secrets:/vault/secrets:ro",
        "/opt/smarteros:/opt/smarteros:ro",
    ],
    "backup-files": ["/etc/dokploy:/state/etc/dokploy:ro"],
    "restored-files": ["/var/lib/smarteros/restore/files:/restored"],
    "restored-postgres": ["/var/lib/smarteros/restore/postgres:/var/lib/postgresql/data"],
}
# Containers in another's network, whose server they ask on its loopback.
JOINS = {"backup-dumps": "container:postgres", "backup-vault": "container:vault"}


@pytest.mark.parametrize(("path", "document"), documents(), ids=[path for path, _ in documents()])
def test_compose_files_keep_the_policy(path: str, document: dict[str, Any]) -> None:
    assert set(document) <= {"name", "services", "networks", "volumes"}
    for name, service in document["services"].items():
        assert service["container_name"] == name
        assert re.search(r":[\w.-]+(@sha256:[0-9a-f]{64})?$", service["image"])
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["read_only"] is (name not in WRITES)
        assert service["pids_limit"] == 512
        assert service["logging"] == {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}}
        assert re.fullmatch(r"\d+m", service["mem_limit"])
        assert service["cpus"] > 0
        assert re.fullmatch(r"[0-9a-f]{12}", service["labels"]["smarteros.digest"])
        joined = service.get("network_mode")
        assert joined == JOINS.get(name)
        assert set(service.get("networks", ())) <= set(document["networks"])
        assert bool(joined) is not bool(service.get("networks"))
        assert "privileged" not in service
        public = [port for port in service.get("ports", ()) if not port.startswith("127.0.0.1:")]
        assert public == (["80:80", "443:443", "443:443/udp"] if name == "caddy-proxy" else [])
        mounts = service.get("volumes", ())
        strings = [mount for mount in mounts if isinstance(mount, str)]
        assert [mount for mount in strings if mount.startswith("/")] == HOST_PATHS.get(name, [])
        named = {mount.split(":")[0] for mount in strings if not mount.startswith("/")}
        bound = [mount for mount in mounts if not isinstance(mount, str)]
        assert all(mount["type"] == "bind" for mount in bound)
        own = [mount["source"] for mount in bound if not mount.get("read_only")]
        assert own == (["/etc/dokploy"] if name == "dokploy" else [])
        assert named <= set(document.get("volumes", {}))
        for mount in strings:
            volume, _, rest = mount.partition(":")
            external = document.get("volumes", {}).get(volume, {}).get("external", False)
            assert external is (rest.endswith(":ro") and not mount.startswith("/"))
    assert all(item == {"external": True} for item in document["networks"].values())


def test_values_reach_the_container_as_they_are() -> None:
    files = tree("changed")
    document = yaml.safe_load(files["dkcompose/n8n-deploy.yaml"])
    written = document["services"]["n8n"]["environment"]["TRICKY"]
    assert written.replace("$$", "$") == "5$ $HOME ${X} #1: 'a' \"b\" \\ ü"
    assert re.search(r"(?<!\$)\$(\$\$)*(?!\$)", written) is None


def digests(service: Service, files: dict[str, str] | None = None) -> dict[str, str]:
    settings = stack()
    return render.digests(settings, service, render.render(settings, service) if files is None else files)


def test_a_value_of_one_container_changes_its_digest_alone() -> None:
    first, second, third = HELPDESK.containers
    changed = replace(second, environment={**second.environment, "RAILS_ENV": "staging"})
    before, after = digests(HELPDESK), digests(replace(HELPDESK, containers=(first, changed, third)))
    assert {name for name in before if before[name] != after[name]} == {"helpdesk-web"}


@pytest.mark.parametrize(
    "change",
    [
        {"image": "example/helpdesk:4.3"},
        {"command": ("other",)},
        {"networks": ("smarter-net",)},
        {"extra": {}},
        {"cap_add": {"CHOWN": "its entrypoint changes owners"}},
        {"stop_seconds": 11},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_a_container_is_made_from_changes_its_digest(change: dict[str, Any]) -> None:
    first, second, third = HELPDESK.containers
    changed = replace(HELPDESK, containers=(first, replace(second, **change), third))
    assert digests(changed)["helpdesk-web"] != digests(HELPDESK)["helpdesk-web"]


def loaded(name: str, **changes: Any) -> tuple[Stack, Service]:
    settings = stack(**changes)
    return settings, next(item for item in load(settings) if item.name == name)


def test_the_caddyfile_is_reloaded_and_makes_no_new_container() -> None:
    one, two = loaded("caddy"), loaded("caddy", zone="other.cl")
    texts = [render.render(*each)["caddy/Caddyfile"] for each in (one, two)]
    assert texts[0] != texts[1]
    assert render.caddyfile_digest(texts[0]) != render.caddyfile_digest(texts[1])
    files = [render.render(*each) for each in (one, two)]
    assert render.digests(*one, files[0]) == render.digests(*two, files[1])


def test_a_root_certificate_that_the_caddyfile_names_makes_a_new_container() -> None:
    """The running one still has the folder of the generation it was started with."""
    settings, caddy_service = loaded("caddy")
    files = render.render(settings, caddy_service)
    rooted = {**files, "caddy/acme-root.pem": "-----BEGIN CERTIFICATE-----\n"}
    assert digests(caddy_service, rooted) != digests(caddy_service, files)


def test_a_mounted_file_makes_a_new_container() -> None:
    settings, redis = loaded("redis")
    files = render.render(settings, redis)
    edited = {**files, "redis/redis.conf": files["redis/redis.conf"] + "# more\n"}
    assert digests(redis, edited) != digests(redis, files)
    assert digests(redis, {**files, "elsewhere/redis.conf": "x"}) == digests(redis, files)


def test_a_change_of_the_build_context_is_another_image(monkeypatch: pytest.MonkeyPatch) -> None:
    _, validator = loaded("vault-auth-validator")
    before = render.image(validator.main)
    assert re.fullmatch(r"smarteros/vault-auth-validator:[0-9a-f]{12}", before)
    context = dict(render.context("vault-auth-validator"))
    monkeypatch.setattr(render, "context", lambda _: {**context, "Dockerfile": "FROM scratch\n"})
    assert render.image(validator.main) != before
    assert render.image(Container("x", "x:1", validator.main.health, validator.main.size)) == "x:1"


def test_the_build_context_is_what_the_repository_holds() -> None:
    root = ROOT / "files" / "vault-auth-validator"
    files = render.tree(stack())
    sent = {path.removeprefix("build/vault-auth-validator/") for path in files if path.startswith("build/")}
    assert {"Dockerfile", "requirements.txt", "vault_auth_validator/app.py"} <= sent
    assert all((root / path).is_file() and "__pycache__" not in path for path in sent)


def test_no_parts_share_a_digest_with_others() -> None:
    assert render.digest("ab", "c") != render.digest("a", "bc")
    assert render.digest("a") != render.digest("a", "")
    assert re.fullmatch(r"[0-9a-f]{12}", render.digest())


def test_a_caddyfile_that_is_not_ours_has_no_digest() -> None:
    assert render.caddyfile_digest('respond "hello"') == ""


def test_nothing_in_a_generation_is_a_secret_or_a_template_left_over() -> None:
    for text in render.tree(stack()).values():
        assert "@digest@" not in text
        assert "{%" not in text


def test_rendering_everything_takes_less_than_a_second_of_cpu() -> None:
    settings = stack()
    started = time.process_time()
    render.tree(settings)
    assert time.process_time() - started < 1
