#!/bin/sh
# Dokploy Panel: its first-run configuration, made so that no visitor of its domain becomes its owner.
#   check  exit code 0 once somebody is its admin; prints nothing
#   apply  makes the first admin, with the password from Vault; nothing once there is one, whoever that is by now
#   show   where it is, its login, where the password is, whether it has been made
# Without an argument: apply, then show.
set -eu
export DOCKER_HOST=unix:///var/run/docker.sock BUILDX_BUILDER=default DOCKER_CONTEXT= DOCKER_TLS= DOCKER_TLS_VERIFY= DOCKER_API_VERSION= DOCKER_DEFAULT_PLATFORM= DOCKER_CONTENT_TRUST= DOCKER_CUSTOM_HEADERS= DOCKER_BUILDKIT=

die() {
    echo "dokploy on $(hostname): $*" >&2
    exit 1
}

check() {
    [ "$(docker exec -i postgres psql -qAtX -U postgres -d dokploy 2>/dev/null <<'SQL'
SELECT 'yes' WHERE EXISTS (SELECT FROM member WHERE role = 'owner');
\q
SQL
    )" = yes ]
}

# within SECONDS: waits until there is an admin.
within() {
    for _ in $(seq "$1"); do
        if check; then return; fi
        sleep 1
    done
    return 1
}

apply() {
    if check; then return; fi
    docker inspect --format '{{.State.Status}}' dokploy 2>/dev/null | grep -qx running ||
        die "the container dokploy does not run: docker logs dokploy says why; deploy again"
    docker exec -i dokploy sh <<'INSIDE' || die "Dokploy does not take its owner; docker logs dokploy may say more"
set -eu

# json TEXT: as the inside of a JSON string.
json() {
    case $1 in *[[:cntrl:]]*) echo "the login or its password holds a control character" >&2; exit 1 ;; esac
    printf %s "$1" | sed 's/[\\"]/\\&/g'
}

# post PATH: JSON from standard input. The answer may repeat what was sent, and is not shown.
post() {
    status=$(curl -sS --max-time 120 -o /dev/null -w '%{http_code}' -H 'Content-Type: application/json' \
        --data-binary @- "http://127.0.0.1:3000$1") || true
    [ "$status" = 200 ] || { echo "POST $1 was refused ($status)" >&2; exit 1; }
}

email=$(json "$ADMIN_EMAIL")
password=$(json "$ADMIN_PASSWORD")

printf '{"name": "SmarterOS", "lastName": "Owner", "email": "%s", "password": "%s"}' \
    "$email" "$password" | post /api/auth/sign-up/email
exit
INSIDE
    check || die "its first admin has not been made, and nothing said why; see docker logs dokploy"
}

show() {
    if check; then
        state="there is an admin; changes made in Dokploy Panel itself are kept"
    else
        state="nobody's yet: $0 apply"
    fi
    cat <<TEXT
Dokploy Panel
    address   https://dokploy.smarterbot.cl
    login     ops@smarterbot.cl
    password  in Vault; where you deploy from: make secret NAME=dokploy#ADMIN_PASSWORD
    state     $state
TEXT
}

case ${1-} in
check) check ;;
apply) apply ;;
show) show ;;
"")
    apply
    show
    ;;
*)
    echo "usage: $0 [check|apply|show]" >&2
    exit 2
    ;;
esac
