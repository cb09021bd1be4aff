"""Gone: what brings back a secret whose last version somebody has deleted in Vault, or destroyed. New ones would lock its service out."""

from tasks.model.targets import target
from tasks.rendering.render import SECRETS
from tasks.run import host, services, stack


def said(path: str, version: int, *, destroyed: bool) -> str:
    """In words. destroyed: the values themselves are away, which undelete does not bring back."""
    where, at = f"{stack().vault_mount}/{path}", f"-mount={stack().vault_mount}"
    if not destroyed:
        return (
            f"{where} was deleted in Vault: bring it back (vault kv undelete {at} -versions={version} {path}); "
            "new secrets would lock the service out of its data"
        )
    file = any(item.name == path and item.secrets for item in services())
    has = (
        f", {SECRETS}/{path}.env on {host().name} has those that it last ran with"
        if file
        else ", where you have them"
    )
    return (
        f"{where} was destroyed in Vault (version {version}), and undelete does not bring that back; new secrets would lock the service "
        f"out of its data. Write its values back (vault kv put {where} NAME=…){has}; or bring back an earlier version that is not "
        f"destroyed (vault kv metadata get {at} {path} lists them, vault kv rollback {at} -version=… {path}). Where nothing needs them any "
        f"more, vault kv metadata delete {at} {path}, and {target('deploy')} goes on with others"
    )
