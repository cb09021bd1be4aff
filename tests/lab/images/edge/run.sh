# Hosts ask here, not Docker's 127.0.0.11: that one is a netfilter rule inside the host, gone with `nft flush ruleset`.
# A name without a dot is no public one, and asked of nobody: as many as Caddy asks for while a container is replaced, some answers got lost.
# Domains of the stack lead where Pebble's DNS server was told; Docker knows the lab's own names and the way out.
set -e
pebble=$(getent hosts pebble | cut -d' ' -f1)
dns() { printf -- '--server=/%s/%s#8053 ' "$1" "$pebble"; }
dnsmasq --no-resolv --no-hosts --domain-needed --cache-size=0 --user=root --server=127.0.0.11 \
  $(dns cl) $(dns store) $(dns example) $(dns test)
exec caddy run --config /etc/caddy/Caddyfile
