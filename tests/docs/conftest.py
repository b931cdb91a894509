"""What this machine must allow for the pages' examples to run."""

import os

import pytest


@pytest.fixture(scope="session")
def kernel(libbpf) -> None:
    """Skips where this process or this kernel can't load BPF objects."""
    if os.geteuid() != 0:
        pytest.skip("loading BPF programs needs root")
    if not os.path.exists("/sys/kernel/btf/vmlinux"):
        pytest.skip("this kernel has no BTF (/sys/kernel/btf/vmlinux)")
