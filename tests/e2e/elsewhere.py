"""Elsewhere: what of a host's databases can be had from its bucket, by somebody who has the kit and nothing of the host."""

import subprocess
from dataclasses import dataclass

from tests.e2e.backed import Backed
from tests.lab import addresses, network, s3

# Into the image's own folder: the archive up to its end, without a way back to the bucket. Its answer stands on the last line.
_ASK = r"""
chmod 700 "$PGDATA" && pgbackrest --stanza=main --no-delta --archive-mode=off $OPTIONS restore || exit 1
postgres -D "$PGDATA" -c listen_addresses= -c unix_socket_directories=/tmp -c archive_mode=off -c hot_standby=off -c fsync=off &
runs=$!
ask() { psql -h /tmp -U postgres -qAtX -d postgres -c "$1"; }
until [ "$(ask 'SELECT pg_is_in_recovery()' 2>/dev/null)" = f ]; do kill -0 $runs || exit 1; sleep 0.2; done
ask "$QUESTION"
"""


@dataclass
class Elsewhere:
    """The image of the host's Postgres and how it finds the bucket, on another machine."""

    backed: Backed
    image: str
    settings: bytes

    @classmethod
    def of(cls, backed: Backed) -> "Elsewhere":
        """Copies the image: it is built on hosts."""
        host = backed.host
        image = host.sh("docker inspect --format '{{.Config.Image}}' postgres").strip()
        client = host.lab.client
        with subprocess.Popen([*host.host.ssh(), f"docker save {image}"], stdout=subprocess.PIPE) as sent:
            client.images.load(sent.stdout)
        packed = subprocess.run(
            [*host.host.ssh(), "tar -C /opt/smarteros/current -chf - pgbackrest"],
            capture_output=True,
            check=True,
        )
        return cls(backed, image, packed.stdout)

    def ask(self, question: str, options: str = "") -> str:
        """The answer of the restored server. options: pgBackRest's, beside the usual ones."""
        kit, lab = self.backed.kit(), self.backed.host.lab
        api = lab.client
        container = api.containers.create(
            self.image,
            ["-c", _ASK],
            entrypoint="bash",
            user="postgres",
            network=network.object_name(lab.state.key, "net"),
            labels={network.LABEL: lab.state.key},
            extra_hosts={s3.NAME: addresses.address(lab.description.subnet, addresses.S3)},
            environment={
                "PGBACKREST_REPO1_S3_KEY": kit.access_key,
                "PGBACKREST_REPO1_S3_KEY_SECRET": kit.secret_key,
                "PGBACKREST_REPO1_CIPHER_PASS": kit.keys.pgbackrest,
                "QUESTION": question,
                "OPTIONS": options,
            },
        )
        try:
            container.put_archive("/etc", self.settings)
            container.start()
            code = container.wait(timeout=300)["StatusCode"]
            output: str = container.logs(stdout=True, stderr=False).decode()
            assert code == 0, container.logs().decode()[-4000:]
        finally:
            container.remove(force=True, v=True)
        return output.rstrip("\n").rpartition("\n")[2]

    def forget(self) -> None:
        """The image goes from the machine."""
        self.backed.host.lab.client.images.remove(self.image, force=True)
