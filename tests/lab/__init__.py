"""Throwaway hosts on which the real deploy runs."""
