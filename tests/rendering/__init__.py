"""Tests of tasks/rendering."""
