"""Logins: who gets in over SSH before our first run, and by what; asked within MachineFact.

sshd itself says what counts for each user, so that Match blocks do; what it says of nobody in particular stands for
those whom none concerns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from tasks.facts import ssh_says

# What sshd says is asked for at a port that nothing comes in by: asked for none, it ends at a `Match LocalPort`.
SAYS = "/usr/sbin/sshd -T -C lport=1"

# Which sources of keys sshd has beside files: what it calls them.
_SOURCES = ("authorizedkeyscommand", "trustedusercakeys")
_OTHERS = ("gssapiauthentication", "hostbasedauthentication")
_KNOWN = (
    *("permitrootlogin", "passwordauthentication", "kbdinteractiveauthentication", "authenticationmethods"),
    *("allowusers", "denyusers", "allowgroups", "denygroups", "forcecommand", "subsystem", "chrootdirectory"),
    *("permitopen", "allowtcpforwarding", *_SOURCES, *_OTHERS),
)

# awk: a path as AuthorizedKeysFile has it, for a user; its name, number and home are set.
FILLED = r"""
            function filled(path,    out, at) {
                while (at = index(path, "%")) {
                    letter = substr(path, at + 1, 1)
                    out = out substr(path, 1, at - 1)
                    out = out (letter == "h" ? home : letter == "u" ? name : letter == "U" ? number : letter)
                    path = substr(path, at + 2)
                }
                out = out path
                return out ~ /^\// ? out : home "/" out
            }
""".strip()

# A line with a command of its own lets its key do that alone; cloud images have one for root that only says who to log in
# as. A certificate's own line lets nobody in unless it is an authority's.
QUESTION = rf"""
logins_said() {{ printf '%s\n' "$2" | grep -E '^({"|".join(_KNOWN)}) ' | sed -u "s/^/ssh_for $1 /"; }}
logins_said '*' "$all"
sed -n 's/^passwd:[[:blank:]]*//p' /etc/nsswitch.conf 2>/dev/null | tr -s '[:blank:]' '\n' |
    grep -vE '^(files|systemd|compat|db|altfiles|mymachines|\[.*|.*\])$' | sed -u 's/^/ssh_directory /'
apart=$(grep -rilsE '^[[:blank:]]*match[[:blank:]]' /etc/ssh)
awk -F: 'NR == FNR {{ if ($2 ~ /^[^!*]/) has[$1]; next }}
    {{ print $1, ($1 in has) + 0, ($7 ~ /(nologin|false)$/ ? 0 : 1), $3, $6 }}' /etc/shadow /etc/passwd 2>/dev/null |
    while read -r name has shell number home; do
        says=$all
        if [ -n "$apart" ]; then
            set -- ${{way:-127.0.0.1 1 127.0.0.1 22}}
            says=$(/usr/sbin/sshd -T -C "user=$name,host=$1,addr=$1,laddr=$3,lport=$4" 2>/dev/null </dev/null)
            says=${{says:-$all}}
            logins_said "$name" "$says"
        fi
        case $all in *'
allowgroups '* | *'
denygroups '*) echo "ssh_groups $name $(id -Gn "$name")" ;; esac
        printf '%s\n' "$says" | awk -v name="$name" -v number="$number" -v home="$home" -v rest="$has $shell" '
            {FILLED}
            function look(path,    line) {{
                while ((getline line <path) > 0) {{
                    if (line ~ /^[ \t]*(#|$)/ || line !~ /AAAA/) continue
                    if (line ~ /-cert-v01@/ && line !~ /cert-authority/) continue
                    if (line !~ /command="/) keys = "key"
                    else if (line !~ /command="echo / && keys == "none") keys = "command"
                }}
            }}
            BEGIN {{ keys = "none"; file = "-"; certificates = 0; principals = 1 }}
            $1 == "authorizedkeysfile" && $2 != "none" {{
                for (i = 2; i <= NF; i++) look(filled($i))
                file = filled($2)
                if (index(file, home "/") == 1) file = "~" substr(file, length(home) + 1)
            }}
            $1 == "trustedusercakeys" && $2 != "none" {{ certificates = 1 }}
            $1 == "authorizedprincipalsfile" && $2 != "none" {{ principals = (getline line <(filled($2))) > 0 }}
            $1 == "authorizedprincipalscommand" && $2 != "none" {{ command = 1 }}
            END {{ print "ssh_user", name, rest, keys, certificates && (principals || command) ? 1 : 0, file }}'
    done
""".strip()


@dataclass(frozen=True)
class Logins:
    """keys, commands: users with a key, those whose keys may run one command. passwords: those who have only a password that
    sshd takes → the file for their keys. unsure: of these, whose keys sshd may have from elsewhere → where. sources: all
    of that kind. names: everybody, as long as no directory may know more. others: what sshd lets people in by beside keys and passwords. directories: where users come from that no file of the host lists.
    """

    keys: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    passwords: Mapping[str, str] = field(default_factory=dict)
    unsure: Mapping[str, str] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()
    names: frozenset[str] = field(default=frozenset(), compare=False)


_Said = Mapping[str, Sequence[str]]


def logins(values: Mapping[str, Sequence[str]]) -> Logins:
    """What MachineFact's lines say of it: key → values. Raises ValueError for lines that no host prints. Pure."""
    said = _says(values)
    groups = {
        name: rest.split() for name, _, rest in (line.partition(" ") for line in values.get("ssh_groups", ()))
    }
    everybody = said.get("*", {})
    keys, commands, sources = [], [], [*_from_elsewhere(everybody, certificates=True)]
    passwords, unsure = {}, {}
    for line in values.get("ssh_user", ()):
        name, has, shell, kind, certificates, file = line.split(" ", 5)
        mine = said.get(name, everybody)
        if not _permitted(name, groups.get(name, ()), mine):
            continue
        elsewhere = [*_from_elsewhere(mine, certificates=certificates == "1")]
        sources += elsewhere
        if kind == "key" and not (name == "root" and _one(mine, "permitrootlogin") == "forced-commands-only"):
            keys.append(name)
            continue
        if kind != "none":
            commands.append(name)
        if (
            has == "1"
            and _takes_password(name, mine)
            and (shell == "1" or _for_sftp(mine) or mine != everybody)
        ):
            passwords[name] = "a file that AuthorizedKeysFile names" if file == "-" else file
            if elsewhere:
                unsure[name] = " or ".join(elsewhere)
    return Logins(
        tuple(keys),
        tuple(commands),
        passwords,
        unsure,
        tuple(sorted({*sources})),
        tuple(key for key in _OTHERS if _one(everybody, key) == "yes"),
        tuple(values.get("ssh_directory", ())) if _takes_password("", everybody) else (),
        frozenset(
            () if "ssh_directory" in values else (line.split(" ")[0] for line in values.get("ssh_user", ()))
        ),
    )


def _says(values: Mapping[str, Sequence[str]]) -> dict[str, dict[str, list[str]]]:
    """User, or ``*`` → key → values."""
    said: dict[str, dict[str, list[str]]] = {}
    for line in values.get("ssh_for", ()):
        name, key, value = line.split(" ", 2)
        said.setdefault(name, {}).setdefault(key, []).append(value)
    for item in ssh_says.said(values.get("ssh_says", ())):
        if item.place == "command" and item.key in _SOURCES:
            for one in said.values():
                one[item.key] = [item.value]
    return said


def _one(said: _Said, key: str) -> str:
    return next(iter(said.get(key, ())), "")


def _from_elsewhere(said: _Said, *, certificates: bool) -> list[str]:
    """Sources of keys that are no files of users."""
    wanted = _SOURCES if certificates else _SOURCES[:1]
    return [f"{key} {value}" for key in wanted if (value := _one(said, key)) not in ("", "none")]


def _takes_password(name: str, said: _Said) -> bool:
    if name == "root" and _one(said, "permitrootlogin") != "yes":
        return False
    ways = _one(said, "authenticationmethods").split()
    alone = not ways or any("publickey" not in way for way in ways)
    return alone and "yes" in (
        _one(said, "passwordauthentication"),
        _one(said, "kbdinteractiveauthentication"),
    )


def _for_sftp(said: _Said) -> bool:
    """For this no shell is needed, since sshd serves files by itself."""
    return any(
        "internal-sftp" in value for key in ("forcecommand", "subsystem") for value in said.get(key, ())
    )


def _permitted(name: str, groups: Sequence[str], said: _Said) -> bool:
    """Whom sshd lets in at all. A pattern may go on with the host (``ann@192.0.2.*``)."""
    if name == "root" and _one(said, "permitrootlogin") == "no":
        return False

    def among(words: Sequence[str], key: str) -> bool:
        return any(
            fnmatchcase(word, pattern.split("@")[0]) for word in words for pattern in said.get(key, ())
        )

    if among([name], "denyusers") or among(groups, "denygroups"):
        return False
    return all(
        key not in said or among(words, key)
        for key, words in (("allowusers", [name]), ("allowgroups", groups))
    )
