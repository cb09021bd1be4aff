"""Every setting with its default; an inventory's own file (prod.py, staging.py, lab.py) says what differs."""

# Where the services answer: name.zone. Services marked as mirrored answer in mirror_zones too.
zone = "smarterbot.cl"
mirror_zones = ["smarterbot.store"]

# What runs. Order matters only between services of the same phase.
services = [
    "vault",
    "postgres",
    "redis",
    "chatwoot",
    "botpress",
    "n8n",
    "odoo",
    "metabase",
    "mcp-registry",
    "dokploy",
    "vault-auth-validator",
    "caddy",
]

# Docker networks; a container is in smarter-net unless its service's file says more.
networks = ["smarter-net", "tenants-net", "dokploy-network"]
# Where their addresses come from, docker0's, and those of networks that others make: the first range in which nobody
# is whom the host talks to (who is logged in, routes, VPNs, resolvers). A network that exists keeps its own.
network_pools = ["10.207.0.0/16", "172.28.0.0/16", "192.168.208.0/20"]

# Limits, and what the host has to have for what the programs then take: minimum (4 GB for the core, 8 GB for all),
# recommended (12 GB, limits half as high again), production (16 GB, three times as high).
profile = "minimum"

# Swap that a host has to have, with what it has of its own, which stays as it is: a file makes up for what is missing. None:
# 2 on hosts below 8 GB of memory, else 0. Vault's memory never goes there.
swap_gb = None

# What the MCP registry lists: {"name": "io.github.owner/server", "description": …, "version": …, "remote": url}; all but remote
# are required.
mcp_servers = []

# Per service: image, build (a commit or tag of its fork), domain, port (on loopback), guard (only with a Vault
# token), allow_from (only from these networks), public (paths that both leave open), memory_mb, cpus, disk_gb, networks,
# environment (no secret: files and plans show it), health_seconds:
# {"n8n": {"image": "n8nio/n8n:2.30.8", "memory_mb": 2048}}.
overrides = {}

# Repositories of your own that `bash /root/sync-forks.sh` keeps in /root/repos/<service>; an override's build
# names the commit or tag to run: {"chatwoot": {"fork": "https://github.com/SmarterCL/chatwoot.git", "upstream":
# "https://github.com/chatwoot/chatwoot.git", "branch": "main", "dockerfile": "docker/Dockerfile"}}; fork and upstream are required.
forks = {}

# The contact of the account at the certificate authority, which warns of no expiry (Let's Encrypt ended that in June
# 2025: `make verify` shows a certificate that was not renewed), and the login of the services' first admin.
acme_email = None
# Who is told of a deploy's end, a failed drill or backup, drift, a certificate that was not renewed, an outdated image: any of
# {"ntfy": True, "slack": True, "webhook": True, "telegram": {"chat": -1001234567890}, "mail": {"to": ["ops@example.com"]}}. Addresses
# and the bot's token are in Vault: `make give-secrets` asks for them.
notify = None
# Through which server the services send mail: {"host": "smtp.example.com", "user": "ops@example.com", "from":
# "ops@example.com"}; security: "starttls" (port 587), "tls" (465), or "none" at a private address; "port" where it is
# another. The password is in Vault: `make give-secrets` asks for it.
mail = None
# Where backups go, a bucket of any S3 server that `make bucket` sets up: {"endpoint": "https://s3.example.com", "bucket":
# "smarteros-backup", "region": "eu-central-1"}; "root" is a PEM file on this machine where the server's authority is no public one.
backup = None
# Another ACME directory (an internal CA's), and on this machine the PEM file of the root that its server shows.
acme_directory = ""
acme_root = ""
# A PEM file on this machine that the final verification trusts beside the public authorities.
trusted_root = ""

# vault or openbao (same API). An external one: its address here, no "vault" in services, and
# VAULT_TOKEN, or VAULT_ROLE_ID and VAULT_SECRET_ID, in the environment of this machine.
vault_engine = "vault"
vault_address = None
vault_mount = "secret"
# Unseal keys made at the first run, and how many of them unseal.
vault_shares = 5
vault_threshold = 3
# The host unseals its own Vault after a boot, with keys that it keeps encrypted: who is root there, or has its whole
# disk, can read every secret. With False each boot waits for a `make deploy`.
unseal_at_boot = True

# On this machine: unseal keys and the deployer's credential (0600), one folder for each host.
state_dir = "~/.local/state/smarteros"

# A container of another proxy on 80 and 443 whose name or image contains this may be stopped for ours:
# "traefik". Put back when verification fails; later by `bash /root/undo-takeover.sh`.
takeover = ""
# What of Docker's that was there before, with a name of ours, is taken over, and kept: "container:vault" (ours comes in its
# place), "network:tenants-net", "volume:n8n_data" and "folder:/etc/dokploy" (used as they are), "project:chatwoot"
# (ours comes beside it).
adopt = []

# Docker from the distribution's own packages, or from docker.com's apt repository (Debian 12 needs that).
docker_source = "distribution"

# Interfaces that face the world; empty: those that a default route leads through.
wan_interfaces = []
# The other nodes, for what nodes have to say to one another: ["203.0.113.7", "2001:db8:7::/64"].
peers = []
# Of a cluster's node (inventories/cluster.py): where the other nodes reach it, which is for ever; None: where SSH does.
node_address = None
# Of a cluster: whether what containers of different nodes say to one another is encrypted, which each node's kernel has to be able to do.
overlay_encryption = True
# What else the firewall lets in, where a program or container of yours listens: {"port": 8443} to everybody,
# {"port": "6000-6010", "protocol": "udp", "from": ["198.51.100.0/24"]} only from there; also a port that a rule of yours leads
# on to a guest, and protocols without ports: {"protocol": "esp"} (or ah, gre, 6in4, ipip, vrrp, ospf, igmp, pim, a number).
open_ports = []
# Addresses behind this host that the world reaches through it, all of their ports: guests' that are routed or bridged
# (["192.0.2.8/29", "2001:db8:8::/64"]), or one of the host's own that a rule leads on to a guest as a whole.
guests = []

# Who may log in over SSH, with a key only; empty: whoever has a key there, as before.
login_users = []
# By whose keys: {"root": ["ssh-ed25519 AAAA… ana@laptop", 'from="203.0.113.0/24" ssh-ed25519 AAAA… ci']}. For a user who is named here these
# lines let in and no others; everybody else's keys stay as they are.
login_keys = {}
# Keeps what sshd's own files ask beside a key (AuthenticationMethods publickey,keyboard-interactive: a code by PAM). A run
# itself logs in with a key alone: its user needs a Match block there that asks for nothing else.
second_factor = False
# Where people get through this host by SSH (ProxyJump): ["10.0.0.5:22"], or ["*:22"]; the inventory's own hosts need not be named.
jump_to = []
# Lets in only SSH clients that know a key exchange which a quantum computer does not break (OpenSSH 9.0, PuTTY 0.78, few
# libraries) and the host's ed25519 key; what ssh-audit asks for.
strict_ssh = False
# Seconds after which the host takes back a change of sshd, firewall or networks, unless a new SSH connection has come in; 20 to 100.
revert_seconds = 90

# Of every container: a name of the tz database, like America/Santiago.
timezone = "UTC"

# Up to which number what CHANGELOG.md has for an operator to do is done. A deploy to a host that an earlier version of this package made is
# refused with the lines beyond it; a new host has none to do.
acknowledged = 0
