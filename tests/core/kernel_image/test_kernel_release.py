"""A kernel's release, told by what it says of itself or by its file's name."""

import pytest
from ebpfbuild.kernel_image.release import release_of

X86 = (bytes(0x202) + b"HdrS" + bytes(8) + b"\x10\x00").ljust(0x210, b"\0") + b"6.12.117+deb13-cloud-amd64 (x@y) #1\0"


@pytest.mark.parametrize(
    "data, name, release",
    [
        (X86, "bzImage", "6.12.117+deb13-cloud-amd64"),
        (b"...Linux version 6.6.40-rt (me@here) #2\n", "Image", "6.6.40-rt"),
        (b"", "linux-image-6.1.0-50-armmp_6.1.176-1_armhf.deb", "6.1.0"),
        (b"", "5.4.0-91-generic.btf", "5.4.0"),
        (b"", "linux-6.6.40.btf.gz", "6.6.40"),
        (b"", "usr/lib/modules/7.2.13+deb14-riscv64/vmlinuz", "7.2.13+deb14"),
        (b"", "tool-1.2.btf", ""),
        (X86[:0x20E], "vmlinux", ""),
    ],
)
def test_the_release(data, name, release):
    assert release_of(data, name) == release
