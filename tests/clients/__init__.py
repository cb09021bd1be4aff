"""Tests of tasks/clients."""
