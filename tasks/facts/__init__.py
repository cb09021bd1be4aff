"""What the host is, in few, wide facts: each is one remote command and works where Docker is absent.

Every command ends with status 0 and prints one record a line; ``process`` is pure and raises
FactProcessError for output that no host prints.
"""

from tasks.facts.backups import Backups, BackupsFact
from tasks.facts.bridges import NetworkState
from tasks.facts.containers import ContainerState
from tasks.facts.docker import DockerFact, DockerState
from tasks.facts.drift import DriftFact
from tasks.facts.files import FileState, TreeFact
from tasks.facts.host import HostFact, HostState
from tasks.facts.leftovers import LinksFact
from tasks.facts.machine import Machine, MachineFact
from tasks.facts.objects import Other, VolumeState
from tasks.facts.outbound import Outbound
from tasks.facts.postgres import PostgresFact, PostgresState
from tasks.facts.proxy import LoadedCaddyfileFact, ProxyTroubleFact
from tasks.facts.recovering import RecoveringFact
from tasks.facts.redis import RedisFact, RedisState
from tasks.facts.rooms import Room
from tasks.facts.status import Standing, Status, StatusFact
from tasks.facts.takeover import Foreign, TakeoverFact, TakeoverState

__all__ = [
    "Backups",
    "BackupsFact",
    "ContainerState",
    "DockerFact",
    "DockerState",
    "DriftFact",
    "FileState",
    "Foreign",
    "HostFact",
    "HostState",
    "LinksFact",
    "LoadedCaddyfileFact",
    "Machine",
    "MachineFact",
    "NetworkState",
    "Other",
    "Outbound",
    "PostgresFact",
    "PostgresState",
    "ProxyTroubleFact",
    "RecoveringFact",
    "RedisFact",
    "RedisState",
    "Room",
    "Standing",
    "Status",
    "StatusFact",
    "TakeoverFact",
    "TakeoverState",
    "TreeFact",
    "VolumeState",
]
