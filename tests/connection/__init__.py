"""Tests of tasks/connection."""
