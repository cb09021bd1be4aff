#!/bin/sh
# Reads what is there, of the files a part each night and all of the log's sums, and lets go of what is too old.
. /opt/smarteros/current/backup/lib.sh
. /opt/smarteros/current/backup/log.sh

wrong=
day=$(date +%d)
run 14400 backup-check check --quiet --no-lock --read-data-subset "$(((${day#0} - 1) % 28 + 1))/28" || wrong=" restic-check"
let_go() (
    alone
    repository 1700 backup-check "$@"
)
# Nothing is taken away where something is damaged: what is made anew from what is remembered would hide that.
[ "$wrong" ] || {
    let_go forget --quiet --keep-within 1d --keep-within-hourly 2d --keep-daily 14 --keep-weekly 8 --keep-monthly 6 || wrong="$wrong forget"
    # What nobody needs any more goes in steps, each shorter than the others wait, which go on in between, until what stays is what restic tolerates.
    steps=0 unused=100
    while [ "${unused:-0}" -gt 5 ] && [ $steps -lt 20 ]; do
        [ $steps = 0 ] || sleep 60
        said=$(let_go prune --max-repack-size 512M) || { wrong="$wrong prune"; said=; }
        unused=$(printf '%s\n' "$said" | sed -n 's/^unused size after prune:.*(\([0-9]*\).*/\1/p')
        steps=$((steps + 1))
    done
}
of_postgres() { docker exec postgres timeout --kill-after=30 14400 pgbackrest --stanza=main "$@"; }
# What is before the newest backup that needs none before it costs times to come back to, and no restore of what is newest.
read -r from full <<END
$(of_postgres info --output=json | grep -oE '"archive":\{"start":"[0-9A-F]{24}"|"label":"[0-9]{8}-[0-9]{6}F"' |
    awk -F '"' '/archive/ {start = $(NF - 1)} /label/ {from = start; full = $(NF - 1)} END {print from, full}')
END
# needed: those of the segments and backups on the lines that are not before it.
needed() { awk -v from="$from" -v full="$full" '($0 "") >= ((length($0) == 24 ? from : full) "")'; }

# What says where everything is stands there twice, and verify is content with either. A backup that begins now writes one after the other.
described=$(of_postgres repo-ls --recurse backup/main) || wrong="$wrong descriptions"
described=$(printf '%s\n' "$described" | grep -E '(^|/)backup\.(info|manifest)$' | sed 's,^,backup/main/,')
differs=$(docker exec postgres timeout --kill-after=30 3600 sh -c '
    of() { pgbackrest --stanza=main repo-get "$1" | sha256sum; }
    for each; do [ "$(of "$each")" = "$(of "$each.copy")" ] || { sleep 10; [ "$(of "$each")" = "$(of "$each.copy")" ]; } || echo "$each"; done
' sh archive/main/archive.info $described 2>&1) || differs="$differs (not all of them could be read)"
[ -z "$differs" ] || echo "damaged, this or its .copy: $differs" >&2
manifest='^backup/main/([0-9]{8}-[0-9]{6}F[^/]*)/backup\.manifest$'
[ -z "$(printf '%s\n' "$differs" | grep -vE "$manifest")" ] || wrong="$wrong descriptions"
# It ends with 0 whatever it has found, and says that all is well, or what is not, only when it is to say everything.
said=$(of_postgres verify --output=text --verbose --log-level-console=info 2>&1)
# Neither damage nor the course of things, like a bucket that did not answer: then nothing is known.
other=$(printf '%s\n' "$said" | grep ' INFO: ' | grep -vE " INFO: (verify command |stanza: |backup '|(invalid checksum|invalid size|file missing|duplicate WAL) '|invalid result [^ ]+: \[(29|95)\])")
{
    printf '%s\n' "$differs" | sed -nE "s,$manifest,\1,p"
    printf '%s\n' "$said" | sed -nE "
        s,.* INFO: invalid [a-z]+ '?[^/ ]+/[0-9A-F]{16}/([0-9A-F]{24})-.*,\1,p
        s,.* INFO: duplicate WAL '([0-9A-F]{24})'.*,\1,p
        s/^ *backup: ([^,]+), status: invalid,.*/\1/p"
} | sort -u >"$state/.damaged" || fail "the backups are not whole:$wrong; and what is damaged of them cannot be noted (see the lines above): df -h $state"
case $other-$said in
-*'status: ok'*) ;;
-*'status: error'*) [ -s "$state/.damaged" ] || wrong="$wrong pgbackrest-verify" ;;
*) wrong="$wrong pgbackrest-verify" ;;
esac
case $wrong in
*pgbackrest-verify*) printf '%s\n' "$said" "$other" | tail -n 20 >&2 ;;
*)  # Once it is said in any case; afterwards as long as what is newest needs it.
    touch "$state/damaged"
    [ -z "$(comm -13 "$state/damaged" "$state/.damaged"; needed <"$state/.damaged")" ] || wrong="$wrong damaged"
    sync "$state/.damaged"
    mv -f "$state/.damaged" "$state/damaged"
    sed "s/.*/damaged: & (make backups says which times that costs)/" "$state/damaged" >&2
    # For the recovery of a lost host, which has the bucket alone (tasks/clients/archive.py).
    docker exec postgres timeout --kill-after=30 300 sh -c '
        for each; do echo "damaged $each"; done | pgbackrest --stanza=main --repo1-path=/recovery --repo1-cipher-type=none repo-put damaged
    ' sh $(cat "$state/damaged") >&2 || wrong="$wrong list"
    ;;
esac
# A segment that is not there is not missed by it.
listed() { runs 14400 >"$state/.runs" && [ -s "$state/.runs" ]; }
gaps() { awk -v from="$from" '$4 && ($1 "") > (from "") {found = 1} END {exit !found}' "$state/.runs"; }
# Two segments leave side by side, and the later one may be there first.
listed && { ! gaps || { sleep 30; listed; }; } || wrong="$wrong log"
{
    needed <"$state/damaged" | sed 's/^/damaged: /'
    awk -v from="$from" '$4 {
        gap = sprintf("the log has a gap before %s: %d segments are missing or damaged", $1, $4)
        if (($1 "") > (from "")) {print gap; gaps++} else print gap ", behind which a full backup was made" >"/dev/stderr"
    }
    END {exit gaps}' "$state/.runs" || wrong="$wrong log"
} >"$state/.gaps"
grep '^the log' "$state/.gaps" >&2
# Nothing is replayed past either: behind one that is new a backup begins anew at once.
cmp -s "$state/.gaps" "$state/gaps" || [ ! -s "$state/.gaps" ] || {
    rm -f "$state/full"
    systemctl start --no-block smarteros-backup-postgres.service
}
mv -f "$state/.gaps" "$state/gaps"
# What opens a lost host, which this one cannot read: its sum is beside it.
beside() { of_postgres --repo1-path=/recovery --repo1-cipher-type=none "$@"; }
sealed=$(beside repo-ls --recurse | grep '/state$') || wrong="$wrong sealed-state"
for each in $sealed; do
    [ "$(beside repo-get "$each" | sha256sum | cut -d ' ' -f 1)" = "$(beside repo-get "$each.sha256")" ] || wrong="$wrong sealed-state"
done
# Whether the bucket still loses no version, as the host's own key may ask: where it did once and does no more, somebody has changed that.
asked=$(cat <<'END'
set -u
sum=$(printf '' | sha256sum | cut -d ' ' -f 1)
place=${RESTIC_REPOSITORY#s3:}
printf 'user = "%s:%s"\nheader = "x-amz-content-sha256: %s"\n' "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY" "$sum" |
    curl --silent --max-time 60 --config - --aws-sigv4 "aws:amz:$AWS_DEFAULT_REGION:s3" ${RESTIC_CACERT:+--cacert "$RESTIC_CACERT"} --write-out ' %{http_code}' "${place%/files}?object-lock="
END
)
said=$(entry=sh; run 300 backup-check -c "$asked") || said=' 000'
case $said in
*'<ObjectLockEnabled>Enabled<'*'<Mode>COMPLIANCE<'*' 200')
    touch "$state/locked"
    metric bucket "smarteros_bucket_locked 1"
    ;;
*' 000' | *' 5'??) ;; # it does not answer, which the others say
*)
    metric bucket "smarteros_bucket_locked 0"
    [ ! -e "$state/locked" ] || wrong="$wrong bucket-lock"
    ;;
esac
[ -z "$wrong" ] || fail "the backups are not whole:$wrong"
succeeded check
