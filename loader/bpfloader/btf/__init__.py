"""Reads BTF, an object's and the kernel's."""
