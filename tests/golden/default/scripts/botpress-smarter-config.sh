#!/bin/sh
# Botpress Bot: its first-run configuration, made so that no visitor of its domain becomes its owner.
#   check  exit code 0 once somebody is its admin; prints nothing
#   apply  makes the first admin, with the password from Vault; nothing once there is one, whoever that is by now
#   show   where it is, its login, where the password is, whether it has been made
# Without an argument: apply, then show.
set -eu
export DOCKER_HOST=unix:///var/run/docker.sock BUILDX_BUILDER=default DOCKER_CONTEXT= DOCKER_TLS= DOCKER_TLS_VERIFY= DOCKER_API_VERSION= DOCKER_DEFAULT_PLATFORM= DOCKER_CONTENT_TRUST= DOCKER_CUSTOM_HEADERS= DOCKER_BUILDKIT=

die() {
    echo "botpress on $(hostname): $*" >&2
    exit 1
}

check() {
    [ "$(docker exec -i postgres psql -qAtX -U postgres -d botpress 2>/dev/null <<'SQL'
SELECT 'yes' WHERE EXISTS (SELECT FROM strategy_default);
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
    docker inspect --format '{{.State.Status}}' botpress 2>/dev/null | grep -qx running ||
        die "the container botpress does not run: docker logs botpress says why; deploy again"
    # Botpress makes it itself when it starts, from BP_ADMIN_EMAIL and BP_ADMIN_PASSWORD in its environment.
    within 15 || { docker restart botpress >/dev/null && within 120; } ||
        die "it has not made its first admin within two minutes of its start: docker logs botpress says why"
    check || die "its first admin has not been made, and nothing said why; see docker logs botpress"
}

show() {
    if check; then
        state="there is an admin; changes made in Botpress Bot itself are kept"
    else
        state="nobody's yet: $0 apply"
    fi
    cat <<TEXT
Botpress Bot
    address   https://bot.smarterbot.cl
    login     ops@smarterbot.cl
    password  in Vault; where you deploy from: make secret NAME=botpress#BP_ADMIN_PASSWORD
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
