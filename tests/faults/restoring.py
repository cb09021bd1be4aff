"""Restoring: `restore` and `restore-undo` of n8n are killed at point after point; what a re-run ends with, and what is there meanwhile."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tasks.commands import restore
from tasks.services import load
from tests.e2e.backed import Backed
from tests.e2e.deployment import Deployment, Run
from tests.faults.script import Script
from tests.lab import smarteros

NOW, RESTORE, UNDO = (f"tasks.commands.{name}.run" for name in ("backup", "restore", "restore_undo"))
_GIVEN = ("TARGET", "UNTIL", "LABEL", "BEFORE", "AFTER", "KEEP_FILES")
_VOLUME = "/var/lib/docker/volumes/n8n_data"
# By what no rename changes: n8n's databases and folders, and what is kept.
_LOOK = f"""
docker exec postgres psql -qAtX -F ' ' -U postgres -d postgres -c "SELECT oid, datname FROM pg_database WHERE datname ~ '^n8n'"
stat -c '%i %n' {_VOLUME}/_data*
ls /var/lib/smarteros/restore/kept | sed 's/^n8n/kept n8n/'
docker ps -a --format '{{{{.Names}}}}' | sed -n 's/^restored-/left &/p'
ls -d /var/lib/smarteros/restore/{{postgres,files}} 2>/dev/null | sed 's/^/left /'
true
"""
# Whatever only stands while a run is at work, or what is of no use any more.
LEFT = f"""
docker ps -a --format '{{{{.Names}}}}' | grep restored- || true
ls -d {_VOLUME}/_data.restored* /var/lib/smarteros/restore/{{postgres,files,*.journal*,*.begun}} 2>/dev/null || true
docker volume ls --quiet | grep -E 'restored|drill' || true
docker exec postgres psql -qAtX -U postgres -d postgres -c "SELECT datname FROM pg_database WHERE datname LIKE '%\\_new'"
"""


@dataclass(frozen=True)
class Data:
    """n8n's databases by their oid, folders of its volume by their inode, and the stamps of what is kept.

    left: what only stands while a run is at work.
    """

    databases: dict[str, str]
    folders: dict[str, str]
    kept: set[str]
    left: tuple[str, ...] = ()

    @classmethod
    def of(cls, host: Deployment) -> "Data":
        """As they are now."""
        lines = [line.split(" ", 1) for line in host.sh(_LOOK).splitlines()]
        return cls(
            {key: name for key, name in lines if key.isdecimal() and name.startswith("n8n")},
            {key: name.rpartition("/")[2] for key, name in lines if key.isdecimal() and name[0] == "/"},
            {name.rpartition(".")[2] for key, name in lines if key == "kept"},
            tuple(name for key, name in lines if key == "left"),
        )

    def present(self) -> tuple[str, str]:
        """The database and the folder that n8n uses."""
        [database] = [key for key, name in self.databases.items() if name == "n8n"]
        [folder] = [key for key, name in self.folders.items() if name == "_data"]
        return database, folder

    def has(self, data: tuple[str, str]) -> bool:
        """Whether these are there, under their name or put aside."""
        database, folder = self.databases.get(data[0], ""), self.folders.get(data[1], "")
        return (database == "n8n" or database.startswith("n8n_before_")) and (
            folder == "_data" or folder.startswith("_data.before_")
        )


class Restoring:
    """A host on which n8n had other rows and files at ``moment`` than it has now."""

    def __init__(self, backed: Backed, chance: Random, one_in: int = 1) -> None:
        self.backed, self.host = backed, backed.host
        self.script = Script(backed.host, restore.UNIT, chance, one_in)
        self._service = next(item for item in load(smarteros.settings()) if item.name == "n8n")
        self._holds("then")
        made = backed.run(NOW)
        assert made.code == 0, made.output[-6000:]
        self.moment = self.sql("SELECT clock_timestamp()")
        time.sleep(0.1)
        self._holds("now")
        self.now = Data.of(self.host).present()

    def sql(self, statement: str) -> str:
        """In n8n's database."""
        return self.host.sh(
            f'docker exec postgres psql -qAtX -v ON_ERROR_STOP=1 -U postgres -d n8n -c "{statement}"'
        ).strip()

    def _holds(self, word: str) -> None:
        self.sql(f"DROP TABLE IF EXISTS word; CREATE TABLE word AS SELECT '{word}' AS word")
        self.host.sh(
            f"echo {word} >{_VOLUME}/_data/word; chown --reference={_VOLUME}/_data {_VOLUME}/_data/word"
        )

    def command(self, deploy: str) -> Run:
        """As an operator runs it."""
        words = {"SMARTEROS_RESTORE": "n8n", "TO": self.moment if deploy == RESTORE else ""}
        return self.backed.run(deploy, words)

    def restored(self) -> int:
        """Killed wherever the script is to be; the last run by the command. How often it was killed."""
        many = self._chain(RESTORE, lambda found: found.has(self.now))
        self._is("then")
        return many

    def undone(self) -> int:
        """Likewise: both what came and what went are there all the time."""
        then = Data.of(self.host).present()
        many = self._chain(UNDO, lambda found: found.has(self.now) and found.has(then))
        self._is("now")
        assert Data.of(self.host).present() == self.now
        return many

    def _chain(self, deploy: str, there: Callable[[Data], bool]) -> int:
        begun = self.command(deploy)
        point = self.script.was_killed()
        if not point:
            assert begun.code == 0, begun.output[-6000:]
            return 0
        assert begun.code == 1, begun.output[-6000:]
        words, environment = self.script.called()
        given = {key: environment[key] for key in _GIVEN if key in environment}
        shell = restore.script(self._service, words[1:], given)

        def run() -> tuple[int, str]:
            done = self.host.host.run(shell, check=False)
            return done.returncode, done.stdout + done.stderr

        def holds(point: str) -> None:
            found = Data.of(self.host)
            assert there(found), f"{point}: the data of before is not there: {found}"
            assert found.left == (), f"{point}: {found.left}"

        holds(point)
        # What has come to its end and is run once more goes another way.
        many = 0
        while point:
            many += 1 + self.script.chain(run, holds)
            ended = self.command(deploy)
            if point := self.script.was_killed():
                holds(point)
            else:
                assert ended.code == 0, ended.output[-6000:]
        return many

    def _is(self, word: str) -> None:
        """It answers (the command has asked it), with these rows and files, and nothing is left but what is kept."""
        found = self.sql("SELECT word FROM word"), self.host.sh(f"cat {_VOLUME}/_data/word").strip()
        assert found == (word, word)
        assert self.host.sh(LEFT) == ""
        data = Data.of(self.host)
        for names in (data.databases, data.folders):
            stamps = {name.rpartition("_before_")[2] for name in names.values() if "before_" in name}
            assert {stamp.rpartition("before_")[2] for stamp in stamps} == data.kept, data
        again = self.backed.run()
        again.unchanged()
