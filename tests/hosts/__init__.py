"""Hosts as people have them: one small file for each kind of oddity, each condition with the exact words expected."""
