# What a deployed host is like: lines of kind, name and value with tabs between them. Run on the host.
export LC_ALL=C
tab=$(printf '\t')
whole() { echo "$1$tab$2$tab$(cat | tr '\n\t' '; ')"; }

# Every file of the places where we write or have packages write. ``hash`` follows its path, which is the last field.
places="/etc /opt/smarteros/current/ /root /usr/local /vault"
find $places ! -type d ! -path '/root/.*' -printf 'file\t%p\t%m %u:%g %l\n'
find $places -type f ! -path '/root/.*' -exec sha256sum {} + | sed 's/^\(.\{64\}\)  \(.*\)$/hash\t\2\t\1/'
find /vault /opt/smarteros/current/ -type d -printf 'file\t%p\t%m %u:%g\n'
# How long each replacement took is there after the first one, and a killed deploy is followed by one; what the daily look for drift
# leaves comes at its hour, and what registries have said, and the folder of the first drill. What is in records is each host's own history (tests/test_record.py).
find /opt/smarteros /var/lib/smarteros -mindepth 1 -maxdepth 1 ! -path /var/lib/smarteros/replaced ! -path /var/lib/smarteros/drift \
    ! -path /var/lib/smarteros/outdated ! -path /var/lib/smarteros/metrics ! -path /var/lib/smarteros/restore -printf 'file\t%p\t%m %u:%g\n'

dpkg-query -W -f 'package\t${Package}\t${db:Status-Abbrev}${Version}\n'
cut -d: -f1 /etc/passwd | sed 's/.*/user\t&\tthere/'
cut -d: -f1 /etc/group | sed 's/.*/group\t&\tthere/'
systemctl list-unit-files --no-legend --no-pager | awk '$2 !~ /^(transient|generated)$/ {print "unit\t" $1 "\t" $2}'
for unit in $(cd /etc/systemd/system && ls -d smarteros-*.timer smarteros-firewall.service smarteros-unseal.service) docker.service ssh.service; do
    echo "active$tab$unit$tab$(systemctl is-active "$unit")"
done
systemctl --failed --no-legend --plain | awk '{print "failed\t" $1 "\t" $4}'

nft -s list table inet smarter_fw | whole nft smarter_fw
/usr/sbin/sshd -T 2>/dev/null | sort | awk '{key = $1; $1 = ""; print "sshd\t" key $0 "\tset"}'

docker image ls --format '{{.Repository}}:{{.Tag}}' | grep -v '<none>' | sed 's/.*/image\t&\tthere/'
# Unlike inspect, ls prints labels in no order.
docker network ls -q --filter type=custom |
    xargs -r docker network inspect --format '{{print "network\t" .Name "\t" .Driver " internal=" .Internal " " .Labels}}'
docker volume ls -q | grep -vxE '[0-9a-f]{64}' | while read -r name; do
    echo "volume$tab$name$tab$(docker volume inspect --format '{{.CreatedAt}}' "$name")"
done
docker exec caddy-proxy wget -q -O - http://127.0.0.1:2020/ | whole caddyfile loaded
# Containers that a second one stands in for (tasks/operations/rolling.py).
docker exec caddy-proxy ls /tmp | grep '^second-' | whole caddy stand-ins

psql() { docker exec -i postgres psql -qAtX -F "$tab" -U postgres "$@"; }
psql -d postgres <<'SQL'
SELECT 'role', rolname, concat_ws(' ', 'super', rolsuper, 'createdb', rolcreatedb, 'login', rolcanlogin)
  FROM pg_roles WHERE rolname !~ '^pg_';
SELECT 'database', datname, concat_ws(' ', pg_get_userbyid(datdba),
  (SELECT string_agg(item::text, ' ' ORDER BY item::text) FROM unnest(datacl) AS item)) FROM pg_database;
SQL
psql -d postgres -c 'SELECT datname FROM pg_database WHERE datallowconn' | while read -r name; do
    psql -d "$name" -c "SELECT 'extension', '$name/' || extname, extversion FROM pg_extension" </dev/null
done
true
