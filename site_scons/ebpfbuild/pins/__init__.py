"""Reads and edits toolchain.toml, the project's pins."""
