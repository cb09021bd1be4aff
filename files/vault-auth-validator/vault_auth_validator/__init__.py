"""vault-auth-validator: says whether a request carries a live Vault token, and whose it is."""

__version__ = "1.0.0"
