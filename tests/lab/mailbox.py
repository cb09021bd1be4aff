"""What the lab's mail server has taken."""

import email
import io
import tarfile
from email import policy
from email.message import EmailMessage
from typing import cast

from docker.errors import NotFound
from docker.models.containers import Container

FOLDER = "/mails/new"


def taken(server: Container) -> list[EmailMessage]:
    """Its mails in their order. Who sent one and to whom, as the envelope had it, are X-MailFrom and X-RcptTo."""
    try:
        chunks, _ = server.get_archive(FOLDER)
    except NotFound:
        return []
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        # A Maildir's names begin with the time.
        found = sorted((item for item in tar.getmembers() if item.isfile()), key=lambda item: item.name)
        texts = [cast("io.BufferedReader", tar.extractfile(item)).read() for item in found]
    return [email.message_from_bytes(text, policy=policy.default) for text in texts]
