"""Reads and writes BTF, the types of a BPF object."""
