"""Contract doubles of Chatwoot, Botpress, Metabase and Dokploy, run as `python3 -m double PROGRAM ARGUMENT…`."""
