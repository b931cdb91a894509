"""Reads ELF objects for BPF, and writes them without their DWARF."""
