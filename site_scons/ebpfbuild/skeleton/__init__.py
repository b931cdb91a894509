"""Writes the typed Python module for a program's objects, and runs bpftool for the one in C."""
