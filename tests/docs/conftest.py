"""What this machine must allow for the pages' examples to run."""

import ctypes
import os

import pytest


@pytest.fixture(scope="session")
def kernel() -> None:
    """Skips where this process or this kernel can't load BPF objects."""
    try:
        ctypes.CDLL("libbpf.so.1")
    except OSError:
        pytest.skip("libbpf.so.1 is not installed (apt install libbpf1)")
    if os.geteuid() != 0:
        pytest.skip("loading BPF programs needs root")
    if not os.path.exists("/sys/kernel/btf/vmlinux"):
        pytest.skip("this kernel has no BTF (/sys/kernel/btf/vmlinux)")
