"""Theirs: where a host's own files, or what it uses, count before ours: read for real below a folder, and judged."""

import subprocess
from pathlib import Path

import pytest

from tasks.facts.theirs import Theirs, question, theirs
from tasks.operations.theirs import in_use, modules, said, without

KERNEL = "# Written.\n\nkernel.sysrq = 0\nvm.swappiness = 1\nkernel.panic = 10\n"
NETWORK = "net.ipv4.conf.*.send_redirects = 0\nnet.ipv4.conf.all.rp_filter = 2\n"
TEXTS = {
    "/etc/sysctl.d/99-zz-smarteros-kernel.conf": KERNEL,
    "/etc/sysctl.d/99-zz-smarteros-network.conf": NETWORK,
    "/etc/modprobe.d/smarteros.conf": "# Written.\n\ninstall usb-storage /bin/false\ninstall uas /bin/false\ninstall sctp /bin/false\n",
    "/etc/systemd/journald.conf.d/60-smarteros.conf": "# Written.\n[Journal]\nStorage=persistent\nSystemMaxUse=1G\n",
    "/etc/needrestart/conf.d/smarteros.conf": "# W\n$nrconf{restart} = 'a';\n$nrconf{override_rc}->{qr(^docker)} = 0;\n",
    "/etc/apt/apt.conf.d/00smarteros": 'APT::Periodic::Unattended-Upgrade "1";\nX::List { "a"; };\nU::Automatic-Reboot "false";\n',
}


def asked(root: Path) -> Theirs:
    """What a host with this folder for its root says."""
    shell = question(("usb-storage", "uas", "sctp"), ("APT::Periodic",)) + "\nwait"
    for place in ("/etc/", "/proc/modules", "/var/lib/", "/usr/local/lib/"):
        shell = shell.replace(place, f"{root}{place}")
    done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=True)
    values: dict[str, list[str]] = {}
    for line in done.stdout.replace(str(root), "").splitlines():
        key, _, value = line.partition(" ")
        values.setdefault(key, []).append(value)
    return theirs(values)


def write(root: Path, path: str, text: str) -> None:
    file = root / path[1:]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_a_host_without_any_file_says_nothing(tmp_path: Path) -> None:
    assert asked(tmp_path) == Theirs()


def test_what_an_operator_wrote_is_read_and_what_a_package_brought_is_not(tmp_path: Path) -> None:
    write(tmp_path, "/etc/sysctl.d/10-magic-sysrq.conf", "kernel.sysrq = 176\n")
    write(tmp_path, "/etc/sysctl.d/10-edited.conf", "kernel.panic = 5\n")
    # The folder stands in what dpkg says, too.
    conffiles = f" {tmp_path}/etc/sysctl.d/10-magic-sysrq.conf 3d41aba73ed1db69d0dbb8c6ecaa8d16\n"
    md5 = (
        subprocess.run(["md5sum"], input=b"kernel.sysrq = 176\n", capture_output=True, check=True)
        .stdout[:32]
        .decode()
    )
    conffiles = conffiles.replace("3d41aba73ed1db69d0dbb8c6ecaa8d16", md5)
    write(tmp_path, "/var/lib/dpkg/status", f"{conffiles} {tmp_path}/etc/sysctl.d/10-edited.conf {md5}\n")
    write(tmp_path, "/etc/sysctl.d/99-zz-smarteros-kernel.conf", "kernel.panic = 10\n")
    write(
        tmp_path,
        "/etc/sysctl.d/99-vpn.conf",
        "# kernel.x = 1\n-net/ipv4/conf/eth0.7/rp_filter=0\n net.ipv4.conf.*.send_redirects\t=  1 \n",
    )
    write(tmp_path, "/etc/sysctl.conf", "vm.swappiness=10\nkernel.panic = 20\nnonsense\n")
    (tmp_path / "etc/sysctl.d/99-sysctl.conf").symlink_to("../sysctl.conf")
    assert asked(tmp_path).settings == {
        "/proc/sys/kernel/panic": ("20", "/etc/sysctl.conf"),
        "/proc/sys/net/ipv4/conf/eth0.7/rp_filter": ("0", "/etc/sysctl.d/99-vpn.conf"),
        "/proc/sys/net/ipv4/conf/*/send_redirects": ("1", "/etc/sysctl.d/99-vpn.conf"),
        "/proc/sys/vm/swappiness": ("10", "/etc/sysctl.conf"),
    }


def test_modules_are_in_use_that_are_loaded_or_named(tmp_path: Path) -> None:
    write(tmp_path, "/proc/modules", "usb_storage 86016 1 uas, Live 0x0\nusbcore 1 1 - Live 0x0\n")
    found = asked(tmp_path)
    assert found == Theirs(loaded=frozenset({"usb_storage"}))
    assert in_use(found, "") == {"usb_storage", "uas"}
    assert in_use(found, "lxc") == set()
    for path, text in (
        ("/etc/modules", "# sctp\nsctp\n"),
        ("/etc/modules-load.d/x.conf", " sctp # for the exchange\n"),
        ("/etc/fstab", "# a\n/dev/sdb1 /mnt sctp noauto 0 0\n"),
        ("/var/lib/smarteros/before/modules", "sctp\n"),
    ):
        write(tmp_path, path, text)
        assert asked(tmp_path).modules == {"sctp"}, path
        write(tmp_path, path, "# sctp\n")
    assert asked(tmp_path).modules == frozenset()


def test_ours_stay_where_theirs_say_nothing_else() -> None:
    same = Theirs(
        {"/proc/sys/kernel/sysrq": ("0", "/etc/sysctl.conf"), "/proc/sys/vm/overcommit": ("1", "/etc/x")}
    )
    assert without(TEXTS, same, "") == TEXTS
    assert list(said(same, TEXTS, "")) == []
    assert modules(TEXTS) == ["usb-storage", "uas", "sctp"]


@pytest.mark.parametrize(
    ("path", "value", "gone"),
    [
        ("kernel/sysrq", "1", "kernel.sysrq = 0\n"),
        ("net/ipv4/conf/*/send_redirects", "1", "net.ipv4.conf.*.send_redirects = 0\n"),
        ("net/ipv4/conf/*/rp_filter", "1", "net.ipv4.conf.all.rp_filter = 2\n"),
        (
            "net/ipv4/conf/all/send_redirects",
            "1",
            "",
        ),  # what is said of one counts before what is said of all
    ],
)
def test_ours_give_way_to_theirs(path: str, value: str, gone: str) -> None:
    found = Theirs({f"/proc/sys/{path}": (value, "/etc/sysctl.d/9.conf")})
    assert "".join(without(TEXTS, found, "").values()) == "".join(TEXTS.values()).replace(gone, "")
    key = path.replace("/", ".")
    assert list(said(found, TEXTS, "")) == [
        f"its kernel keeps what its own files say: {key}={value} (/etc/sysctl.d/9.conf)"
    ]


def test_a_disk_on_usb_goes_on_working() -> None:
    found = Theirs(loaded=frozenset({"usb_storage"}))
    assert (
        without(TEXTS, found, "")["/etc/modprobe.d/smarteros.conf"]
        == "# Written.\n\ninstall sctp /bin/false\n"
    )
    assert list(said(found, TEXTS, "")) == [
        "it can go on loading usb-storage, uas, which it uses or its files name"
    ]


def test_what_apt_counts_in_our_place_is_said() -> None:
    found = Theirs(updates={"APT::Periodic::Unattended-Upgrade": "0", "U::Automatic-Reboot": "false"})
    assert list(said(found, TEXTS, "")) == [
        'its own settings of apt count: APT::Periodic::Unattended-Upgrade "0"'
    ]


def test_words_of_the_journal_and_of_needrestart_count(tmp_path: Path) -> None:
    write(
        tmp_path,
        "/etc/systemd/journald.conf",
        "[Journal]\n#Storage=auto\nSystemMaxUse=200M\nStorage=persistent\nSeal=no\n",
    )
    write(tmp_path, "/etc/systemd/journald.conf.d/60-smarteros.conf", "[Journal]\nStorage=auto\n")
    write(
        tmp_path,
        "/etc/needrestart/needrestart.conf",
        "#$nrconf{restart} = 'i';\n $nrconf{restart} = 'l'; # mine\n",
    )
    found = asked(tmp_path)
    assert found.words == {
        ("needrestart/conf.d", "restart"): ("l", "/etc/needrestart/needrestart.conf"),
        ("systemd/journald.conf.d", "SystemMaxUse"): ("200M", "/etc/systemd/journald.conf"),
        ("systemd/journald.conf.d", "Storage"): ("persistent", "/etc/systemd/journald.conf"),
        ("systemd/journald.conf.d", "Seal"): ("no", "/etc/systemd/journald.conf"),
    }
    texts = without(TEXTS, found, "")
    assert texts["/etc/systemd/journald.conf.d/60-smarteros.conf"] == "# Written.\n[Journal]\n"
    assert (
        texts["/etc/needrestart/conf.d/smarteros.conf"] == "# W\n$nrconf{override_rc}->{qr(^docker)} = 0;\n"
    )
    assert list(said(found, TEXTS, "")) == [
        (
            "its own settings count: restart=l (/etc/needrestart/needrestart.conf), SystemMaxUse=200M "
            "(/etc/systemd/journald.conf)"
        )
    ]
