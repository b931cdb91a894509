"""Finds out what this kernel supports, by trying it."""
