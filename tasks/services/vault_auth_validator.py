"""vault-auth-validator: answers whether a request carries a live Vault token; ours, built on the host."""

from collections.abc import Iterator

from tasks.model.catalogue import Container, End, Health, Route, Secret, Service, Size, Upstream
from tasks.model.stack import Stack
from tasks.model.visitor import Visitor


def describe(stack: Stack) -> Service:
    """The API gateway's check: Caddy asks it (forward_auth) and api.<zone> serves it."""
    return Service(
        name="vault-auth-validator",
        title="Vault Auth API",
        needs=("vault",),
        users=users,
        upstream=(
            Upstream(
                "python",
                "https://docs.python.org/{version}/whatsnew/changelog.html",
                line=2,
                ends=(End("3.13", "2029-10-31", "https://endoflife.date/python", "2026-08-22"),),
            ),
        ),
        routes=(Route("api", "vault-auth-validator", 8080, mirrored=True, check="/health"),),
        secrets=(Secret("SESSION_KEY", kind="hex", length=64, signs=True),),
        containers=(
            Container(
                name="vault-auth-validator",
                image="smarteros/vault-auth-validator",
                build="vault-auth-validator",
                environment={
                    "VAULT_ADDR": stack.vault_address or "http://vault:8200",
                    "ZONES": ",".join((stack.zone, *stack.mirror_zones)),
                },
                env_file=True,
                user="10001:10001",
                health=Health(("python", "-m", "vault_auth_validator.check")),
                # 30 MB in the lab, 57 at its peak.
                size=Size(memory_mb=128, cpus=0.5, used_mb=50, image_gb=0.2),
                twice="it keeps nothing: sessions are the browser's, sealed with a key that both have",
            ),
        ),
    )


def users(visitor: Visitor) -> Iterator[str]:
    """What Caddy asks for each visitor of a guarded route."""
    yield "be refused without a token"
    visitor.get("/validate", expect=(401,))
    yield "be let in with a token"
    with visitor.token() as token:
        visitor.get("/validate", headers={"X-Vault-Token": token})
    yield "be refused with a revoked one"
    visitor.get("/validate", headers={"X-Vault-Token": token}, expect=(401,))
