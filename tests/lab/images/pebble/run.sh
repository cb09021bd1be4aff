# Without an answer by default, a domain that nobody pointed anywhere fails as it does in public.
pebble-challtestsrv -defaultIPv4 "" -defaultIPv6 "" -dns01 :8053 -http01 "" -https01 "" -tlsalpn01 "" -doh "" &
exec pebble -config /etc/pebble/config.json -dnsserver 127.0.0.1:8053
