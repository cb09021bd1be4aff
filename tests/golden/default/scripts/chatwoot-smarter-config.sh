#!/bin/sh
# Chatwoot CRM: its first-run configuration, made so that no visitor of its domain becomes its owner.
#   check  exit code 0 once somebody is its admin; prints nothing
#   apply  makes the first admin, with the password from Vault; nothing once there is one, whoever that is by now
#   show   where it is, its login, where the password is, whether it has been made
# Without an argument: apply, then show.
set -eu
export DOCKER_HOST=unix:///var/run/docker.sock BUILDX_BUILDER=default DOCKER_CONTEXT= DOCKER_TLS= DOCKER_TLS_VERIFY= DOCKER_API_VERSION= DOCKER_DEFAULT_PLATFORM= DOCKER_CONTENT_TRUST= DOCKER_CUSTOM_HEADERS= DOCKER_BUILDKIT=

die() {
    echo "chatwoot on $(hostname): $*" >&2
    exit 1
}

check() {
    [ "$(docker exec -i postgres psql -qAtX -U postgres -d chatwoot 2>/dev/null <<'SQL'
SELECT 'yes' WHERE EXISTS (SELECT FROM users);
\q
SQL
    )" = yes ]
}

# Compose for this service alone, whatever this shell's environment or a .env file says.
compose() {
    env -i PATH="$PATH" HOME=/root DOCKER_HOST=unix:///var/run/docker.sock DOCKER_CONFIG=/run/smarteros/no-docker-config COMPOSE_IGNORE_ORPHANS=1 docker compose -f /root/dkcompose/chatwoot-deploy.yaml --project-name chatwoot --env-file /dev/null "$@"
}

# Ruby, with the login from the container's environment.
script() {
    cat <<'RUBY'
Redis::Alfred.delete(Redis::Alfred::CHATWOOT_INSTALLATION_ONBOARDING)
exit if User.exists?
AccountBuilder.new(account_name: 'smarterbot.cl', user_full_name: 'SmarterOS', email: ENV.fetch('ADMIN_EMAIL'),
  user_password: ENV.fetch('ADMIN_PASSWORD'), super_admin: true, confirmed: true).perform
RUBY
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
    docker inspect --format '{{.State.Status}}' chatwoot 2>/dev/null | grep -qx running ||
        die "the container chatwoot does not run: docker logs chatwoot says why; deploy again"
    # In a container of its own: a second Rails does not fit into the memory of the first. The door is shut before
    # the account is made, so that no end in between leaves it open.
    said=$(compose --profile job run --rm --no-deps -T \
        chatwoot-prepare bundle exec rails runner "$(script)" 2>&1 </dev/null) ||
        die "rails cannot make its first admin: $(echo "$said" | tail -n 5)"
    check || die "its first admin has not been made, and nothing said why; see docker logs chatwoot"
}

show() {
    if check; then
        state="there is an admin; changes made in Chatwoot CRM itself are kept"
    else
        state="nobody's yet: $0 apply"
    fi
    cat <<TEXT
Chatwoot CRM
    address   https://crm.smarterbot.cl
    login     ops@smarterbot.cl
    password  in Vault; where you deploy from: make secret NAME=chatwoot#ADMIN_PASSWORD
    state     $state
    mail      none (settings: mail): agents' invitations, confirmations, password resets and answers of e-mail inboxes are lost
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
