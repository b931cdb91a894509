"""What is made for guests, which have no compiler: the program with probes, for each arch that a guest may have."""

import pytest


@pytest.mark.parametrize(("arch", "constant"), [("x86_64", "$7"), ("aarch64", "7"), ("arm", "#7"), ("riscv64", "7")])
def test_a_static_probe_is_written_as_libbpf_reads_it_on_that_arch(clang, arch, constant):
    from prebuilt import probed

    assert f"tests\0beat\x004@{constant}\0".encode() in probed(arch, "-c")
