"""Calls libbpf.so.1: the library, its functions' prototypes, its structs, its messages."""
