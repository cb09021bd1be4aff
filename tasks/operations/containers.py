"""Networks, images and containers: what runs is compared with what should run, by digest."""

from collections.abc import Iterable, Mapping
from shlex import quote
from types import MappingProxyType

from pyinfra.api import StringCommand

from tasks import forks, render
from tasks.catalogue import Container, Service
from tasks.facts import ContainerState, DockerFact, LoadedCaddyfileFact, NetworkState
from tasks.run import Commands, host, known, operation

_PULL_UNIT = "smarteros-images"
# A registry that has stopped to send would be waited for without end.
_PULL_SECONDS = 1800


@operation
def networks(names: Iterable[str]) -> Commands:
    """Bridges of these names exist; one with another driver, or cut off, is made anew."""
    found = known(DockerFact).networks
    for name in names:
        state = found.get(name)
        if state == NetworkState(name, "bridge", internal=False):
            continue
        if state:
            yield StringCommand(_remove_network(name))
        yield StringCommand(
            f"docker network create --driver bridge --label smarteros.network=yes {quote(name)}"
        )


def _remove_network(name: str) -> str:
    """Its containers are found without it afterwards and are made anew."""
    members = "{{range .Containers}}{{.Name}} {{end}}"
    return f"""
for container in $(docker network inspect --format '{members}' {quote(name)}); do
    docker network disconnect --force {quote(name)} "$container"
done
docker network rm {quote(name)}
""".strip()


@operation
def fetch_images(services: Iterable[Service]) -> Commands:
    """Starts to pull and build every missing image in the background, all at once; ``start`` waits for its own."""
    present = known(DockerFact).images
    missing = {
        render.image(container): container
        for service in services
        for container in service.containers
        if render.image(container) not in present
    }
    if missing:
        script = (
            " & ".join(_fetch(reference, container) for reference, container in missing.items()) + " & wait"
        )
        yield StringCommand(
            f"systemctl is-active --quiet {_PULL_UNIT} || "
            f"systemd-run --quiet --collect --unit {_PULL_UNIT} sh -c {quote(script)}"
        )


def _fetch(reference: str, container: Container) -> str:
    """The build runs in the host's network: its resolver is the host's, whatever Docker's default bridge gets."""
    if container.fork:
        return forks.build(reference, container.fork)
    if container.build:
        return f"docker build --quiet --network host --tag {quote(reference)} {render.CURRENT}/build/{container.build}"
    return f"timeout {_PULL_SECONDS} docker pull --quiet {quote(reference)}"


@operation
def start(
    service: Service,
    digests: Mapping[str, str],
    files: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> Commands:
    """Brings the service's containers to their described state and waits until all are healthy.

    digests: container → digest of all it is made from. files: container → the files it has to see. The reason
    of every change is shown. A container that is not healthy in its time fails the host, with its last 50 log
    lines.
    """
    state = known(DockerFact)
    secrets = state.env_digests.get(service.name, "")
    reasons = {
        container.name: reason
        for container in service.containers
        if (
            reason := difference(
                container,
                state.containers.get(container.name),
                digests[container.name],
                secrets,
                files.get(container.name, {}),
            )
        )
    }
    for name, reason in reasons.items():
        host().log(f"{name}: {reason}")
    # Compose cannot start a container that somebody has paused.
    found = state.containers.values()
    if paused := [item.name for item in found if item.name in reasons and item.status == "paused"]:
        yield StringCommand(f"docker unpause {' '.join(paused)}")
    if reasons:
        anew = any(reason.startswith(_ANEW) for reason in reasons.values())
        jobs = [item for item in service.containers if item.job and item.name in reasons]
        yield StringCommand(start_script(service, host().name, jobs, recreate=anew))


# What compose does not see, so that it has to be told to make the containers anew.
_NETWORKS, _FILES = "networks", "sees other files"
_ANEW = (_NETWORKS, _FILES)


def difference(
    container: Container,
    state: ContainerState | None,
    digest: str,
    secrets: str,
    files: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Why the container is not as it should be; empty when it is."""
    if state is None:
        return "does not exist"
    if state.digest != digest or state.image != render.image(container):
        return "its description has changed"
    if container.env_file and state.secrets_digest != secrets:
        return "its secrets have changed"
    return _job_state(state) if container.job else _running_state(container, state, files)


def _job_state(state: ContainerState) -> str:
    finished = (state.status, state.exit_code) == ("exited", 0)
    return "" if finished else f"the job is {state.status} ({state.exit_code})"


def _running_state(container: Container, state: ContainerState, files: Mapping[str, str]) -> str:
    """It sees the generation that it was started with, which a hand may have edited since, or removed."""
    if state.networks != tuple(sorted(container.networks)):
        return f"{_NETWORKS} differ: {', '.join(state.networks) or 'none'}"
    if state.status != "running":
        return f"is {state.status}"
    wrong = {path for path, sha256 in files.items() if state.files.get(path) != sha256}
    if not container.reloads:
        wrong |= set(state.files) - set(files)
    if wrong:
        return f"{_FILES} than it should: {', '.join(sorted(wrong))}"
    return "" if state.health == "healthy" else f"is {state.health or 'unchecked'}"


def start_script(service: Service, host_name: str, jobs: Iterable[Container] = (), *, recreate: bool) -> str:
    """Shell: wait for images, run ``jobs``, compose up, wait for health. Fails naming service, host, last log lines.

    Compose leaves a job alone that is not named: its profile is not chosen.
    """
    compose = f"docker compose -f {quote(f'/root/{render.compose_path(service)}')}"
    up = "up -d --no-build --quiet-pull"
    lines = ["set -eu", *dict.fromkeys(_wait_for_image(container) for container in service.containers)]
    for job in jobs:
        lines.append(f"{compose} --profile job {up} --force-recreate --no-deps {quote(job.name)} 2>&1")
        lines.append(_gate(service, job, host_name))
    lines.append(f"{compose} {up} --remove-orphans{' --force-recreate' if recreate else ''} 2>&1")
    lines += (_gate(service, item, host_name) for item in service.containers if not item.job)
    return "\n".join(lines)


def _wait_for_image(container: Container) -> str:
    """The background unit may be at it; when it is gone without the image, three tries of our own."""
    reference = render.image(container)
    return f"""
tries=0
until docker image inspect {quote(reference)} >/dev/null 2>&1; do
    if systemctl is-active --quiet {_PULL_UNIT}; then sleep 0.3; continue; fi
    tries=$((tries + 1))
    [ $tries -le 3 ] || {{ echo {quote(f"image {reference} cannot be had; see the lines above")} >&2; exit 1; }}
    {_fetch(reference, container)} || sleep 3
done
""".strip()


def _gate(service: Service, container: Container, host_name: str) -> str:
    done, failed = ("exited/*/0", "exited/*") if container.job else ("running/healthy/*", "dead/*")
    where = f"{service.name}: container {container.name} on {host_name}"
    seconds = container.health.seconds
    ending = "has not succeeded" if container.job else f"is not healthy after {seconds} s"
    return f"""
deadline=$(($(date +%s) + {seconds}))
while :; do
    state=$(docker inspect --format '{_STATE}' {quote(container.name)} 2>/dev/null || echo missing//)
    case $state in {done}) break ;; {failed}) deadline=0 ;; esac
    if [ "$(date +%s)" -ge $deadline ]; then
        echo {quote(where)} "{ending} ($state); its last 50 log lines:" >&2
        docker logs --tail 50 {quote(container.name)} >&2 2>&1 || true
        exit 1
    fi
    sleep 0.3
done
""".strip()


_STATE = "{{.State.Status}}/{{if .State.Health}}{{.State.Health.Status}}{{end}}/{{.State.ExitCode}}"


@operation
def caddyfile(container: str, digest: str, path: str) -> Commands:
    """Caddy has loaded the Caddyfile of this digest; else it is validated and loaded, without a restart."""
    if known(LoadedCaddyfileFact, container) != digest:
        caddy = f"docker exec -i {quote(container)} caddy"
        source = f"--config - --adapter caddyfile < {quote(path)}"
        yield StringCommand(f"{caddy} validate {source} && {caddy} reload --force {source}")
