"""Usage: how much memory the host and each container of ours take, and what they may; asked within StatusFact."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_MB = 1024 * 1024


@dataclass(frozen=True)
class Memory:
    """The host's own, in MB; available: what programs could still get."""

    total_mb: int = 0
    available_mb: int = 0
    swap_mb: int = 0
    swap_free_mb: int = 0


@dataclass(frozen=True)
class Usage:
    """One container's: the image that it is made from, MB in use without what is only cached, and MB that it may have
    (0: no limit); the networks that it is in, None where nobody knows. used_mb: 0 where it does not run.
    """

    image: str = ""
    used_mb: int = 0
    limit_mb: int = 0
    networks: tuple[str, ...] | None = None


MEMORY = r"""
awk '{sub(/:/, "", $1); kb[$1] = $2} END {print "memory", kb["MemTotal"], kb["MemAvailable"], kb["SwapTotal"], kb["SwapFree"]}' /proc/meminfo
""".strip()

# A second line of ``docker inspect``, for each container.
FORMAT = (
    r'{{"\n"}}limit {{slice .Name 1}} {{.State.Pid}} {{.HostConfig.Memory}} {{.Config.Image}}|'
    "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}"
)

# found: what ``docker inspect`` has said. Not by ``docker stats``, which takes two seconds. Both kinds of cgroups:
# which path is whose, the process itself says.
QUESTION = r"""
printf '%s\n' "$found" | awk '
    function number(file, key, line, part, value) {
        while ((getline line < file) > 0) {split(line, part); if (key == "" || part[1] == key) value = key == "" ? part[1] : part[2]}
        close(file)
        return value + 0
    }
    $1 == "limit" && $3 {
        folder = ""; old = 0
        while ((getline line < ("/proc/" $3 "/cgroup")) > 0) {
            split(line, part, ":")
            path = substr(line, length(part[1]) + length(part[2]) + 3)
            if (("," part[2] ",") ~ /,memory,/) {folder = "/sys/fs/cgroup/memory" path; old = 1}
            else if (part[1] == 0 && !old) folder = "/sys/fs/cgroup" path
        }
        close("/proc/" $3 "/cgroup")
        all = number(folder (old ? "/memory.usage_in_bytes" : "/memory.current"), "")
        idle = number(folder "/memory.stat", old ? "total_inactive_file" : "inactive_file")
        if (all) printf "used %s %.0f\n", $2, (all > idle ? all - idle : 0)
    }'
""".strip()


def memory(values: Mapping[str, Sequence[str]]) -> Memory:
    """The host's. Raises ValueError for no number."""
    for line in values.get("memory", ()):
        total, available, swap, free = (int(kb) // 1024 for kb in line.split())
        return Memory(total, available, swap, free)
    return Memory()


def usage(values: Mapping[str, Sequence[str]]) -> dict[str, Usage]:
    """Container → Usage. Raises ValueError for a line that is cut."""
    used = {name: int(size) for name, size in (line.split() for line in values.get("used", ()))}
    found = {}
    for line in values.get("limit", ()):
        name, _, limit, rest = line.split(" ", 3)
        image, bar, networks = rest.partition("|")
        # At least 1 where it runs.
        size = -(-used.get(name, 0) // _MB)
        found[name] = Usage(image, size, int(limit) // _MB, tuple(sorted(networks.split())) if bar else None)
    return found
