"""Redis: queues and cache, append-only, never evicting (queues must not lose jobs)."""

from tasks.model.catalogue import Container, End, Health, Secret, Service, Size, Upstream, Volume
from tasks.model.stack import Stack

CONFIG = "/etc/redis-config/redis.conf"
# What each client's user may.
RIGHTS = "~* &* +@all -@admin -flushall -swapdb"
_IN_SED = RIGHTS.replace("&", r"\&")

# The image reads no password from the environment. A here-document keeps it out of the process list,
# hexadecimal keeps whatever it holds one word of the configuration (and out of the log, which shows a
# line that cannot be read), and exec keeps redis-server the process that gets the signals.
_START = rf"""password=$(printf %s "$REDIS_PASSWORD" | od -An -v -tx1 | tr -d ' \n' | sed 's/../\\x&/g')
exec redis-server {CONFIG} - <<EOF
requirepass "$password"
$(env | sed -n 's/^REDIS_USER_\([a-z0-9]*\)=\([0-9a-f]*\)$/user \1 on #\2 {_IN_SED}/p')
EOF"""
# A replica takes writes from nobody, and another's data for its own.
_HEALTHY = r"""printf 'ping\nrole\n' | REDISCLI_AUTH="$REDIS_PASSWORD" redis-cli | tr '\n' ' ' | grep -q '^PONG master '"""


def describe(stack: Stack) -> Service:
    """One server; every client has a user of its own (see tasks/secrets.py for REDIS_USER_…)."""
    return Service(
        name="redis",
        title="Redis",
        phase="data",
        role="data",
        secrets=(Secret("REDIS_PASSWORD"),),
        upstream=(
            Upstream(
                "redis",
                "https://github.com/redis/redis/releases/tag/{version}",
                ends=(End("7.4", "2029-12-01", "https://endoflife.date/redis", "2026-08-22"),),
            ),
        ),
        containers=(
            Container(
                name="redis",
                # The newest patch of 7.4 in public use, November 2026.
                image="redis:7.4.11-alpine",
                user="redis",
                command=("sh", "-c", _START),
                env_file=True,
                files={"redis": CONFIG.rpartition("/")[0]},
                volumes=(
                    Volume(
                        "redis_data",
                        "/data",
                        backup="redis",
                        adopted="its keys are loaded, and those of a newer Redis do not start",
                    ),
                ),
                health=Health(("sh", "-c", _HEALTHY)),
                # The real Redis 8, beside Chatwoot's double: 9 MB in the lab, 12 at its peak; real queues and caches take more.
                size=Size(memory_mb=256, cpus=0.5, disk_gb=1, used_mb=50, image_gb=0.1),
                stop_seconds=30,
            ),
        ),
    )
