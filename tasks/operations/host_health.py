"""Host health: what is wrong with the host itself, its certificates and what stands between it and the world, with what to do;
and what is worth knowing, though nothing is wrong yet. Pure.
"""

from collections.abc import Collection, Iterable, Iterator

from tasks.facts import Room, Status
from tasks.facts.access import TABLE
from tasks.facts.inside import LOOK
from tasks.facts.last_run import Deploy
from tasks.facts.rooms import FULL
from tasks.facts.unsealer import NAME
from tasks.model.catalogue import Service
from tasks.model.objects import replacement
from tasks.model.targets import target
from tasks.model.words import ago
from tasks.operations import cut_short, engine, postgres, rules
from tasks.rendering import backup_files, restore_files
from tasks.rendering.render import CURRENT

_LEAST_MB = 1024
# Of its lifetime. Caddy renews at a third: the half of the time that it has for that is over.
_LATE = 1 / 6
_MOST_MEMORY, _LEAST_MEMORY = 92, 8


def machine_problems(found: Status, chosen: Iterable[Service]) -> Iterator[str]:
    """What is wrong with the host itself, and with Postgres for all that use it, with what to do. Pure."""
    yield from postgres.wrong(found.shut, chosen)
    for room in found.rooms:
        if said := _full(room):
            yield f"disk: {room.path} {said}: `docker system df` and `du -xh --max-depth 2 {room.path}` say what takes it"
    if found.unasked:
        yield f"docker exec: cannot start a program in a container, so that what only they know is not known: {found.unasked}: {LOOK}"
    if found.course.gone:
        yield f"files: those of the active generation are gone ({CURRENT} leads nowhere): {target('deploy')} writes them anew"
    if cut_off := [name for name in found.outbound.cut_off if _networked(found, name)]:
        yield (
            f"network: {', '.join(cut_off)}: no way out, where the host itself reaches {found.outbound.to}: "
            f"a firewall is in between (`nft list ruleset`); {target('deploy')} has Docker write its rules anew"
        )
    yield from engine.masked(found.off)
    yield from (_off(unit, how) for unit, how in found.off.items() if not _said(unit, how))
    for unit in found.units:
        if backup_files.is_ours(unit) or restore_files.is_ours(unit):
            continue  # it has left a note
        if unit == f"{NAME}.service":
            yield f"{unit}: is not active, so Vault would stay sealed after a boot: {target('deploy')} mends it"
        else:
            yield f"{unit}: has failed: see `journalctl -u {unit}`; {target('deploy')} sets it up again"


def _said(unit: str, how: str) -> bool:
    """Whether it is said elsewhere: what nobody may start, and timers of backups and restores that stand still."""
    if how == "stopped":
        return backup_files.is_ours(unit) or restore_files.is_ours(unit)
    return how == "masked" and not unit.startswith("smarteros-")


def _off(unit: str, how: str) -> str:
    does = "does nothing" if unit.endswith(".timer") else "does not start at boot"
    return f"{unit}: is {how}, so that it {does}: {target('deploy')} sets that right"


def _networked(found: Status, name: str) -> bool:
    """Whether it is in a network at all; of one that is not, its own line says so (container_health.py)."""
    return name not in found.containers or found.containers[name].usage.networks != ()


def firewall_problems(found: Status, names: Iterable[str]) -> Iterator[str]:
    """What is gone of what stands between the world and the host, with what to do. names: of our networks. Pure."""
    if found.table:
        what = "is gone" if found.table == "gone" else f"was changed (`nft list table {TABLE}` shows it)"
        yield f"firewall: our table {what}, so that the world may reach what listens on the host: {target('deploy')} loads it"
    anew = f"(a flush?): {target('deploy')} has Docker write them anew, which restarts it"
    if lost := rules.missing(found.networks, names):
        yield f"firewall: Docker's rules for {', '.join(lost)} are gone {anew}"
    elif idle := rules.idle(found.networks):
        yield f"firewall: Docker's rules that lead to {', '.join(idle)} are gone {anew}"


def _full(room: Room) -> str:
    if room.free_mb < _LEAST_MB:
        return f"is {room.used} % full, {room.free_mb} MB are free"
    return f"has room for no more files ({room.files_used} % used)" if room.files_used >= FULL else ""


def certificate_problems(found: Status, domains: Iterable[str]) -> Iterator[str]:
    """What visitors are warned of, or will be soon. Pure."""
    for name in domains:
        certificate = found.certificates.get(name)
        if certificate is None:
            continue
        left = certificate.until - found.clock
        if left < _LATE * (certificate.until - certificate.since):
            said = (
                f"ends in {ago(int(left))}, and was not renewed"
                if left > 0
                else f"has ended {ago(int(-left))} ago"
            )
            yield (
                f"certificate: that of {name} {said}: `docker logs caddy-proxy` says why; the domain has to lead here, and port 80 "
                "to be open to the world"
            )


def notices(found: Status, chosen: Collection[Service], domains: Iterable[str]) -> Iterator[str]:
    """What should not stay so. Nothing is down for it. Pure."""
    left = cut_short.known(found.course.cut_short, [service.name for service in chosen])
    yield from cut_short.lines(left)
    if found.course.deploy and found.course.deploy not in left:
        yield from _deploy(found.course.deploy, found.clock)
    if found.course.reboot:
        packages = f" ({', '.join(found.course.packages)})" if found.course.packages else ""
        yield (
            f"reboot: is due for {ago(int(found.clock - found.course.reboot))}{packages}: `systemctl reboot` in a quiet hour, "
            "everything comes back by itself"
        )
    if differ := found.drift.differences:
        names = ", ".join(f"{item.kind} {item.name}" for item in differ[:5])
        more = f" and {len(differ) - 5} more" if len(differ) > 5 else ""
        yield (
            f"drift: {names}{more}: not as the last deploy made them: {target('drift')} says what and since when, "
            f"{target('deploy')} makes good what it can"
        )
    for channel, why in found.untold.items():
        yield (
            f"notify: {channel} takes nothing, so nobody is told there: {why}: {target('give-secrets')} writes another address, "
            f"{target('test-notify')} tries it"
        )
    memory = found.memory
    if memory.available_mb * 100 < memory.total_mb * _LEAST_MEMORY:
        yield f"memory: {memory.available_mb} of {memory.total_mb} MB are left: the table says who has it; a host with more, or fewer services"
    for service in chosen:
        yield from _tight(service, found)
    if found.docker and (bare := [name for name in domains if name not in found.certificates]):
        yield f"certificate: none yet for {', '.join(bare)}: {target('verify')} says why"


def _deploy(last: Deploy, clock: float) -> Iterator[str]:
    if last.result in ("failed", "interrupted"):
        how = "has failed" if last.result == "failed" else "was interrupted"
        at = f' at "{last.at}"' if last.at else ""
        who = f"{last.operator}, {ago(int(clock - (last.ended or last.started)))} ago"
        about = last.about or "…"
        goes_on = {
            "rotate": f"{target(f'rotate SERVICE={about}')} once more ends it, and proves the old passwords refused",
            "rollback": f"{target(f'rollback TO={about}')} once more ends it, {target('deploy')} leads forward again",
            "update": f"{target(f'update SERVICE={about}')} once more ends it, there or back",
        }.get(last.command, f"{target('deploy')} goes on, and says what is in its way")
        yield f"{last.command}: the last one ({who}) {how}{at}: {goes_on}"


def _tight(service: Service, found: Status) -> Iterator[str]:
    for container in service.containers:
        standing = found.containers.get(container.name) or found.containers.get(replacement(container.name))
        if (
            standing
            and (usage := standing.usage).limit_mb
            and usage.used_mb * 100 > usage.limit_mb * _MOST_MEMORY
        ):
            yield (
                f"memory: {container.name} has {usage.used_mb} of the {usage.limit_mb} MB that it may have: give it more "
                f"(overrides.{service.name}.memory_mb), then {target('deploy')}"
            )
