"""SmarterOS on a bare VPS: the phases of a run, in order."""

from tasks import (
    applications,
    backup,
    boot,
    data,
    docker,
    dokploy,
    firewall,
    first_logins,
    generation,
    host,
    lock,
    networks,
    preflight,
    proxy,
    recover,
    recovery,
    retire,
    secrets,
    ssh,
    vault,
    verify,
)

lock.run()
preflight.run()
host.run()
firewall.run()
ssh.run()
docker.run()
networks.run()
generation.run()
vault.run()
boot.run()
secrets.run()
recover.run()
data.run()
applications.run()
dokploy.run()
proxy.run()
first_logins.run()
backup.run()
retire.run()
recovery.run()
verify.run()
