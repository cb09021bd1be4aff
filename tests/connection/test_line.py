"""Line: what the command finds around it."""

import subprocess

from tasks.connection import line
from tests.fake import fake


def test_the_logins_own_docker_is_not_asked() -> None:
    with fake(
        {}, _env={"DOCKER_HOST": "tcp://127.0.0.1:9", "HTTPS_PROXY": "http://proxy.example.com"}
    ) as host:
        words = line.composed(host, "echo $DOCKER_HOST $DOCKER_CONTEXT $HTTPS_PROXY")
    around = {"PATH": "/usr/bin:/bin", "DOCKER_HOST": "tcp://127.0.0.1:9", "DOCKER_CONTEXT": "somewhere"}
    said = subprocess.run(["sh", "-c", words], env=around, capture_output=True, text=True, check=True).stdout
    assert said.split() == ["unix:///var/run/docker.sock", "http://proxy.example.com"]
