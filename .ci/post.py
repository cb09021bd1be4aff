#!/usr/bin/env python3
"""Post: a file is a comment of the pull request NUMBER, in the place of the one that began with the same line.

``.ci/post.py PLAN.md`` speaks the API that GitHub and Forgejo share, as GITHUB_API_URL, GITHUB_REPOSITORY and TOKEN say.
"""

import json
import os
import sys
import urllib.request
from pathlib import Path
from typing import Any

# Who a job's token is. Nobody else's comment is written to: its author could change the plan afterwards.
OURS = ("github-actions[bot]", "forgejo-actions")
_PAGE = 50


def asked(method: str, path: str, body: dict[str, str] | None = None) -> Any:
    """The answer as JSON. Raises HTTPError."""
    request = urllib.request.Request(  # noqa: S310  the forge's own address
        f"{os.environ['GITHUB_API_URL']}/repos/{os.environ['GITHUB_REPOSITORY']}/issues/{path}",
        method=method,
        data=json.dumps(body).encode() if body else None,
        headers={"Authorization": f"token {os.environ['TOKEN']}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return json.load(answer)


def before(number: int, mark: str) -> int | None:
    """The comment's id."""
    seen: set[int] = set()
    for page in range(1, 100):
        found = asked("GET", f"{number}/comments?limit={_PAGE}&per_page={_PAGE}&page={page}")
        for one in found:
            if one["user"]["login"] in OURS and one["body"].partition("\n")[0].strip() == mark:
                return int(one["id"])
        ids = {int(one["id"]) for one in found}
        if len(found) < _PAGE or ids <= seen:  # Forgejo has one page
            break
        seen |= ids
    return None


def main(path: Path) -> None:
    """Writes it."""
    body = path.read_text("utf-8")
    number = int(os.environ["NUMBER"])
    there = before(number, body.partition("\n")[0])
    if there is None:
        asked("POST", f"{number}/comments", {"body": body})
    else:
        asked("PATCH", f"comments/{there}", {"body": body})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
