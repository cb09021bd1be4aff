"""Tests of tasks/facts."""
