"""Tests of the deploy, and the lab they run on."""
