"""Pulling: what Docker would pull images with, asked within SurveyFact: a proxy, a program for credentials."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Pulling:
    """proxies: those that do not answer, "address|file". helpers: programs that are not there, "registry|name|file"; the
    registry is empty where it is about all of them.
    """

    proxies: tuple[str, ...] = ()
    helpers: tuple[str, ...] = ()


# answers ADDRESS: whether something listens there.
ANSWERS = """
answers() {
    address=${1#*://} && address=${address##*@} && address=${address%%/*}
    case $address:$1 in
    *]:[0-9]*:* | [!\\[]*:[0-9]*:*:*) port=${address##*:} name=${address%:*} ;;
    *:https:*) port=443 name=$address ;;
    *) port=80 name=$address ;;
    esac
    name=${name#\\[}
    timeout 3 bash --norc -c 'exec 3<>"/dev/tcp/$0/$1"' "${name%\\]}" "$port" 2>/dev/null
}
""".strip()

# In daemon.json, and in what systemd starts Docker with, also before there is one.
QUESTION = rf"""
{ANSWERS}
for file in /etc/docker/daemon.json /etc/default/docker /etc/systemd/system/docker.service.d/*.conf /etc/systemd/system/docker.service; do
    grep -v '^[[:blank:]]*[#;]' "$file" 2>/dev/null | grep -oiE 'https?[-_]proxy"?[[:blank:]]*[=:][[:blank:]]*"?[^"'"'"'[:blank:],]+' |
        sed 's/^[^=:]*[=:][[:blank:]]*"*//' | sort -u | while read -r proxy; do
        answers "$proxy" || echo "pull_proxy $(printf %s "$proxy" | sed 's|//[^/@]*@|//|')|$file"
    done
done
for file in $(printf '%s\n' "${{DOCKER_CONFIG:-/root/.docker}}" "$HOME/.docker" | sort -u); do
    said=$(tr -d '\n' <"$file/config.json" 2>/dev/null | sed 's/[[:blank:]]//g')
    {{
        printf %s "$said" | grep -oE '"credsStore":"[^"]+"' | sed 's/.*:"/|/; s/"//'
        printf %s "$said" | grep -oE '"credHelpers":\{{[^}}]*\}}' | sed 's/^[^{{]*{{//' | grep -oE '"[^"]+":"[^"]+"' | sed 's/":"/|/; s/"//g'
    }} | while IFS='|' read -r registry name; do
        command -v "docker-credential-$name" >/dev/null || echo "pull_helper $registry|$name|$file/config.json"
    done
done
""".strip()


def pulling(values: Mapping[str, Sequence[str]]) -> Pulling:
    """What SurveyFact's lines say of it: key → values."""
    return Pulling(tuple(values.get("pull_proxy", ())), tuple(values.get("pull_helper", ())))
