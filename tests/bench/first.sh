# The floor of a first deploy: the same apt, pulls, build and starts by a plain script, in one session.
# FILES: base64 of the rendered files; SECRETS: base64 of env files made beforehand.
set -eu
export DEBIAN_FRONTEND=noninteractive
mkdir -p /etc/docker /opt/smarteros/generations/floor /root/dkcompose /vault/secrets
echo "$DAEMON" >/etc/docker/daemon.json
apt-get -q update >/dev/null
apt-get -q install -y --no-install-recommends iptables ca-certificates docker.io docker-cli docker-compose docker-buildx >/dev/null
cd /opt/smarteros
echo "$FILES" | base64 -d | tar -xzf - -C generations/floor
ln -s generations/floor current
(umask 077; echo "$SECRETS" | base64 -d | tar -xzf - -C /vault/secrets)
docker network create smarter-net >/dev/null
docker network create tenants-net >/dev/null

for image in $IMAGES; do docker pull -q "$image" >/dev/null & done
docker build -q --network host -t "$BUILT" current/build/vault-auth-validator >/dev/null &

up() {
    until docker image inspect "$2" >/dev/null 2>&1; do sleep 0.3; done
    docker compose -f "current/dkcompose/$1-deploy.yaml" up -d --no-build --quiet-pull 2>/dev/null
    until [ "$(docker inspect -f '{{.State.Health.Status}}' "$3")" = healthy ]; do sleep 0.3; done
}
up vault "$VAULT" vault
docker exec -i vault sh -s <<'EOF' >/dev/null
vault() { BAO_ADDR=http://127.0.0.1:8200 bao "$@"; }
init=$(vault operator init -key-shares=5 -key-threshold=3)
for n in 1 2 3; do vault operator unseal "$(echo "$init" | sed -n "s/^Unseal Key $n: //p")"; done
export BAO_TOKEN=$(echo "$init" | sed -n 's/^Initial Root Token: //p')
until vault secrets enable -path=secret -version=2 kv; do sleep 0.2; done
vault auth enable approle
EOF
up postgres "$POSTGRES" postgres
up redis "$REDIS" redis
docker exec -i postgres psql -qX -v ON_ERROR_STOP=1 -U postgres <<EOF
CREATE ROLE n8n LOGIN PASSWORD '$PASSWORD';
CREATE DATABASE n8n OWNER n8n;
EOF
up n8n "$N8N" n8n
up vault-auth-validator "$BUILT" vault-auth-validator
up caddy "$CADDY" caddy-proxy
for pair in $DOMAINS; do
    until printf 'GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "${pair#*=}" "${pair%%=*}" |
        openssl s_client -quiet -ign_eof -connect 127.0.0.1:443 -servername "${pair%%=*}" 2>/dev/null |
        head -1 | grep -q ' 200'; do sleep 0.5; done
done
echo deployed
