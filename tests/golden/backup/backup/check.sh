#!/bin/sh
# Lets go of what is too old, and reads what is there: all of the log's sums, and of the files a part each night.
. /opt/smarteros/current/backup/lib.sh

wrong=
let_go() (
    alone
    repository 1700 backup-check "$@"
)
let_go forget --quiet --keep-within 1d --keep-within-hourly 2d --keep-daily 14 --keep-weekly 8 --keep-monthly 6 || wrong="$wrong forget"
# What nobody needs any more goes in steps, each shorter than the others wait, which go on in between, until what stays is what restic tolerates.
steps=0 unused=100
while [ "${unused:-0}" -gt 5 ] && [ $steps -lt 20 ]; do
    [ $steps = 0 ] || sleep 60
    said=$(let_go prune --max-repack-size 512M) || { wrong="$wrong prune"; said=; }
    unused=$(printf '%s\n' "$said" | sed -n 's/^unused size after prune:.*(\([0-9]*\).*/\1/p')
    steps=$((steps + 1))
done
of_postgres() { docker exec postgres timeout --kill-after=30 14400 pgbackrest --stanza=main "$@"; }
# It ends with 0 whatever it has found, and says that all is well only when it is to say everything.
said=$(of_postgres verify --output=text --verbose 2>&1)
printf '%s\n' "$said" | grep -q 'status: ok' || {
    printf '%s\n' "$said" | tail -n 20 >&2
    wrong="$wrong pgbackrest-verify"
}
# What says where everything is stands there twice, and verify is content with either. A backup that begins now writes one after the other.
described=$(of_postgres repo-ls --recurse backup/main) || wrong="$wrong descriptions"
described=$(printf '%s\n' "$described" | grep -E '(^|/)backup\.(info|manifest)$' | sed 's,^,backup/main/,')
differs=$(docker exec postgres timeout --kill-after=30 3600 sh -c '
    of() { pgbackrest --stanza=main repo-get "$1" | sha256sum; }
    for each; do [ "$(of "$each")" = "$(of "$each.copy")" ] || { sleep 10; [ "$(of "$each")" = "$(of "$each.copy")" ]; } || echo "$each"; done
' sh archive/main/archive.info $described 2>&1) && [ -z "$differs" ] || {
    echo "damaged, this or its .copy: $differs" >&2
    wrong="$wrong descriptions"
}
# A segment that is not there is not missed by it. Names are timeline, log and segment; a log of 4 GiB has as many as fit into it.
# What is before the newest backup that needs none before it costs seconds to come back to, and no restore of what is newest.
size=$(echo "SELECT setting FROM pg_settings WHERE name = 'wal_segment_size';" | sql) && said=$(of_postgres repo-ls --recurse archive/main) &&
    from=$(of_postgres info --output=json | grep -oE '"archive":\{"start":"[0-9A-F]{24}"|"label":"[0-9]{8}-[0-9]{6}F"' |
        awk -F '"' '/archive/ {start = $(NF - 1)} /label/ {full = start} END {print full}') || wrong="$wrong log"
printf '%s\n' "$said" | sort | awk -v size="${size:-16777216}" -v from="$from" '
    function number(text, i, sum) {
        for (i = 1; i <= length(text); i++) sum = sum * 16 + index("0123456789ABCDEF", substr(text, i, 1)) - 1
        return sum
    }
    {sub(/.*\//, ""); name = $0; sub(/-.*/, "", name)}
    length(name) == 24 && name !~ /[^0-9A-F]/ && $0 ~ /-/ {
        here = number(substr(name, 9, 8)) * (4294967296 / size) + number(substr(name, 17))
        timeline = substr(name, 1, 8)
        if (timeline == before && here > last + 1) {
            gap = sprintf("the log has a gap before %s: %d segments are missing", name, here - last - 1)
            if (name > from) {print gap; gaps++} else print gap ", behind which a full backup was made" >"/dev/stderr"
        }
        before = timeline; last = here; seen++
    }
    END {exit gaps || !seen}' >"$state/.gaps" || wrong="$wrong log"
cat "$state/.gaps" >&2
# Nothing is replayed past a gap: behind one that is new a backup begins anew at once.
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
day=$(date +%d)
run 14400 backup-check check --quiet --no-lock --read-data-subset "$(((${day#0} - 1) % 28 + 1))/28" || wrong="$wrong restic-check"
[ -z "$wrong" ] || fail "the backups are not whole:$wrong"
succeeded check
