#!/bin/sh
# n8n Workflows: its first-run configuration, made so that no visitor of its domain becomes its owner.
#   check  exit code 0 once somebody is its admin; prints nothing
#   apply  makes the first admin, with the password from Vault; nothing once there is one, whoever that is by now
#   show   where it is, its login, where the password is, whether it has been made
# Without an argument: apply, then show.
set -eu
export DOCKER_HOST=unix:///var/run/docker.sock BUILDX_BUILDER=default DOCKER_CONTEXT= DOCKER_TLS= DOCKER_TLS_VERIFY= DOCKER_API_VERSION= DOCKER_DEFAULT_PLATFORM= DOCKER_CONTENT_TRUST= DOCKER_CUSTOM_HEADERS= DOCKER_BUILDKIT=

die() {
    echo "n8n on $(hostname): $*" >&2
    exit 1
}

check() {
    [ "$(docker exec -i postgres psql -qAtX -U postgres -d n8n 2>/dev/null <<'SQL'
SELECT 'yes' WHERE EXISTS (SELECT FROM "user" WHERE email IS NOT NULL AND password IS NOT NULL);
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
    docker inspect --format '{{.State.Status}}' n8n 2>/dev/null | grep -qx running ||
        die "the container n8n does not run: docker logs n8n says why; deploy again"
    # n8n makes it itself when it starts, from N8N_INSTANCE_OWNER_… in its environment.
    within 15 || { docker restart n8n >/dev/null && within 120; } ||
        die "it has not made its owner within two minutes of its start: docker logs n8n says why"
    check || die "its first admin has not been made, and nothing said why; see docker logs n8n"
}

show() {
    if check; then
        state="there is an admin; its login and password are those of Vault again at each start"
    else
        state="nobody's yet: $0 apply"
    fi
    cat <<TEXT
n8n Workflows
    address   https://flows.example.org
    login     ops@smarterbot.cl
    password  in Vault; where you deploy from: make secret NAME=n8n#N8N_OWNER_PASSWORD
    state     $state
    mail      none (settings: mail): people are invited by a link that the owner hands on, and a forgotten password is reset by nobody
    note      n8n writes its owner of Vault at each of its starts: what is changed in n8n itself does not last; to
              change the password: make give-secrets NAME=n8n#N8N_OWNER_PASSWORD, then deploy. Other people and workflows stay
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
