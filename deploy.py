"""SmarterOS on a bare VPS: the phases of a run, in order."""

from tasks import (
    applications,
    data,
    docker,
    generation,
    networks,
    preflight,
    proxy,
    secrets,
    vault,
    verify,
)

preflight.run()
docker.run()
networks.run()
generation.run()
vault.run()
secrets.run()
data.run()
applications.run()
proxy.run()
verify.run()
