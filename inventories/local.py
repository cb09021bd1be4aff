"""The machine that pyinfra runs on: for a VPS that deploys to itself."""

from tasks.connection.inventory import hosts

nodes = hosts("@local")
