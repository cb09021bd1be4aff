"""Clients: what this program says to other programs' APIs, through the SSH connection: Vault, Dokploy."""
