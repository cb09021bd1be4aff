#!/bin/sh
# Odoo ERP: its first-run configuration, made so that no visitor of its domain becomes its owner.
#   check  exit code 0 once somebody is its admin; prints nothing
#   apply  makes the first admin, with the password from Vault; nothing once there is one, whoever that is by now
#   show   where it is, its login, where the password is, whether it has been made
# Without an argument: apply, then show.
set -eu
export DOCKER_HOST=unix:///var/run/docker.sock BUILDX_BUILDER=default DOCKER_CONTEXT= DOCKER_TLS= DOCKER_TLS_VERIFY= DOCKER_API_VERSION= DOCKER_DEFAULT_PLATFORM= DOCKER_CONTENT_TRUST= DOCKER_CUSTOM_HEADERS= DOCKER_BUILDKIT=

die() {
    echo "odoo on $(hostname): $*" >&2
    exit 1
}

check() {
    [ "$(docker exec -i postgres psql -qAtX -U postgres -d odoo 2>/dev/null <<'SQL'
SELECT 'yes' WHERE EXISTS (SELECT FROM ir_config_parameter WHERE key = 'smarteros.first_admin');
\q
SQL
    )" = yes ]
}

# Compose for this service alone, whatever this shell's environment or a .env file says.
compose() {
    env -i PATH="$PATH" HOME=/root DOCKER_HOST=unix:///var/run/docker.sock DOCKER_CONFIG=/run/smarteros/no-docker-config COMPOSE_IGNORE_ORPHANS=1 docker compose -f /root/dkcompose/odoo-deploy.yaml --project-name odoo --env-file /dev/null "$@"
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
    docker inspect --format '{{.State.Status}}' odoo 2>/dev/null | grep -qx running ||
        die "the container odoo does not run: docker logs odoo says why; deploy again"
    # Odoo does not run meanwhile: a new database answers to admin/admin for a moment.
    docker stop odoo >/dev/null
    made=yes
    said=$(compose --profile job run --rm --no-deps -T odoo-init 2>&1 </dev/null) || made=no
    [ $made = no ] || compose up -d --no-build --wait odoo >/dev/null 2>&1 || die "does not start: docker logs odoo says why"
    [ $made = yes ] || die "its database cannot be made ready, and it is stopped: $(echo "$said" | tail -n 20)"
    check || die "its first admin has not been made, and nothing said why; see docker logs odoo"
}

show() {
    if check; then
        state="there is an admin; changes made in Odoo ERP itself are kept"
    else
        state="nobody's yet: $0 apply"
    fi
    cat <<TEXT
Odoo ERP
    address   https://erp.smarterbot.cl
    login     ops@smarterbot.cl
    password  in Vault; where you deploy from: make secret NAME=odoo#ADMIN_PASSWORD
    state     $state
    mail      none (settings: mail): no app sends anything: invitations, password resets, quotations and invoices wait in its queue and fail
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
