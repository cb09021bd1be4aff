"""Keys gone: whether a key that was taken away still lets anybody in, asked of an sshd that is started for each question alone.

Nothing listens for it, nothing is counted (fail2ban, sshd's penalties), and it goes by what its files and commands say now. ssh offers
the public key, for which nobody needs the other one: sshd says whether it would do, and in its log where it has found it.
"""

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError

from tasks.model.login_keys import Key


@dataclass(frozen=True)
class Gone:
    """A key of a user's. opens: where sshd finds it nevertheless (file or command, and line), empty where it refuses it. unknown: why nobody
    knows. sessions: open ones that it has opened, ``pid from address``. also: other files of users that have it.
    """

    opens: str = ""
    unknown: str = ""
    sessions: tuple[str, ...] = ()
    also: tuple[str, ...] = ()


_QUESTION = r"""
umask 077
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
asked() {
    echo "$3 $4" >"$folder/key.pub"
    print=$(ssh-keygen -lf "$folder/key.pub" | cut -d' ' -f2)
    said=$(timeout 30 ssh -v -F /dev/null -o ProxyCommand='/usr/sbin/sshd -i -e -o LogLevel=VERBOSE' -o BatchMode=yes \
        -o IdentitiesOnly=yes -o IdentityAgent=none -o PreferredAuthentications=publickey -o StrictHostKeyChecking=no \
        -o UserKnownHostsFile=/dev/null -o GlobalKnownHostsFile=/dev/null -i "$folder/key.pub" "$2@localhost" true 2>&1 </dev/null)
    case $said in
    *'Server accepts key'*)
        place=$(printf '%s\n' "$said" | tr -d '\r' | sed -n "s|.*Accepted key .* $print found at ||p" | sed -n 1p)
        echo "opens $1 ${place:-a way that it does not name}"
        ;;
    *'Offering public key'*'Permission denied ('*) ;;
    *) printf 'unknown %s %s\n' "$1" "$(printf '%s\n' "$said" | tr -d '\r' | grep -v '^debug1: ' | tail -n 1)" ;;
    esac
    journalctl -q -b --no-pager -o short -t sshd -t sshd-session 2>/dev/null |
        sed -n "s|.*\[\([0-9]*\)\]: Accepted publickey for $2 from \([^ ]*\) port .* $print\$|\1 \2|p" |
        while read -r pid address; do
            case $(cat "/proc/$pid/comm" 2>/dev/null) in sshd*) echo "session $1 $pid from $address" ;; esac
        done
    {
        getent passwd | cut -d: -f6 | sort -u | while read -r home; do
            timeout 10 grep -D skip -lsF -- "$4" "$home/.ssh/authorized_keys" "$home/.ssh/authorized_keys2"
        done
        timeout 10 grep -D skip -rlsF -- "$4" /etc/ssh
    } | sort -u | sed "s|^|also $1 |"
}
""".strip()


class KeysGoneFact(FactBase[tuple[Gone, ...]]):
    """One for each key, in their order."""

    patience = 900  # half a minute and more for each key

    def command(self, keys: Sequence[tuple[str, Key]]) -> str:
        """Prints ``key number value`` lines. keys: user and key."""
        calls = [
            f"asked {number} {user} {key.kind} {b64encode(key.blob).decode()}"
            for number, (user, key) in enumerate(keys)
        ]
        return "\n".join((_QUESTION, *calls, f"echo 'asked {len(calls)}'"))

    @staticmethod
    def default() -> tuple[Gone, ...]:
        """Nothing was asked."""
        return ()

    def process(self, output: list[str]) -> tuple[Gone, ...]:
        """Lines → one for each key. Raises FactProcessError for what no host prints."""
        try:
            return tuple(_gone([*filter(None, output)]))
        except (ValueError, IndexError) as error:
            raise FactProcessError(f"cannot read which keys still let in: {error}") from None


def _gone(lines: Sequence[str]) -> Iterator[Gone]:
    first, _, count = lines[-1].partition(" ")
    if first != "asked":
        raise ValueError("it ends too early")
    found: dict[int, dict[str, list[str]]] = {}
    for line in lines[:-1]:
        kind, number, value = line.split(" ", 2)
        if kind not in ("opens", "unknown", "session", "also"):
            raise ValueError(repr(line))
        found.setdefault(int(number), {}).setdefault(kind, []).append(value)
    yield from (_one(found.get(place, {})) for place in range(int(count)))


def _one(values: Mapping[str, Sequence[str]]) -> Gone:
    return Gone(
        next(iter(values.get("opens", ())), ""),
        next(iter(values.get("unknown", ())), ""),
        tuple(values.get("session", ())),
        tuple(values.get("also", ())),
    )
