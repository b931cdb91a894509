"""Finds out what this kernel can do, by trying it."""
