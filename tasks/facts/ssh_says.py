"""What sshd's files say beside ours; asked within MachineFact."""

from collections.abc import Sequence
from dataclasses import dataclass

MAIN = "/etc/ssh/sshd_config"
_OURS = "00-smarteros.conf"
# What an operator may settle: nothing of it lets anybody in, or past our firewall.
THEIRS = (
    *("maxsessions", "logingracetime", "maxstartups", "persourcemaxstartups"),
    *("clientaliveinterval", "clientalivecountmax", "tcpkeepalive", "compression"),
    *("allowagentforwarding", "allowstreamlocalforwarding", "x11forwarding"),
    *("loglevel", "usedns", "banner", "debianbanner"),
)
# What stays ours: where connections lead to, and what would let others run programs.
OURS = ("allowtcpforwarding", "permitopen", "gatewayports", "permittunnel", "permituserenvironment")
_WATCHED = (
    "allowusers|authenticationmethods|(password|pubkey|kbdinteractive|challengeresponse)authentication|strictmodes|"
    f"{'|'.join((*THEIRS, *OURS))}"
)

# As older releases call it.
_TODAY = {"challengeresponseauthentication": "kbdinteractiveauthentication"}


@dataclass(frozen=True)
class Says:
    """A line. place: ``above`` ours, so that it counts first (key ``*``: nothing includes ours), ``match``: in a Match block,
    ``plain``, or ``command``: an option that sshd is started with. line: its number.
    """

    file: str
    place: str
    key: str
    value: str = ""
    line: int = 0


# mawk as well as gawk. Of the files after ours only what is watched matters. sshd sets no locale: it reads its folder
# in the order of bytes.
QUESTION = rf"""
for file in {MAIN} /etc/ssh/sshd_config.d/*.conf; do
    [ -f "$file" ] && [ "${{file##*/}}" != {_OURS} ] && LC_ALL=C awk -v file="$file" -v main={MAIN} -v ours={MAIN}.d/{_OURS} '
        BEGIN {{ above = file == main || file < ours }}
        /^[ \t]*(#|$)/ {{ next }}
        {{ sub(/^[ \t]+/, ""); sub(/[ \t]*=[ \t]*|[ \t]+/, " "); key = tolower($1); $1 = ""; value = substr($0, 2) }}
        key == "include" && value ~ /sshd_config\.d\/\*\.conf/ {{ above = 0; included = 1; next }}
        key == "match" && file != main {{ above = 0 }}
        above {{ print "ssh_says", file, "above", NR, key, value; fflush() }}
        key == "match" {{ inside = 1 }}
        key ~ /^({_WATCHED})$/ {{
            print "ssh_says", file, inside ? "match" : "plain", NR, key, value
            fflush()
        }}
        END {{ if (file == main && !included) print "ssh_says", file, "above", 0, "*" }}' "$file"
done
""".strip()

# ssh's unit and what it reads may start sshd with options, which count before every file, and sshd -T knows none of them.
COMMAND = r"""
for file in "$unit" /etc/default/ssh; do
    { [ "$file" = "$unit" ] && systemctl show "$unit" -p ExecStart --value || cat "$file"; } 2>/dev/null |
        awk -v file="$file" '!/^[ \t]*#/ {
            count = split($0, options, /[ "\047=]-o[ "\047]*/)
            for (i = 2; i <= count; i++) {
                sub(/[;"\047].*| [$-].*/, "", options[i])
                sub(/[ =]+/, " ", options[i])
                split(options[i], words, " ")
                print "ssh_says", file, "command", 0, tolower(words[1]) substr(options[i], length(words[1]) + 1)
                fflush()
            }
        }'
done
""".strip()


def said(lines: Sequence[str]) -> tuple[Says, ...]:
    """From MachineFact's lines. Raises ValueError."""
    return tuple(_says(line) for line in lines)


def _says(line: str) -> Says:
    file, place, number, rest = line.split(" ", 3)
    key, _, value = rest.partition(" ")
    value = value.partition(" #")[0].replace('"', "")
    return Says(file, place, _TODAY.get(key, key), value.strip(), int(number))
