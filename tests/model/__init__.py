"""Tests of tasks/model."""
