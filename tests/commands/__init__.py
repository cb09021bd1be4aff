"""Tests of tasks/commands."""
