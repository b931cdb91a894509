"""Finds functions in binaries, and names for addresses."""
