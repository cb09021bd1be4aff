"""Commands: what a person runs alone, `pyinfra -y inventories/prod.py tasks.commands.<name>.run`."""
