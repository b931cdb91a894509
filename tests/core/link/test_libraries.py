"""Which of the linker's libraries a machine needs, and what is said where none is pinned for it."""

import pytest
from ebpfbuild.errors import LinkError
from ebpfbuild.link.libraries import libraries_for

MACHINES = [
    ("x86_64", (2, 41), ["libz", "libelf", "libbpf"], None),
    ("x86_64", (2, 38), ["libz", "libelf", "libbpf"], None),
    ("x86_64", (2, 36), ["libz", "libelf", "libbpf"], "glibc"),
    ("aarch64", (2, 31), ["libz", "libelf", "libbpf"], "glibc"),
]


@pytest.mark.parametrize(("machine", "glibc", "keys", "c_library"), MACHINES)
def test_each_machine_gets_libraries_that_it_can_load(pinned, machine, glibc, keys, c_library):
    needed = libraries_for(pinned.toolchain.linker, machine, glibc)
    assert [tree.key for tree in needed.libraries] == keys
    assert (needed.c_library and needed.c_library.key) == c_library
    trees = [*needed.libraries, *filter(None, [needed.c_library])]
    assert all(f"/{machine}-linux-gnu" in source.inside for tree in trees for source in tree.sources)


@pytest.mark.parametrize(("machine", "glibc", "said"), [
    ("ppc64le", (2, 41), "is not pinned for this machine, ppc64le; add tables [linker.powerpc.…] as those of another arch, or "),
    ("pdp11", (2, 41), "is not pinned for this machine, pdp11; add tables [linker.pdp11.…]"),
    ("x86_64", (), "needs glibc, and this machine's C library is another one; build where there is glibc"),
])  # fmt: skip
def test_a_machine_that_none_is_pinned_for(pinned, machine, glibc, said):
    with pytest.raises(LinkError) as caught:
        libraries_for(pinned.toolchain.linker, machine, glibc)
    assert f"linker: libbpf's linker {said}" in str(caught.value)


def test_an_old_machine_without_a_pinned_glibc(pinned):
    pin = pinned.toolchain.linker._replace(c_library={})
    with pytest.raises(LinkError, match=r"needs glibc 2.38, this machine has 2.36, and no other is pinned; add a table \[linker"):
        libraries_for(pin, "x86_64", (2, 36))
