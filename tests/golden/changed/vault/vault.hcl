# Reached on the host's loopback and on smarter-net only; TLS towards the world is Caddy's.
ui = false
disable_mlock = true
api_addr = "http://vault:8200"
cluster_addr = "http://vault:8201"

listener "tcp" {
  address     = "0.0.0.0:8200"
  tls_disable = true
}

storage "raft" {
  path    = "/vault/file"
  node_id = "vault"
}

telemetry {
  prometheus_retention_time = "24h"
  disable_hostname          = true
}
