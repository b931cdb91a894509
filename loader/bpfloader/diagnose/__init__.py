"""Explains a refusal by the kernel or by libbpf, and names the next step."""
