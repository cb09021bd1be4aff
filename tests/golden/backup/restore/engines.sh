# Read by the drill: Vault's snapshot and Redis' file are opened by a second server of the same image. Written by the deploy.
# It has no network, and goes with its container.

# beside CONTAINER IMAGE_OF OPTION... -- ARGUMENT...: it starts.
beside() {
    name=$1 image=$(docker inspect --type container --format '{{.Image}}' "$2") || return
    shift 2
    options=()
    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    shift
    gone "$name"
    docker run --detach --name "$name" --label smarteros.service=backup --network none --restart no --init --read-only --tmpfs /tmp:noexec,nosuid,nodev,size=64m \
        --cap-drop ALL --security-opt no-new-privileges --cpus 0.2 --cpuset-cpus "$core" --cpu-shares 128 --oom-score-adj 500 --pids-limit 256 --log-opt max-size=1m \
        --stop-timeout 2 "${options[@]}" "$image" "$@" >/dev/null
}
# awaited SECONDS WORDS COMMAND...: until the command succeeds.
awaited() {
    until_then=$((SECONDS + $1)) words=$2
    shift 2
    until "$@"; do
        [ $SECONDS -lt $until_then ] || { bad "$words"; return 1; }
        sleep 0.5
    done
}

asked() { docker exec -i -e VAULT_TOKEN $engine vault "$@"; }
# is CODE: of the program, 0 where it is unsealed, 2 where it is sealed.
is() {
    asked status >/dev/null 2>&1 </dev/null
    [ $? = "$1" ]
}
active() { asked read -field=ha_enabled sys/leader </dev/null >/dev/null 2>&1 && [ "$(asked read -field=is_self sys/leader </dev/null 2>/dev/null)" = true ]; }
unsealing() {
    while read -r key; do
        ! is 0 || return 0
        printf %s "$key" | asked write sys/unseal key=- >/dev/null 2>&1 || return
    done
}
# What the host unseals its own Vault with, handed from unit to unit as after a boot: in no command line and no file.
keys() {
    systemd-run --quiet --collect --wait --pipe --property=LoadCredentialEncrypted=smarteros-unseal:/etc/credstore.encrypted/smarteros-unseal \
        /bin/sh -c 'cat "$CREDENTIALS_DIRECTORY/smarteros-unseal"' </dev/null
}
# The secret of that name as the file of the host has it, and as the copy does, each as its sum.
here() { sed -n "s/^$1=//p" /vault/secrets/backup.env | tr -d "'\"\n" | sha256sum; }
there() {
    login=$(printf '{"role_id":"%s","secret_id":"%s"}' "$(sed -n 's/^VAULT_ROLE_ID=//p' /vault/secrets/backup.env | tr -d "'\"")" \
        "$(sed -n 's/^VAULT_SECRET_ID=//p' /vault/secrets/backup.env | tr -d "'\"")")
    VAULT_TOKEN=$(printf %s "$login" | asked write -field=token auth/approle/login -) || return
    export VAULT_TOKEN
    asked read -format=json secret/data/backup </dev/null | sed -n "s/^ *\"$1\": *\"\(.*\)\",*\$/\1/p" | tr -d '\n' | sha256sum
}

# The snapshot, opened with the host's own keys: a login of before and a secret of before are in it.
snapshot() {
    service=vault engine=restored-vault
    unset VAULT_TOKEN
    begins "vault: a second one opens its snapshot"
    [ -s /etc/credstore.encrypted/smarteros-unseal ] || { say "vault: its snapshot is not proven: this host has no keys to open it with (unseal_at_boot)" | tee -a "$report"; return; }
    restored --tag service=vault --path /tmp/vault.snap && [ -s "$keeping/files/tmp/vault.snap" ] || { bad "vault: its snapshot cannot be restored"; return 1; }
    install -d -m 700 -o 100 "$keeping/files/vault" && chown -R 100 "$keeping/files/tmp"
    beside $engine vault --user 100 --memory 512m --memory-swap 512m --hostname vault --add-host vault:127.0.0.1 --env VAULT_ADDR=http://127.0.0.1:8200 --env BAO_ADDR=http://127.0.0.1:8200 \
        --volume "$keeping/files/vault:/vault/file" --volume /opt/smarteros/current/vault:/etc/vault:ro --volume "$keeping/files/tmp:/snapshot:ro" \
--cap-add IPC_LOCK --entrypoint vault -- server -config=/etc/vault || { bad "vault: a second one does not start"; return 1; }
    awaited 60 "vault: a second one does not answer" is 2 || return
    made=$(asked operator init -key-shares=1 -key-threshold=1 -format=json </dev/null | tr -d ' \n') || { bad "vault: a second one cannot be initialised"; return 1; }
    say "$made" | sed 's/.*"unseal_keys_b64":\["\([^"]*\)".*/\1/' | unsealing
    VAULT_TOKEN=$(say "$made" | sed 's/.*"root_token":"\([^"]*\)".*/\1/')
    export VAULT_TOKEN
    awaited 60 "vault: a second one does not become active" active || return
    said=$(asked operator raft snapshot restore -force /snapshot/vault.snap 2>&1 </dev/null) || { bad "vault: it does not take its snapshot: $(say "$said" | tail -n 2 | tr '\n' ' ')"; return 1; }
    unset VAULT_TOKEN
    # It closes itself, and may remember under how many keys it was open before: a new process knows only what it reads.
    docker restart $engine >/dev/null && awaited 60 "vault: it does not answer with its snapshot" is 2 || return
    keys | unsealing
    awaited 60 "vault: the keys of this host do not open its snapshot" is 0 || return
    awaited 60 "vault: what came out of its snapshot does not become active" active || return
    [ "$(there RESTIC_PASSWORD 2>"$keeping/asked")" = "$(here RESTIC_PASSWORD)" ] || { bad "vault: a secret is not in its snapshot as this host has it: $(tail -n 2 "$keeping/asked" | tr '\n' ' ')"; return 1; }
    unset VAULT_TOKEN
    gone $engine
    emptied
    whole vault snapshot
}

loaded() { [ "$(docker exec restored-redis redis-cli INFO persistence 2>/dev/null | tr -d '\r' | sed -n 's/^loading://p')" = 0 ]; }

# With its log of changes on, it reads no file but one that is the beginning of that.
file_of_redis() {
    service=redis engine=restored-redis
    begins "redis: a second one reads its file"
    restored --tag service=redis --path /state/redis_data/dump.rdb && folder=$keeping/files/redis && install -d -m 777 "$folder" "$folder/appendonlydir" &&
        mv "$keeping/files/state/redis_data/dump.rdb" "$folder/appendonlydir/appendonly.aof.1.base.rdb" || { bad "redis: its file cannot be restored"; return 1; }
    say "file appendonly.aof.1.base.rdb seq 1 type b" >"$folder/appendonlydir/appendonly.aof.manifest"
    chmod 644 "$folder/appendonlydir"/*
    beside $engine redis --user redis --memory "$(docker inspect --type container --format '{{.HostConfig.Memory}}' redis)" --volume "$folder:/data" --entrypoint redis-server -- \
        --bind 127.0.0.1 --dir /data --appendonly yes --save '' || { bad "redis: a second one does not start"; return 1; }
    awaited 600 "redis: a second one does not read its file: $(docker logs --tail 3 $engine 2>&1 | tr '\n' ' ')" loaded || return
    many=$(docker exec $engine redis-cli INFO persistence | tr -d '\r' | sed -n 's/^rdb_last_load_keys_loaded://p')
    [ -n "$many" ] || { bad "redis: a second one does not say how many keys it has read"; return 1; }
    held=$(docker exec redis sh -c 'REDISCLI_AUTH="$REDIS_PASSWORD" exec redis-cli DBSIZE' 2>/dev/null | tr -dc 0-9)
    [ "$many" != 0 ] || [ "${held:-0}" = 0 ] || { bad "redis: its file holds no key, and the server that runs holds $held"; return 1; }
    say "redis: $many keys, and $held in the server that runs" | tee -a "$report"
    gone $engine
    emptied
    whole redis file
}
