"""A libbpf.so.1 for a wheel, built of pinned sources for any arch, and what it needs of a C library."""
