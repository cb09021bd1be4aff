"""Login keys, judged: what speaks against a user's files, what a change means, and whether a run would get in again."""

from dataclasses import replace

import pytest

from tasks.facts.login_keys import Folder, KeyFile, Login, LoginKeys
from tasks.model import login_keys
from tasks.operations import own_key
from tasks.operations.login_keys import Wanted, meant, paths, problems, wanted, warnings
from tests.model.test_login_keys import KEY, line

NEW = line(comment="new@laptop", data=b"n" * 32)
ANA, NEW_ONE = login_keys.key(KEY), login_keys.key(NEW)
FILE = "/home/ana/.ssh/authorized_keys"
HOME, SSH = Folder("/home/ana", "755", "1000:1000"), Folder("/home/ana/.ssh", "700", "1000:1000")


def file(
    text: str | None = KEY,
    pattern: str = ".ssh/authorized_keys",
    path: str = FILE,
    folders: tuple[Folder, ...] = (SSH, HOME),
) -> KeyFile:
    return KeyFile(pattern, path, path, text, "600", "1000:1000", folders)


def login(*files: KeyFile) -> Login:
    return Login("1000", "1000", "/home/ana", "/home/ana", files or (file(),))


def found(*files: KeyFile) -> LoginKeys:
    return LoginKeys({"ana": login(*files)})


def against(*files: KeyFile) -> list[str]:
    return [*problems({"ana": [KEY]}, found(*files), "prod")]


SECOND = file(NEW, ".ssh/authorized_keys2", "/home/ana/.ssh/authorized_keys2")
SHARED = file(
    NEW,
    "/etc/ssh/keys",
    "/etc/ssh/keys",
    (Folder("/etc/ssh", "755", "0:0"), Folder("/etc", "755", "0:0"), Folder("/", "755", "0:0")),
)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ((file(),), []),
        # The folder of keys, and it alone, is put right.
        ((file(folders=(Folder("/home/ana/.ssh", "777", "5:5"), HOME)),), []),
        ((file(None, folders=(HOME,)),), []),
        (
            (file(folders=(SSH, Folder("/home/ana", "775", "1000:1000"))),),
            [
                ("login_keys.ana: /home/ana is mode 775 of 1000:1000, and where others can write sshd takes no key: chown ana /home/ana; "
                "chmod go-w /home/ana")
            ],
        ),
        (
            (file(folders=(SSH, Folder("/home/ana", "755", "7:7"))),),
            ["login_keys.ana: /home/ana is mode 755 of 7:7, and where others can write sshd takes no key: chown ana /home/ana; chmod go-w /home/ana"],
        ),
        ((file(None, folders=()),), ["login_keys.ana: the home /home/ana is not there: make it, the user's own"]),
        (
            (replace(file(), real="/etc/pve/priv/authorized_keys"),),
            [
                (f"login_keys.ana: {FILE} leads to /etc/pve/priv/authorized_keys, which others may write or read as well (a cluster's, a provider's): put "
                f"a file in its place (cp --remove-destination /etc/pve/priv/authorized_keys {FILE}), or take the user out of login_keys")
            ],
        ),
        (
            (SHARED,),
            [
                ("login_keys.ana: sshd reads /etc/ssh/keys for this user, and no file that is this user's alone: have AuthorizedKeysFile name "
                ".ssh/authorized_keys there, or take the user out of login_keys")
            ],
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_handled_safely_is_refused_in_words(
    files: tuple[KeyFile, ...], said: list[str]
) -> None:
    assert against(*files) == said


def test_a_user_who_is_not_there_is_named_and_so_is_a_file_of_two() -> None:
    both = LoginKeys({"ana": login(), "bo": login()})
    assert [*problems({"ana": [KEY], "bo": [KEY], "eve": [KEY]}, both, "prod")] == [
        "login_keys.eve: there is no such user on prod: see how it is written, make it (adduser eve), or take it out",
        f"login_keys.bo: {FILE} is read for ana, too: give each a home of their own",
    ]


def of(*files: KeyFile, lines: tuple[str, ...] = (KEY,)) -> Wanted:
    (item,) = wanted({"ana": lines}, found(*files))
    return item


RIGHT = login_keys.text([KEY])


@pytest.mark.parametrize(
    ("files", "right"),
    [
        ((file(RIGHT),), True),
        ((file(RIGHT), SHARED), True),
        ((file(RIGHT), replace(SECOND, text=" \n")), True),
        ((file(KEY),), False),
        ((file(f"{RIGHT}\r"),), False),
        ((file(None),), False),
        ((replace(file(RIGHT), mode="644"),), False),
        ((replace(file(RIGHT), owner="0:0"),), False),
        ((file(RIGHT, folders=(replace(SSH, mode="755"), HOME)),), False),
        ((file(RIGHT, folders=(replace(SSH, owner="0:0"), HOME)),), False),
        ((file(RIGHT), SECOND), False),
    ],
)
def test_there_is_nothing_to_do_where_all_of_it_is_as_it_has_to_be(
    files: tuple[KeyFile, ...], right: bool
) -> None:
    assert of(*files).right is right


def test_outside_the_home_a_file_is_roots_and_its_folder_stays() -> None:
    path = "/etc/ssh/keys/ana"
    there = KeyFile("/etc/ssh/keys/%u", path, path, RIGHT, "644", "0:0", SHARED.folders)
    item = of(SHARED, there)
    assert (item.right, item.owner(item.ours), item.mode, item.folder, paths(item)) == (
        True,
        "root",
        "644",
        "",
        [path],
    )
    assert not of(replace(there, mode="600")).right


def test_what_goes_and_comes_is_named_by_fingerprint_and_comment() -> None:
    item = of(file(f"{KEY}\n"), SECOND, lines=(f'from="10.0.0.1" {KEY}', f"cert-authority {NEW}"))
    assert [*meant(item)] == [
        f"login_keys.ana: goes: {NEW_ONE}: who has only this one cannot log in as ana any more",
        f"login_keys.ana: has other options: {ANA}",
        f"login_keys.ana: comes: the authority {NEW_ONE}: who has it logs in as ana",
        "login_keys.ana: /home/ana/.ssh/authorized_keys2 goes, which sshd reads as well",
        "login_keys.ana: sessions that are open live on, and those that a key that goes has opened are named at the end",
    ]
    assert [*meant(of(file(KEY)))] == []


def test_ways_that_stay_are_named_and_who_else_writes_there() -> None:
    google = f"# Added by Google\n{NEW}\n"
    item = replace(
        of(file(google), SHARED),
        login=replace(login(file(google), SHARED), elsewhere=("trustedusercakeys /etc/ssh/ca",)),
    )
    assert [*warnings(item)] == [
        (
            "login_keys.ana: sshd lets in as ana by other ways, too, which stay as they are: AuthorizedKeysFile /etc/ssh/keys, "
            "trustedusercakeys /etc/ssh/ca"
        ),
        (
            f"login_keys.ana: Google's guest agent (the keys are in the project's and the instance's metadata) writes into {FILE}, too, and would "
            "put back what goes: take the keys out there as well"
        ),
    ]
    assert [*warnings(of(file(KEY)))] == []


NOW = 1_795_910_400.0  # 2026-11-29


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ((KEY,), ""),
        ((f'from="192.0.2.0/24,10.*" {KEY}',), ""),
        ((f'expiry-time="20270101" {KEY}',), ""),
        ((f'expiry-time="20261129" {KEY}',), ""),
        (
            (NEW,),
            "it is not listed, so that nobody could see whether a login still works: add it, or log in by one that stays",
        ),
        ((f"cert-authority {KEY}",), "it is not listed"),
        (
            (f'command="true" {KEY}',),
            "its line has a command of its own, and a run needs a shell: take command= out",
        ),
        (
            (f'from="10.*,!192.0.2.7" {KEY}',),
            'from="10.*,!192.0.2.7" lets it in from elsewhere alone: this run comes from 192.0.2.7: add that',
        ),
        ((f'from="192.0.2.*,!192.0.2.7" {KEY}',), "lets it in from elsewhere alone"),
        ((f'expiry-time="20251129" {KEY}',), 'expiry-time="20251129" is over: take it out'),
    ],
)
def test_a_run_would_get_in_again_by_its_own_key(lines: tuple[str, ...], said: str) -> None:
    found_ = [*own_key.shut_out(of(lines=lines), ANA.blob, "192.0.2.7", NOW)]
    assert len(found_) == (1 if said else 0)
    if said:
        assert found_[0].startswith(f"login_keys.ana: this run is logged in by {ANA}, and ")
        assert said in found_[0]


def test_a_key_that_no_file_of_the_users_has_is_not_at_stake() -> None:
    for blob in (b"", NEW_ONE.blob):
        assert [*own_key.shut_out(of(lines=(f"cert-authority {KEY}",)), blob, "", NOW)] == []
    assert [*own_key.shut_out(of(file(NEW), SHARED), NEW_ONE.blob, "", NOW)] == []
