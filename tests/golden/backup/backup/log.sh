# Read by what looks at Postgres' log in the bucket. Written by the deploy.

# runs SECONDS: what of the log follows on itself, a line each: its first segment, its last, when that came there, how many are missing
# before it. What the nightly check has found damaged is as good as missing. Names are timeline, log and segment; a log of 4 GiB has as
# many as fit into it. A new timeline goes on where it has left the one before. What came while the bucket was rewound (make bucket-rewind)
# was there at the time that it went back to.
runs() {
    touch "$state/damaged" "$state/rewound"
    size=$(echo "SELECT setting FROM pg_settings WHERE name = 'wal_segment_size';" | sql) &&
        listed=$(docker exec postgres timeout --kill-after=30 "$1" pgbackrest --stanza=main repo-ls --recurse --output=json archive/main) || return
    printf '%s\n' "$listed" | tr '}' '\n' | sed -nE 's,.*/([0-9A-F]{24})-[^/]*"time":([0-9]+).*,\1 \2,p' |
        sort | grep -vFf "$state/damaged" | awk -v size="${size:-16777216}" -v rewound="$(tr '\n' ' ' <"$state/rewound")" '
        BEGIN {many = split(rewound, when, " ")}
        function number(text, i, sum) {
            for (i = 1; i <= length(text); i++) sum = sum * 16 + index("0123456789ABCDEF", substr(text, i, 1)) - 1
            return sum
        }
        function ended() {if (seen) print first, last, came, missing}
        {
            here = number(substr($1, 9, 8)) * (4294967296 / size) + number(substr($1, 17))
            timeline = substr($1, 1, 8)
            lost = timeline == before && here > place + 1 ? here - place - 1 : 0
            if (!seen || lost) {ended(); first = $1; missing = lost}
            before = timeline; place = here; last = $1; came = $2; seen = 1
            for (i = 1; i + 2 <= many; i += 3) if (came >= when[i] - 2 && came <= when[i + 1] + 2 && came > when[i + 2]) came = when[i + 2]
        }
        END {ended()}'
}
