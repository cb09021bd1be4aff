#!/bin/sh
# Metabase KPI: its first-run configuration, made so that no visitor of its domain becomes its owner.
#   check  exit code 0 once somebody is its admin; prints nothing
#   apply  makes the first admin, with the password from Vault; nothing once there is one, whoever that is by now
#   show   where it is, its login, where the password is, whether it has been made
# Without an argument: apply, then show.
set -eu
export DOCKER_HOST=unix:///var/run/docker.sock BUILDX_BUILDER=default DOCKER_CONTEXT= DOCKER_TLS= DOCKER_TLS_VERIFY= DOCKER_API_VERSION= DOCKER_DEFAULT_PLATFORM= DOCKER_CONTENT_TRUST= DOCKER_CUSTOM_HEADERS= DOCKER_BUILDKIT=

die() {
    echo "metabase on $(hostname): $*" >&2
    exit 1
}

check() {
    [ "$(docker exec -i postgres psql -qAtX -U postgres -d metabase 2>/dev/null <<'SQL'
SELECT 'yes' WHERE EXISTS (SELECT FROM core_user WHERE is_superuser);
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
    docker inspect --format '{{.State.Status}}' smarteros-metabase 2>/dev/null | grep -qx running ||
        die "the container smarteros-metabase does not run: docker logs smarteros-metabase says why; deploy again"
    docker exec -i smarteros-metabase sh <<'INSIDE' || die "Metabase cannot be set up; docker logs smarteros-metabase may say more"
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

token=$(curl -fsS --max-time 60 http://127.0.0.1:3000/api/session/properties |
    sed -n 's/.*"setup-token" *: *"\([0-9a-f-]*\)".*/\1/p')
[ -n "$token" ] || { echo "it gives no setup token" >&2; exit 1; }
user='{"first_name": "SmarterOS", "last_name": "Admin", "email": "%s", "password": "%s"}'
prefs='{"site_name": "smarterbot.cl", "allow_tracking": false}'
printf '{"token": "%s", "user": '"$user"', "prefs": %s}' "$token" "$email" "$password" "$prefs" | post /api/setup
exit
INSIDE
    check || die "its first admin has not been made, and nothing said why; see docker logs smarteros-metabase"
}

show() {
    if check; then
        state="there is an admin; changes made in Metabase KPI itself are kept"
    else
        state="nobody's yet: $0 apply"
    fi
    cat <<TEXT
Metabase KPI
    address   https://kpi.smarterbot.cl
    address   https://kpi.smarterbot.store
    login     ops@smarterbot.cl
    password  in Vault; where you deploy from: make secret NAME=metabase#ADMIN_PASSWORD
    state     $state
    mail      none (settings: mail): invitations, password resets, alerts and subscriptions are not sent
    note      no database is connected: its own role reads no other service's; connect one with a role for it
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
