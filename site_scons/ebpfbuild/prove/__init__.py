"""Proves that an object compiled with a minimized header equals the one compiled with the full header."""
