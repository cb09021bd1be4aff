# The floor of a first deploy: the same apt, pulls, build and starts by a plain script, in one session.
# FILES: base64 of the rendered files; SECRETS: base64 of env files made beforehand; PACKAGES: those of host and firewall.
set -eu
export DEBIAN_FRONTEND=noninteractive
mkdir -p /etc/docker /opt/smarteros/generations/floor /root/dkcompose /vault/secrets
printf "%s\n" "$DAEMON" >/etc/docker/daemon.json
apt-get -q update >/dev/null
apt-get -q install -y --no-install-recommends iptables ca-certificates docker.io docker-cli docker-compose docker-buildx $PACKAGES >/dev/null
cd /opt/smarteros
echo "$FILES" | base64 -d | tar -xzf - -C generations/floor
ln -s generations/floor current
(umask 077; echo "$SECRETS" | base64 -d | tar -xzf - -C /vault/secrets)
for path in $LINKS; do
    mkdir -p "$(dirname "${path%%=*}")"
    ln -s "${path#*=}" "${path%%=*}"
done
for network in $NETWORKS; do docker network create "$network" >/dev/null; done

for image in $IMAGES; do docker pull -q "$image" >/dev/null & done
docker build -q --network host -t "$BUILT" current/build/vault-auth-validator >/dev/null &

# up SERVICE IMAGE CONTAINER…, job SERVICE IMAGE CONTAINER
up() {
    until docker image inspect "$2" >/dev/null 2>&1; do sleep 0.3; done
    docker compose -f "current/dkcompose/$1-deploy.yaml" up -d --no-build --quiet-pull 2>/dev/null
    shift 2
    for container; do
        until [ "$(docker inspect -f '{{.State.Health.Status}}' "$container")" = healthy ]; do sleep 0.3; done
    done
}
job() {
    until docker image inspect "$2" >/dev/null 2>&1; do sleep 0.3; done
    docker compose -f "current/dkcompose/$1-deploy.yaml" run --rm --no-deps "$3" >/dev/null 2>&1 </dev/null
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
printf "%s\n" "$SQL" | docker exec -i postgres psql -qX -v ON_ERROR_STOP=1 -U postgres
eval "$APPLICATIONS"
for pair in $DOMAINS; do
    until printf 'GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "${pair#*=}" "${pair%%=*}" |
        openssl s_client -quiet -ign_eof -connect 127.0.0.1:443 -servername "${pair%%=*}" 2>/dev/null |
        head -1 | grep -Eq ' (200|302|303)'; do sleep 0.5; done
done
echo deployed
