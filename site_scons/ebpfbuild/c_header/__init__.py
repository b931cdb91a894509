"""Writes a vmlinux.h out of a kernel's BTF, in the form of `bpftool btf dump file … format c`."""
