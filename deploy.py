"""SmarterOS on a bare VPS: the phases of a run, in order."""

from tasks import (
    applications,
    data,
    docker,
    dokploy,
    first_logins,
    generation,
    networks,
    preflight,
    proxy,
    retire,
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
dokploy.run()
proxy.run()
first_logins.run()
retire.run()
verify.run()
