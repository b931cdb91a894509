"""Reads and writes BPF maps; each type of map has its class."""
