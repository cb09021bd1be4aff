#!/bin/bash
# Gives the web's ports back to the proxy that was here before SmarterOS: bash /root/undo-takeover.sh
# Run twice it does no more than once. The next run with `takeover` set takes over again.
set -eu
umask 077
export DOCKER_HOST=unix:///var/run/docker.sock BUILDX_BUILDER=default DOCKER_CONTEXT= DOCKER_TLS= DOCKER_TLS_VERIFY= DOCKER_API_VERSION= DOCKER_DEFAULT_PLATFORM= DOCKER_CONTENT_TRUST= DOCKER_CUSTOM_HEADERS= DOCKER_BUILDKIT=

state=/opt/smarteros/takeover
if [ ! -s "$state/containers" ]; then
    rm -f "$state/unverified"
    echo "nothing was taken over"
    exit 0
fi

# Ours first: both cannot hold the ports. Its log is kept, since its name may be needed below.
ours=$(docker ps -aq --filter label=smarteros.service=caddy)
for container in $ours; do
    docker logs --tail 1000 "$container" > "$state/proxy.log" 2>&1 || true
    docker stop "$container" > /dev/null
done

# Before the old proxy starts: it may have this file mounted.
case "$(readlink /root/Caddyfile || true)" in
/opt/smarteros/*)
    kept=/var/lib/smarteros/before/files/root/Caddyfile
    if [ -e /root/Caddyfile.before-smarteros ]; then
        mv -T /root/Caddyfile.before-smarteros /root/Caddyfile
        echo "/root/Caddyfile is the old one again"
    elif [ -e "$kept" ] || [ -L "$kept" ]; then
        cp -aT --remove-destination "$kept" /root/Caddyfile
        echo "/root/Caddyfile is the old one again"
    fi
    ;;
esac

failed=0
while IFS='|' read -r id name policy running <&3; do
    now=$(docker inspect --type container --format '{{slice .Name 1}}' "$id" 2> /dev/null || true)
    if [ -z "$now" ]; then
        echo "$name was removed since: it cannot be put back"
        continue
    fi
    if [ "$now" != "$name" ]; then
        # A container of ours that has its name: the next run makes it anew, its data are in volumes.
        for container in $ours; do
            [ "$(docker inspect --format '{{slice .Name 1}}' "$container" 2> /dev/null || true)" != "$name" ] ||
                docker rm "$container" > /dev/null
        done
        docker rename "$id" "$name" || { failed=1; continue; }
    fi
    docker update --restart="$policy" "$id" > /dev/null || failed=1
    if [ "$running" = true ]; then
        docker start "$id" > /dev/null || { failed=1; continue; }
        echo "$name runs again (restart policy $policy)"
    fi
done 3< "$state/containers"

if [ "$failed" = 1 ]; then
    echo "not all of it could be put back: see above, mend it, and run this again" >&2
    exit 1
fi
rm -f "$state/containers" "$state/unverified"
echo "the domains of SmarterOS do not answer until the next run"
