"""Resolves CO-RE relocations against a kernel's BTF by libbpf's rules, without libbpf and without that kernel."""
