"""Vault (or OpenBao): the only source of secrets. Same API, a few lines of configuration apart."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tasks.model.catalogue import Container, Health, Metrics, Service, Size, Upstream, Volume
from tasks.model.policy import FILE_CAPABILITY
from tasks.model.stack import Stack
from tasks.model.visitor import Failed, Visitor


@dataclass(frozen=True)
class Engine:
    """What differs between the two: image, program, where it keeps its files, what it must be allowed."""

    image: str
    program: str
    home: str
    cap_add: Mapping[str, str] = field(default_factory=dict)


# Each the newest patch of its line in public use, November 2026.
ENGINES = {
    "vault": Engine("hashicorp/vault:2.0.4", "vault", "/vault", cap_add={"IPC_LOCK": FILE_CAPABILITY}),
    "openbao": Engine("openbao/openbao:2.6.4", "bao", "/openbao"),
}


def describe(stack: Stack) -> Service:
    """One server on raft storage, reachable on smarter-net and on the host's loopback only."""
    engine = ENGINES[stack.vault_engine]
    return Service(
        name="vault",
        title="Vault",
        phase="vault",
        role="data",
        users=users,
        upstream=(
            Upstream("hashicorp/vault", "https://github.com/hashicorp/vault/releases/tag/v{version}"),
            Upstream("openbao/openbao", "https://github.com/openbao/openbao/releases/tag/v{version}"),
        ),
        metrics=(Metrics("vault", 8200, "/v1/sys/metrics"),),
        containers=(
            Container(
                name="vault",
                image=engine.image,
                user="100",
                entrypoint=(engine.program,),
                command=("server", "-config=/etc/vault"),
                files={"vault": "/etc/vault"},
                environment={"VAULT_ADDR": "http://127.0.0.1:8200", "BAO_ADDR": "http://127.0.0.1:8200"},
                volumes=(
                    Volume(
                        "vault_data",
                        f"{engine.home}/file",
                        backup="raft",
                        adopted="a Vault that was initialised there stays sealed without its keys in `state_dir`",
                    ),
                ),
                cap_add=engine.cap_add,
                ports={
                    "127.0.0.1:8200:8200": "the operator's commands, and a deploy through its SSH connection"
                },
                # Healthy means that it answers, sealed or not: unsealing is the run's next step.
                health=Health(
                    (
                        "wget",
                        "-q",
                        "-O",
                        "/dev/null",
                        "http://127.0.0.1:8200/v1/sys/health?standbyok=true&sealedcode=200&uninitcode=200",
                    )
                ),
                # The real OpenBao 2.7 on raft, with this catalogue's secrets: 50 MB in the lab, 66 at its peak. Vault's image is the larger.
                size=Size(memory_mb=512, cpus=0.5, disk_gb=1, used_mb=150, image_gb=0.5),
                # Of memory and swap together no more than of memory: it locks nothing (disable_mlock, as raft needs it).
                swaps=False,
                stop_seconds=30,
            ),
        ),
    )


def users(visitor: Visitor) -> Iterator[str]:
    """Through the host's loopback, where operators ask it."""
    yield "make a token that lives a minute"
    with visitor.token() as token:
        yield "see it"
        mine = {"X-Vault-Token": token}
        left = visitor.get("/v1/auth/token/lookup-self", headers=mine).json()["data"]["ttl"]
        if not 0 < left <= 60:
            raise Failed(f"the token has {left} s left")
        yield "revoke it, and see it refused"
        visitor.post("/v1/auth/token/revoke-self", headers=mine, expect=(204,))
        visitor.get("/v1/auth/token/lookup-self", headers=mine, expect=(403,))
