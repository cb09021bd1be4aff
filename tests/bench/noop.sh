# The floor of a run with nothing to do: looks at all that the run looks at, in one session, by hand.
set -eu
cd /opt/smarteros/current
. /etc/os-release
[ "$ID" = debian ] && [ "$(cat /proc/1/comm)" = systemd ] && [ "$(id -u)" = 0 ]
awk '/^MemTotal:/ {exit $2 < 3000000}' /proc/meminfo
[ "$(nproc)" -ge 2 ]
df -Pk /var/lib | awk 'NR == 2 {exit $4 < 2000000}'
ss -Hltunp '( sport = :80 or sport = :443 )' | grep -q docker-proxy
dpkg --audit
systemctl is-enabled --quiet docker
docker version --format '{{.Server.Version}}' >/dev/null
docker compose version --short >/dev/null
docker buildx version >/dev/null
grep -q max-size /etc/docker/daemon.json

# the host: packages, kernel, accounts, units, firewall, SSH
dpkg-query -W -f '${Package} ${db:Status-Status} ${Version}\n' >/dev/null
cat $(sed -n 's|^\([a-z][^ =]*\) *=.*|/proc/sys/\1|p' /etc/sysctl.d/*smarteros*.conf | tr . /) >/dev/null 2>&1 || true
getent passwd >/dev/null
sha256sum /root/.ssh/authorized_keys /etc/systemd/system/smarteros-* /etc/smarteros/firewall.nft >/dev/null
systemctl show --property=Id,ActiveState,UnitFileState docker.service ssh.service 'smarteros-*' >/dev/null
nft -s list table inet smarter_fw | sha256sum >/dev/null
iptables-save >/dev/null
/usr/sbin/sshd -T >/dev/null

# files: the generation and the secrets, by content
find . -type f -exec sha256sum {} + | sort >/dev/null
find . -printf '%m %u:%g %P\n' >/dev/null
readlink /root/Caddyfile /root/dkcompose/*.yaml >/dev/null
sha256sum /vault/secrets/*.env >/dev/null
stat -c '%a %U' /vault/secrets/*.env >/dev/null

# containers, networks, images
docker network inspect $NETWORKS >/dev/null
docker image ls >/dev/null
docker ps -aq --filter label=smarteros.service | xargs docker inspect --format '{{.State.Health.Status}}' |
    grep -vc '^healthy$' | grep -qx 0 || true

# Vault: log in, every policy, every role, every secret
docker exec -i vault sh -s <<VAULT
ask() { wget -q -O - --header "X-Vault-Token: \$token" "http://127.0.0.1:8200/v1/\$1"; }
wget -q -O - http://127.0.0.1:8200/v1/sys/seal-status | grep -q '"sealed":false'
token=\$(wget -q -O - --post-data '{"role_id":"$ROLE_ID","secret_id":"$SECRET_ID"}' \
    http://127.0.0.1:8200/v1/auth/approle/login | sed 's/.*"client_token":"\([^"]*\)".*/\1/')
for name in $SERVICES; do
    ask sys/policies/acl/smarteros-\$name >/dev/null
    ask auth/approle/role/\$name >/dev/null
done
for name in $PATHS; do ask secret/data/\$name >/dev/null; done
VAULT

# Postgres: roles, databases
docker exec -i postgres psql -qAtX -U postgres -c 'SELECT rolname, rolpassword FROM pg_authid' \
    -c 'SELECT datname, datdba FROM pg_database' >/dev/null
for database in $EXTENDED; do
    docker exec postgres psql -qAtX -U postgres -d "$database" -c 'SELECT extname FROM pg_extension' >/dev/null
done

# Redis: its role, settings and users
sh -c "$REDIS" </dev/null >/dev/null

# Who owns each application, and what Dokploy has registered
docker exec -i postgres sh -c 'while IFS="|" read -r name sql; do psql -qAtX -U postgres -d "$name" -c "$sql" </dev/null; done' \
    >/dev/null <<SQL
$OWNED
SQL

# Caddy, then every domain by name over TLS
docker exec caddy-proxy wget -q -O - http://127.0.0.1:2020/ >/dev/null
for pair in $DOMAINS; do
    domain=${pair%%=*}
    printf 'GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "${pair#*=}" "$domain" |
        openssl s_client -quiet -ign_eof -connect 127.0.0.1:443 -servername "$domain" -verify_hostname "$domain" \
            -verify_return_error -CAfile /tmp/bench-root.pem 2>/dev/null | head -1 | grep -Eq ' (200|302|303)'
done

# What the run leaves, noted at its end: all of it as it is now, and a line in the log
docker ps -aq --filter label=smarteros.service | xargs docker inspect >/dev/null
docker volume ls -q --filter label=smarteros.service >/dev/null
find . -type f -exec sha256sum {} + | sort >/dev/null
systemctl show --property=Id,ActiveState,UnitFileState docker.service ssh.service 'smarteros-*' >/dev/null
nft -s list table inet smarter_fw | sha256sum >/dev/null
sh -c "$REDIS" </dev/null >/dev/null
date >/tmp/bench-noted
sync /tmp/bench-noted
echo nothing to do
