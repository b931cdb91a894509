"""Says what an object holds, from its file: maps, programs, variables, kconfig values."""
