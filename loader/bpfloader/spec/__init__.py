"""Reads object files without a kernel: programs, maps, variables, and the kernel that they need."""
