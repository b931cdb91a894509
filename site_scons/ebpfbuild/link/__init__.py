"""Links several objects into one: libbpf's linker in a process of its own, and its refusals in words."""
