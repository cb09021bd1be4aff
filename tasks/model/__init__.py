"""Model: outside data → Stack, and the vocabulary in which services describe themselves. Nothing of ours below it."""
