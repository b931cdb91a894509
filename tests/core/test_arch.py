"""One table of arches, every spelling in it once, and the tables elsewhere that need a row for each arch."""

import re
from pathlib import Path

import pytest
from bpfloader.arch import folder_of
from bpfloader.kernel.syscall import SYSCALL_NUMBERS
from ebpfbuild.arch import ARCHES, BY_NAME, EVERY_ARCH, OTHER_ARCHES, arch_named, arches_named, host_arch
from ebpfbuild.errors import ArchError, PinError
from ebpfbuild.header import PT_REGS_MEMBER
from ebpfbuild.pins.toolchain import load

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "alias, name",
    [("arm64", "aarch64"), ("x86", "x86_64"), ("riscv", "riscv64"), ("loongarch", "loongarch64"), ("ppc64le", "powerpc"), ("ARM64", "aarch64")],
)
def test_an_alias_stands_for_its_arch(alias, name):
    assert arch_named(alias).name == name


def test_no_spelling_means_two_arches():
    assert len(BY_NAME) == sum(1 + len(arch.aliases) for arch in EVERY_ARCH)


def test_a_comma_list_names_each_arch_once():
    assert [arch.name for arch in arches_named("arm64, x86,aarch64")] == ["x86_64", "aarch64"]
    assert arches_named("all") == ARCHES
    with pytest.raises(ArchError, match="ARCH: names no arch"):
        arches_named(" , ")


@pytest.mark.parametrize("name", ["i386", "I686", "riscv32", "sparc64", "mips", "vax"])
def test_a_cpu_that_is_none_of_these_gets_the_list_and_no_odd_guess(name):
    with pytest.raises(ArchError) as error:
        arch_named(name)
    assert "did you mean" not in str(error.value)
    assert str(error.value).endswith("loongarch64; and, with a header of your own, mips64, mips64el, ppc64, armeb)")


@pytest.mark.parametrize("arch", OTHER_ARCHES, ids=lambda arch: arch.name)
def test_an_arch_without_a_header_upstream_is_known_and_not_among_all(arch):
    assert arch_named(arch.name) is arch and arches_named(f"x86_64,{arch.name}")[-1] is arch
    assert arch not in arches_named("all")
    with pytest.raises(PinError, match=f"{arch.name} has no pin; make the header on such a machine, bpftool btf dump"):
        load(ROOT / "toolchain.toml").header(arch.name)


@pytest.mark.parametrize("machine, little, name", [("mips64", True, "mips64el"), ("mips64", False, "mips64"), ("armv7b", False, "armeb"), ("ppc64", False, "ppc64")])
def test_a_machine_of_theirs_is_told_apart_by_its_byte_order(machine, little, name, monkeypatch):
    monkeypatch.setattr("sys.byteorder", "little" if little else "big")
    assert host_arch(machine).name == folder_of(machine) == name
    assert (machine, 8 * host_arch(machine).pointer) in SYSCALL_NUMBERS


def test_a_typo_gets_its_neighbour_and_the_list():
    with pytest.raises(ArchError, match=r"ARCH: no arch is called 'aarch46'; did you mean aarch64\? \(there are x86_64, "):
        arches_named("aarch46")


@pytest.mark.parametrize("machine, name", [("x86_64", "x86_64"), ("armv6l", "arm"), ("ppc64le", "powerpc"), ("s390x", "s390x")])
def test_the_machine_s_own_name_tells_its_arch(machine, name):
    assert host_arch(machine).name == name


@pytest.mark.parametrize("arch", ARCHES, ids=lambda arch: arch.name)
def test_each_table_has_a_row_for_each_arch(arch):
    """docs/ARCHITECTURE.md lists the tables, under "How to add an arch"."""
    help_text = re.search(r'^HELP = """$(.*?)^"""$', (ROOT / "site_scons/site_tools/ebpf/cmdline.py").read_text(), re.MULTILINE | re.DOTALL)
    lacking = [
        table
        for table, has_row in {
            "ebpfbuild/header.py: PT_REGS_MEMBER": arch.name in PT_REGS_MEMBER,
            "site_tools/ebpf/cmdline.py: HELP": re.search(rf"\b{arch.name}\b", help_text[1]),
            "bpfloader/arch.py: FOLDERS": folder_of(arch.machine) == arch.name,
            "bpfloader/kernel/syscall.py: SYSCALL_NUMBERS": (arch.machine, 8 * arch.pointer) in SYSCALL_NUMBERS,
            "toolchain.toml: vmlinux": arch.name in load(ROOT / "toolchain.toml").vmlinux,
        }.items()
        if not has_row
    ]
    assert lacking == []
