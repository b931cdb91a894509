"""Newer pins: upstream is asked, what the change means is said, toolchain.toml is rewritten; and pins are checked."""
