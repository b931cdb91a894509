"""The guard: registers of one arch are no registers of another."""

import pytest
from ebpfbuild.arch import ARCHES, arch_named
from ebpfbuild.errors import HeaderError
from ebpfbuild.header import PT_REGS_MEMBER, arch_of_registers, check_header


def header(member):
    return b"#define X\nstruct a {\n\tint b;\n};\n\nstruct pt_regs {\n\tlong unsigned int %s\n};\n" % member


@pytest.mark.parametrize("arch", ARCHES, ids=lambda arch: arch.name)
def test_each_arch_takes_its_own_registers_and_no_other(arch):
    for other in ARCHES:
        data = header(PT_REGS_MEMBER[other.name] + b";")
        if other is arch:
            assert check_header(data, arch, "pin") is None
        else:
            with pytest.raises(HeaderError, match=f"does not fit {arch.name} .*{other.name}'s; .*, or use this one for {other.name}"):
                check_header(data, arch, "pin")


def test_a_header_without_registers_or_without_anything():
    with pytest.raises(HeaderError, match="no struct pt_regs that is known"):
        check_header(b"\nstruct a {\n};\n", arch_named("arm"), "pin")
    with pytest.raises(HeaderError, match="is no vmlinux.h: 12 bytes"):
        check_header(b"/* stub */\n\n", arch_named("arm"), "pin")


def test_registers_of_the_first_struct_only():
    assert arch_of_registers(header(b"orig_ax;") + b"struct later {\n\tint orig_x0;\n};\n") == "x86_64"


@pytest.mark.parametrize("line", [b"#include <a.h>\n", b"  # import <b.h>\n", b"#ifdef X\n#if __has_include(<a.h>)\n"])
def test_a_header_that_asks_for_other_files_is_refused(line):
    with pytest.raises(HeaderError, match="^pin: holds `.*(a|b|include).*`; a vmlinux.h that asks for other files .*; pin a whole header"):
        check_header(header(b"orig_ax;") + line, arch_named("x86_64"), "pin")
