"""inventories/local.py: a host that deploys to itself finds everything as the run from elsewhere left it."""

import io
import subprocess
import tarfile

from tests.e2e.deployment import Deployment, Run
from tests.lab.smarteros import ROOT

HOME = "/root/smarteros"
STATE = "root/.local/state/smarteros/local/vault.json"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"

# What pyproject.toml asks for at run time, in the lock's versions.
RUNTIME = "pyinfra jinja2 pyyaml hvac requests pydantic bcrypt tzdata idna"


def working_copy() -> list[str]:
    """The repository's files, those not yet committed too."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    return [name for name in names if (ROOT / name).is_file()]


def carry_over(deployed: Deployment) -> None:
    """The repository, and what the lab's machine keeps of the host, onto the host itself."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in working_copy():
            tar.add(ROOT / name, f"{HOME.lstrip('/')}/{name}")
        tar.add(deployed.lab.state.folder / "state" / deployed.host.name / "vault.json", STATE)
        tar.add(deployed.lab.state.acme_root, f"{HOME.lstrip('/')}/acme-root.pem")
    assert deployed.host.container().put_archive("/", buffer.getvalue())


def test_a_host_that_deploys_to_itself_changes_nothing(deployed: Deployment) -> None:
    carry_over(deployed)
    deployed.sh(
        f"set -e; cd {HOME}; apt-get -qq update;"
        " DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends python3-venv >/dev/null;"
        " python3 -m venv venv; sed -E '/^( +--hash|paramiko=)/d; s/ *\\\\$//' requirements.lock > versions.txt;"
        f" PIP_CERT={CERTIFICATES} venv/bin/pip install --quiet --no-compile -c versions.txt {RUNTIME};"
        # pyinfra asks for an older one, which the lock overrides.
        f" PIP_CERT={CERTIFICATES} venv/bin/pip install --quiet --no-compile --no-deps"
        " $(sed -n 's/^\\(paramiko==[^ ]*\\).*/\\1/p' requirements.lock)",
        timeout=300,
    )
    data = {"trusted_root": f"{HOME}/acme-root.pem", "vault_engine": "openbao"}
    flags = " ".join(f"--data {key}={value}" for key, value in data.items())
    command = f"cd {HOME} && venv/bin/pyinfra -y {flags} inventories/local.py deploy.py 2>&1"
    run = Run(0, deployed.sh(command, timeout=300))
    started = [line for line in run.lines if line.startswith("--> Starting operation")]
    assert "--> Starting operation: Verify | every service answers by name over TLS" in started
    assert run.lines.count("No changes") == len(started), run.output
    deployed.sh(f"rm -rf {HOME} /{STATE}")
    deployed.unchanged()
