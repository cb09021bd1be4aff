"""Login keys: what a user's files of keys have to be, what speaks against it, and what it means for who logs in. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from tasks.facts.login_keys import KeyFile, Login, LoginKeys
from tasks.model import login_keys
from tasks.model.effects import File
from tasks.model.login_keys import Key

# What programs of a provider's write beside the keys that they keep there.
_AGENTS = {
    "# Added by Google": "Google's guest agent (the keys are in the project's and the instance's metadata)",
    "Managed by DigitalOcean": "DigitalOcean's droplet-agent",
}


@dataclass(frozen=True)
class Wanted:
    """A user's. ours: the file that login_keys is; others: more that sshd reads for this user alone, and that go."""

    user: str
    login: Login
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """Of our file."""
        return login_keys.text(self.lines)

    @property
    def keys(self) -> tuple[Key, ...]:
        """Those that let in afterwards."""
        return tuple(map(login_keys.key, self.lines))

    @property
    def ours(self) -> KeyFile:
        """The first that is nobody else's."""
        return next(item for item in self.login.files if not item.shared)

    @property
    def others(self) -> tuple[KeyFile, ...]:
        """With something in them."""
        own = [item for item in self.login.files if not item.shared and item.path != self.ours.path]
        return tuple(item for item in own if (item.text or "").strip())

    @property
    def before(self) -> dict[tuple[bytes, bool], Key]:
        """Those that let in now, by files that are the user's."""
        texts = [item.text or "" for item in (self.ours, *self.others)]
        return {key.who: key for text in texts for key in login_keys.keys(text)}

    @property
    def goes(self) -> tuple[Key, ...]:
        """Those that do not any more."""
        stays = {key.who for key in self.keys}
        return tuple(key for who, key in self.before.items() if who not in stays)

    def owner(self, file: KeyFile) -> str:
        """Whose it is: outside the home it is root's, and everybody may read it, since sshd does so with the user's rights."""
        return self.user if _home(self.login, file.path) else "root"

    @property
    def mode(self) -> str:
        """Of our file."""
        return "600" if self.owner(self.ours) == self.user else "644"

    @property
    def folder(self) -> str:
        """The one of our file, where it is in the home and for keys alone."""
        return _folder(self.login, self.ours)

    @property
    def right(self) -> bool:
        """Whether there is nothing to do."""
        number = self.login.number if self.owner(self.ours) == self.user else "0"
        have = [(self.ours.mode, self.ours.owner)]
        have += [(item.mode, item.owner) for item in self.ours.folders[:1] if self.folder]
        wanted = ((self.mode, number), ("700", number))
        shut = [(mode, owner.split(":")[0]) for mode, owner in have] == [*wanted[: len(have)]]
        return self.ours.text == self.text and shut and not self.others


def _home(login: Login, path: str) -> bool:
    return path.startswith(f"{login.home.rstrip('/')}/")


def _folder(login: Login, file: KeyFile) -> str:
    folder = file.path.rpartition("/")[0]
    return folder if _home(login, folder) else ""


def wanted(users: Mapping[str, Sequence[str]], found: LoginKeys) -> Iterator[Wanted]:
    """Of those of whom nothing speaks against it."""
    for user, lines in sorted(users.items()):
        if user in found.users and any(not item.shared for item in found.users[user].files):
            yield Wanted(user, found.users[user], tuple(lines))


def problems(users: Mapping[str, Sequence[str]], found: LoginKeys, host: str) -> Iterator[str]:
    """Why a user's keys cannot be these, each with what to do. Pure."""
    for user in sorted(users.keys() - found.users.keys()):
        yield f"login_keys.{user}: there is no such user on {host}: see how it is written, make it (adduser {user}), or take it out"
    paths: dict[str, str] = {}
    for user, login in sorted(found.users.items()):
        own = [item for item in login.files if not item.shared]
        if not own:
            named = ", ".join(item.path for item in login.files) or "no file"
            yield (
                f"login_keys.{user}: sshd reads {named} for this user, and no file that is this user's alone: have AuthorizedKeysFile name "
                ".ssh/authorized_keys there, or take the user out of login_keys"
            )
        for item in own:
            if (other := paths.setdefault(item.real, user)) != user:
                yield f"login_keys.{user}: {item.path} is read for {other}, too: give each a home of their own"
            yield from _unfit(user, login, item)


def _unfit(user: str, login: Login, item: KeyFile) -> Iterator[str]:
    """What sshd would turn away (StrictModes), or nobody knows who else stands on."""
    inside = _home(login, item.path)
    straight = (
        f"{login.base.rstrip('/')}/{item.path[len(login.home.rstrip('/')) + 1 :]}" if inside else item.path
    )
    if item.real != straight:
        yield (
            f"login_keys.{user}: {item.path} leads to {item.real}, which others may write or read as well (a cluster's, a provider's): put a "
            f"file in its place (cp --remove-destination {item.real} {item.path}), or take the user out of login_keys"
        )
        return
    if inside and login.base not in {folder.path for folder in item.folders}:
        yield f"login_keys.{user}: the home {login.home} is not there: make it, the user's own"
        return
    # The folder of keys is put right by the change itself.
    for folder in (
        item.folders[1:] if _folder(login, item) in {one.path for one in item.folders[:1]} else item.folders
    ):
        if int(folder.mode, 8) & 0o022 or folder.owner.split(":")[0] not in ("0", login.number):
            yield (
                f"login_keys.{user}: {folder.path} is mode {folder.mode} of {folder.owner}, and where others can write sshd takes no key: "
                f"chown {user if inside else 'root'} {folder.path}; chmod go-w {folder.path}"
            )


def meant(item: Wanted) -> Iterator[str]:
    """What it means for who logs in. Pure."""
    user, there = item.user, item.before
    for key in item.goes:
        yield f"login_keys.{user}: goes: {key}: who has only this one cannot log in as {user} any more"
    for key in item.keys:
        if key.who not in there:
            yield f"login_keys.{user}: comes: {key}: who has it logs in as {user}"
        elif key.options != there[key.who].options:
            yield f"login_keys.{user}: has other options: {key}"
    for other in item.others:
        yield f"login_keys.{user}: {other.path} goes, which sshd reads as well"
    if item.goes:
        yield f"login_keys.{user}: sessions that are open live on, and those that a key that goes has opened are named at the end"


def warnings(item: Wanted) -> Iterator[str]:
    """Ways that stay, and who else writes there. Pure."""
    ways = [
        f"AuthorizedKeysFile {file.path}"
        for file in item.login.files
        if file.shared and (file.text or "").strip()
    ]
    ways += item.login.elsewhere
    if ways:
        yield f"login_keys.{item.user}: sshd lets in as {item.user} by other ways, too, which stay as they are: {', '.join(ways)}"
    for mark, name in _AGENTS.items():
        if mark in (item.ours.text or ""):
            yield f"login_keys.{item.user}: {name} writes into {item.ours.path}, too, and would put back what goes: take the keys out there as well"


def effects(item: Wanted) -> Iterator[File]:
    """What is written, for a plan."""
    for file, text in ((item.ours, item.text), *((other, None) for other in item.others)):
        before = "" if file.text is None else sha256(file.text.encode()).hexdigest()
        yield File(file.path, text, before)


def paths(item: Wanted) -> list[str]:
    """Every file that is ours."""
    return [file.path for file in item.login.files if not file.shared]
