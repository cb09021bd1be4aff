"""Canary: all that has to stay hidden, and the places where it is looked for."""

import base64
import json
import re
import subprocess
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import PurePath

from tasks.model import envfile
from tests.e2e.deployment import Deployment
from tests.e2e.vault_access import WITH_SECRETS, Vault, kept
from tests.lab.smarteros import ROOT

LOUD = ("-vvv", "--debug", "--diff")
# Where a container's environment has to stand: our env files, and what Docker, containerd and runc keep of it.
ALLOWED = (
    "/vault/secrets/*.env",
    # Handed to the operator once: 0600, and gone after a day.
    "/root/GENERATED-SECRETS-*.txt",
    "/var/lib/docker/containers/*/config.v2.json",
    "/var/lib/containerd/io.containerd.metadata.v1.bolt/meta.db",
    "/run/containerd/io.containerd.runtime.v2.task/moby/*/config.json",
    # Memory that systemd shows to the unit that unseals Vault, and to root.
    "/run/credentials/smarteros-unseal.service/smarteros-unseal",
    # containerd's note to runc of a health check that is just starting: 0600, and gone when it has started.
    "/tmp/runc-process*",
)
ENV_FILES = {f"/vault/secrets/{service}.env" for service in WITH_SECRETS}
SEARCHED = (
    "/etc /home /opt /root /run /srv /tmp /usr/local /vault /var/backups /var/cache /var/lib/containerd "
    "/var/lib/docker /var/lib/systemd /var/log /var/mail /var/spool /var/tmp"
)

# Prints, at the end of its input, every command line seen meanwhile, and every environment but the containers'.
# A process is looked at twenty times a second while it is young, later once a second.
WATCH = """
import os, select, sys
seen = set()
looks = {}
ours = os.readlink("/proc/self/ns/pid")
while not select.select([sys.stdin], [], [], 0.05)[0]:
    looks = {pid: looks.get(pid, 0) + 1 for pid in os.listdir("/proc") if pid.isdigit()}
    for pid, times in looks.items():
        if times > 20 and times % 20:
            continue
        try:
            seen.add(open(f"/proc/{pid}/cmdline", "rb").read())
            if os.readlink(f"/proc/{pid}/ns/pid") == ours:
                seen.add(open(f"/proc/{pid}/environ", "rb").read())
        except OSError:
            pass
sys.stdout.buffer.write(b"\\n".join(seen))
"""


@contextmanager
def watched(deployment: Deployment) -> Iterator[list[str]]:
    """What the host's processes showed during the block, known after it."""
    seen: list[str] = []
    argv = [*deployment.host.ssh(), f"python3 -c '{WATCH}'"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as watcher:
        try:
            yield seen
        finally:
            seen.append(watcher.communicate(timeout=30)[0].decode(errors="replace"))


def every_secret(deployment: Deployment, vault: Vault) -> dict[str, str]:
    """All there is to hide: every value in Vault, the unseal keys, the deployer's credential. Dokploy shows the
    id of its API key to whoever reads its database; it opens nothing.
    """
    state = kept(deployment)
    assert state["root_token"] == ""  # revoked and forgotten
    values = {
        f"{path}#{name}": value
        for path, (found, _) in vault.everything().items()
        for name, value in found.items()
        if (path, name) != ("dokploy-import", "API_KEY_ID")
    }
    keys = {f"unseal key {number}": key for number, key in enumerate(state["keys"], 1)}
    return {**values, **keys, "secret_id": state["secret_id"]}


def shown(hidden: Mapping[str, str], text: str) -> list[str]:
    """Which secrets a text holds."""
    whole = text + "".join(unpacked(found) for found in re.findall(r"H4sI[A-Za-z0-9+/]{40,}", text))
    return [name for name, value in hidden.items() if any(form in whole for form in forms(value))]


def unpacked(encoded: str) -> str:
    """A tar.gz in base64, which is how files travel to the host; cut or whole."""
    data = base64.b64decode(encoded[: len(encoded) // 4 * 4])
    return zlib.decompressobj(wbits=31).decompress(data).decode(errors="replace")


def forms(value: str) -> set[str]:
    """A value as it is, as JSON and as an env file write it."""
    return {value, json.dumps(value)[1:-1], envfile.encode({"X": value})[len('X="') : -len('"\n')]}


def files_with(deployment: Deployment, hidden: Mapping[str, str]) -> list[str]:
    """Files of the host that hold a secret, but those that may. Volumes and images' layers are the services'."""
    grep = f"grep -rlaFs -D skip --exclude-dir=volumes --exclude-dir=overlay2 -f - {SEARCHED}"
    patterns = "\n".join(form for value in hidden.values() for form in forms(value) if "\n" not in form)
    found = deployment.host.run(grep, input=patterns, check=False).stdout.splitlines()
    assert {path for path in found if path.startswith("/vault/")} == ENV_FILES  # the search does find
    return [path for path in found if not any(PurePath(path).match(pattern) for pattern in ALLOWED)]


def assert_hidden(deployment: Deployment, hidden: Mapping[str, str], texts: Mapping[str, str]) -> None:
    """No secret in these texts, in the host's journal and files, or in what pyinfra leaves here."""
    log = ROOT / "pyinfra-debug.log"
    everywhere = {
        **texts,
        "journal": deployment.sh("journalctl --no-pager --all -o export"),
        "pyinfra-debug.log": log.read_text() if log.exists() else "",
    }
    assert {place: names for place, text in everywhere.items() if (names := shown(hidden, text))} == {}
    assert files_with(deployment, hidden) == []
