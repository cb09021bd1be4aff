#!/bin/sh
# generate-secrets.sh        fills what is missing in Vault, touches nothing else, prints names and no value; says what it
#                            cannot make, since only you know it.
# generate-secrets.sh show   prints the first logins and removes their file (/root/GENERATED-SECRETS-<date>.txt).
#
# Vault's credential is taken from the environment: VAULT_TOKEN, or VAULT_ROLE_ID and VAULT_SECRET_ID, which
# the machine that deploys keeps as role_id and secret_id in <state_dir>/<host>/vault.json (~/.local/state/smarteros).
# Values only pass through pipes, variables of this shell and its builtins: no process list shows them.
set -eu
umask 077
export LC_ALL=C
export DOCKER_HOST=unix:///var/run/docker.sock BUILDX_BUILDER=default DOCKER_CONTEXT= DOCKER_TLS= DOCKER_TLS_VERIFY= DOCKER_API_VERSION= DOCKER_DEFAULT_PLATFORM= DOCKER_CONTENT_TRUST= DOCKER_CUSTOM_HEADERS= DOCKER_BUILDKIT=

mount=secret
where='docker logs vault'
filled= lost=

fail() {
    printf 'generate-secrets: %s\n' "$*" >&2
    exit 1
}

show() {
    found=
    for file in /root/GENERATED-SECRETS-*.txt; do
        # One of that name from an older installation may be the only copy of what it holds.
        grep -qs '^First logins of SmarterOS on ' "$file" || continue
        cat "$file" || fail "$file could not be shown in full, so it stays"
        rm -f "$file"
        found=yes
    done
    [ "$found" ] && return
    [ -s /opt/smarteros/handed-out ] || fail "no first logins are kept here yet: the end of a deploy writes them"
    fail "no first logins are kept here: they were shown, or 24 hours have passed; the passwords are in Vault"
}

# The engine's own program; the token reaches it through its environment.
vault() {
    docker exec -i -e VAULT_TOKEN vault bao "$@"
}

answering() {
    docker inspect vault >/dev/null 2>&1 || fail "this host has no container named vault: run the deploy first"
    status=0
    vault status </dev/null >/dev/null 2>&1 || status=$?
    case $status in
    0) ;;
    2) fail "Vault is sealed, or not initialised yet: run the deploy, which unseals it" ;;
    *) fail "Vault does not answer: see $where" ;;
    esac
}

logged_in() {
    if [ -z "${VAULT_TOKEN:-}" ]; then
        [ "${VAULT_ROLE_ID:-}" ] && [ "${VAULT_SECRET_ID:-}" ] ||
            fail "Vault needs a credential: set VAULT_TOKEN, or VAULT_ROLE_ID and VAULT_SECRET_ID, in the environment"
        unset VAULT_TOKEN
        login=$(printf '{"role_id":"%s","secret_id":"%s"}' "$VAULT_ROLE_ID" "$VAULT_SECRET_ID")
        VAULT_TOKEN=$(printf %s "$login" | vault write -field=token auth/approle/login -) ||
            fail "Vault refuses VAULT_ROLE_ID and VAULT_SECRET_ID, see above"
    fi
    export VAULT_TOKEN
}

token() {
    tr -dc A-Za-z0-9 </dev/urandom | head -c "$1"
}

# The lines of one object of the answer: with its two blanks for each level, no value can look like such a line.
section() {
    printf '%s\n' "$answer" | awk -v first="    \"$1\": {" '/^    [^ ]/ {inside = $0 == first; next} inside'
}

# fill SERVICE: standard input declares its secrets, a line each: name, kind, length, of, and whether it may never change.
fill() {
    version=0 present='' made='' names=''
    if answer=$(vault read -format=json "$mount/data/$1" </dev/null 2>&1); then
        case $answer in *'
    "data": null'*)
            case $answer in *'"destroyed": true'*) fail "$mount/$1 was destroyed in Vault: the next deploy says what brings it back" ;; esac
            fail "$mount/$1 was deleted in Vault: undelete it; new secrets would lock the service out of its data"
            ;;
        esac
        version=$(section metadata | sed -n 's/^      "version": \([0-9]*\),*$/\1/p')
        [ "$version" ] || fail "reading $mount/$1: this answer of Vault is not understood"
        present=$(section data)
    else
        case $answer in *'No value found'*) ;; *) fail "reading $mount/$1: $answer" ;; esac
    fi
    while read -r name kind length of lasting; do
        case "
$present" in *"
      \"$name\": "*) continue ;; esac
        if [ "$lasting" ] && [ "$version" != 0 ]; then
            echo "$mount/$1: $name is left to the next deploy, which looks for it in what Vault had before"
            filled=yes
            continue
        fi
        value=$(generated "$1" "$kind" "$length" "$of") || exit 1
        [ "$(printf %s "$value" | wc -c)" -ge "$length" ] || fail "$mount/$1#$name: this host gives no random characters"
        made="$made${made:+,}\"$name\":\"$value\""
        names="$names $name"
    done
    [ "$made" ] || return 0
    printf '{"options":{"cas":%s},"data":{ %s%s%s}}' "$version" "$present" "${present:+,}" "$made" |
        vault write "$mount/data/$1" - >/dev/null ||
        fail "writing $mount/$1, see above; when somebody else has changed it meanwhile, run this again"
    printf '%s: generated%s\n' "$mount/$1" "$names"
    filled=yes
}

# given PATH NAME: what nobody can make.
given() {
    vault kv get -mount="$mount" -field="$2" "$1" </dev/null 2>/dev/null | grep -q . || lost="$lost $mount/$1#$2"
}

# generated SERVICE KIND LENGTH OF
generated() {
    case $2 in
    token) token "$3" ;;
    password) printf 'Aa1!%s' "$(token $(($3 - 4)))" ;;
    hex) od -An -v -N$(($3 / 2)) -tx1 /dev/urandom | tr -d ' \n' ;;
    bcrypt) hashed "$1" "$4" ;;
    *) fail "$1: this script cannot make a secret of kind $2" ;;
    esac
}

# hashed SERVICE NAME: the bcrypt hash of a secret that was made just now, or that Vault holds.
hashed() {
    plain=${made#*\"$2\":\"}
    if [ "$plain" != "$made" ]; then
        plain=${plain%%\"*}
    else
        # The full stop keeps line ends at the value's end, which the shell would drop.
        plain=$(vault kv get -mount="$mount" -version="$version" -field="$2" "$1" </dev/null && echo .) ||
            fail "reading $mount/$1#$2, see above"
        plain=${plain%.}
    fi
    case $plain in '' | *'
'*) fail "$mount/$1#$2 is empty or has several lines: there is no hash of that" ;; esac
    hash=$(printf '%s\n' "$plain" | caddy hash-password --algorithm bcrypt) || fail "hashing $mount/$1#$2, see above"
    case $hash in '$2'*) printf %s "$hash" ;; *) fail "hashing $mount/$1#$2: caddy gives no bcrypt hash" ;; esac
}

caddy() {
    if docker exec caddy-proxy true 2>/dev/null; then
        docker exec -i caddy-proxy caddy "$@"
    else
        docker run --rm -i --network none --entrypoint caddy caddy:2.11.7-alpine "$@"
    fi
}

case ${1:-} in
show)
    show
    exit 0
    ;;
'') ;;
*) fail "unknown argument $1: there is 'show', or none" ;;
esac

answering
logged_in
fill postgres <<'END'
POSTGRES_PASSWORD token 40 -
END
fill redis <<'END'
REDIS_PASSWORD token 40 -
END
fill chatwoot <<'END'
SECRET_KEY_BASE token 64 -
POSTGRES_PASSWORD token 40 -
REDIS_PASSWORD token 40 -
ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY token 32 - lasting
ACTIVE_RECORD_ENCRYPTION_DETERMINISTIC_KEY token 32 - lasting
ACTIVE_RECORD_ENCRYPTION_KEY_DERIVATION_SALT token 32 - lasting
ADMIN_PASSWORD password 24 -
END
fill botpress <<'END'
DATABASE_PASSWORD token 40 -
APP_SECRET token 48 -
BP_ADMIN_PASSWORD password 24 -
END
fill n8n <<'END'
N8N_ENCRYPTION_KEY token 48 - lasting
DB_POSTGRESDB_PASSWORD token 40 -
N8N_OWNER_PASSWORD token 24 -
N8N_INSTANCE_OWNER_PASSWORD_HASH bcrypt 40 N8N_OWNER_PASSWORD
END
fill odoo <<'END'
PGPASSWORD token 40 -
ADMIN_PASSWORD password 24 -
END
fill metabase <<'END'
MB_DB_PASS token 40 -
MB_ENCRYPTION_SECRET_KEY token 48 - lasting
ADMIN_PASSWORD password 24 -
END
fill dokploy <<'END'
DATABASE_PASSWORD token 40 -
BETTER_AUTH_SECRET token 48 - lasting
ADMIN_PASSWORD password 24 -
END
fill vault-auth-validator <<'END'
SESSION_KEY hex 64 -
END
[ ! "$lost" ] || fail "only you know$lost: \`make give-secrets\` where you deploy from asks for it; the next deploy needs it"
if [ "$filled" ]; then
    echo "The next deploy brings them to their services."
else
    echo "Nothing was missing."
fi
