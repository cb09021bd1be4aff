# Who is in which network, stopped containers too: a line for each, "network id alias alias …".
members() {
    docker ps -aq --no-trunc | xargs -r docker inspect --format \
        '{{$id := .ID}}{{range $name, $network := .NetworkSettings.Networks}}{{println $name $id (join $network.Aliases " ")}}{{end}}' 2>/dev/null || true
}
# The network goes, its containers stay.
gone() {
    docker network inspect "$1" >/dev/null 2>&1 || return 0
    members | while read -r network id aliases; do
        [ "$network" != "$1" ] || docker network disconnect --force "$1" "$id" </dev/null || true
    done
    for name in $(docker network inspect --format '{{range .Containers}}{{.Name}} {{end}}' "$1"); do
        docker network disconnect --force "$1" "$name" || true
    done
    docker network rm "$1" >/dev/null
}
# Who was in it, as the file of members says, is in it again. Compose's containers know one of their networks by its number, and are
# taken into no other once that is gone (moby 26.1: "could not find a network matching network mode"): who made them makes them anew.
joined() {
    while read -r network id aliases; do
        [ "$network" = "$1" ] && there=$(docker inspect --format "{{with index .NetworkSettings.Networks \"$1\"}}there{{end}}" "$id" 2>/dev/null </dev/null) || continue
        [ -z "$there" ] || continue
        words=
        for alias in $aliases; do words="$words --alias $alias"; done
        docker network connect $words "$1" "$id" </dev/null || true
    done <"$2"
}
