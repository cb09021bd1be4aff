"""Deploys of a part, or with a part broken on purpose: what pyinfra executes in place of deploy.py."""
