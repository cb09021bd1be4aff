"""Effects: what an operation notes of what it is about to do, while a run is planned. Text is what it says of it."""

from dataclasses import dataclass, field

WAITED = "waited for"


@dataclass(frozen=True)
class File:
    """A file of the host gets this text; None: it goes. before: SHA-256 of what is there, empty for nothing."""

    path: str
    after: str | None
    before: str = ""


@dataclass(frozen=True)
class EnvFile:
    """The service's env file gets this text, which nobody may see."""

    path: str
    service: str
    after: str = field(repr=False)
    before: str = ""


@dataclass(frozen=True)
class Start:
    """A container. how: ``made``, ``made anew``, ``started``, ``run`` (a job) or ``waited for``. held: visitors of its service wait
    meanwhile. before, image: what it runs, and what it will run, of an image of ours what that is built on. rolls: a second one answers
    them meanwhile. short: it could, were there the memory for it, in words. away: it answers nobody now. These change from one moment to
    the next, and make no other plan.
    """

    service: str
    container: str
    how: str
    why: str
    held: bool = False
    image: str = ""
    before: str = ""
    rolls: bool = field(default=False, compare=False)
    short: str = field(default="", compare=False)
    away: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class Gone:
    """A container that goes."""

    service: str
    container: str


@dataclass(frozen=True)
class Pull:
    """An image that is not there yet."""

    image: str


@dataclass(frozen=True)
class DockerRestart:
    """All containers stop with Docker. others: those that are not ours; stays: of them those that do not come back by themselves."""

    others: tuple[str, ...] = ()
    stays: tuple[str, ...] = ()


@dataclass(frozen=True)
class Earlier:
    """The service's databases and files are as they were at a time: it stops while they change places, and starts on them."""

    service: str


@dataclass(frozen=True)
class Network:
    """One that is made anew: its containers are cut off meanwhile. moved: ours are together in another one before, and need not be made
    anew to reach one another.
    """

    name: str
    moved: bool = False


@dataclass(frozen=True)
class Lost:
    """Data that the service does not have afterwards."""

    what: str


@dataclass(frozen=True)
class Ends:
    """What the host does no more afterwards, and what that means."""

    what: str


Effect = str | File | EnvFile | Start | Gone | Pull | DockerRestart | Network | Earlier | Lost | Ends


@dataclass(frozen=True)
class Step:
    """An operation that would change something, by its name."""

    name: str
    effects: tuple[Effect, ...] = ()
