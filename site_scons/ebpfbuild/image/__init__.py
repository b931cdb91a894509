"""Writes BPF objects as OCI images, for bpfman and for inspektor-gadget."""
