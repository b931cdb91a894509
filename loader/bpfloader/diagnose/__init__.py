"""Explains a kernel's or libbpf's refusal, and says what to do about it."""
