"""Forks: images built on the host from the operator's own repositories, /root/repos/<service>."""

import re
from shlex import quote

REPOSITORIES = "/root/repos"
_OWNER = "smarteros/"


def reference(service: str, revision: str) -> str:
    """The image's name: whose it is, and which commit or tag it was built from."""
    return f"{_OWNER}{service}:{revision}"


def build(image: str, dockerfile: str, repositories: str = REPOSITORIES) -> str:
    """Shell that builds the image; ends the script it stands in when the revision is not on the host.

    image: a ``reference``. dockerfile: its path in the repository. The context is a clone of that one commit:
    uncommitted work stays out of it, and a Dockerfile that asks git for its commit (Chatwoot's does) gets the
    answer. The build runs in the host's network, like that of an image of ours.
    """
    service, _, revision = image.removeprefix(_OWNER).partition(":")
    repository = f"{repositories}/{service}"
    absent = (
        f"{service}: {repository} has no commit or tag {revision}: run bash /root/sync-forks.sh {service}"
    )
    return f"""
{{ commit=$({_commit(repository, revision)}) || {{ echo {quote(absent)} >&2; exit 1; }}
tree=$(mktemp -d "${{TMPDIR:-/var/tmp}}/smarteros-build-XXXXXX") && git -C "$tree" init -q &&
git -C "$tree" fetch -q --depth 1 {quote(repository)} "$commit" && git -C "$tree" checkout -q --detach FETCH_HEAD &&
docker build --quiet --network host --tag {quote(image)} --file "$tree"/{quote(dockerfile)} "$tree"
code=$?; rm -rf "$tree"; [ $code = 0 ]; }}
""".strip()


def _commit(repository: str, revision: str) -> str:
    """A tag, else a commit; a branch of that name is neither: tomorrow it would be another program."""
    verify = f"git -C {quote(repository)} rev-parse --quiet --verify"
    tag = f"{verify} {quote(f'refs/tags/{revision}^{{commit}}')}"
    if not re.fullmatch(r"[0-9a-f]{7,40}", revision):
        return tag
    return f"{tag} || {verify} {quote(f'{revision}^{{commit}}')} | grep ^{revision}"
