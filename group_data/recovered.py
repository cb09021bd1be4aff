"""Recovered: none. The settings of a host that `make recover` brought back were in its bucket, and stand in the inventory's file."""
