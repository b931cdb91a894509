"""One table of arches, every spelling in it once."""

import pytest
from ebpfbuild.arch import ARCHES, BY_NAME, arch_named, arches_named, host_arch
from ebpfbuild.errors import ArchError


@pytest.mark.parametrize(
    "alias, name",
    [("arm64", "aarch64"), ("x86", "x86_64"), ("riscv", "riscv64"), ("loongarch", "loongarch64"), ("ppc64le", "powerpc"), ("ARM64", "aarch64")],
)
def test_aliases(alias, name):
    assert arch_named(alias).name == name


def test_no_spelling_means_two_arches():
    assert len(BY_NAME) == sum(1 + len(arch.aliases) for arch in ARCHES)


def test_lists():
    assert [arch.name for arch in arches_named("arm64, x86,aarch64")] == ["x86_64", "aarch64"]
    assert arches_named("all") == ARCHES
    with pytest.raises(ArchError, match="ARCH: names no arch"):
        arches_named(" , ")


def test_a_typo_gets_its_neighbour_and_the_list():
    with pytest.raises(ArchError, match=r"ARCH: no arch is called 'aarch46'; did you mean aarch64\? \(there are x86_64, "):
        arches_named("aarch46")


@pytest.mark.parametrize("machine, name", [("x86_64", "x86_64"), ("armv6l", "arm"), ("ppc64le", "powerpc"), ("s390x", "s390x")])
def test_this_machine(machine, name):
    assert host_arch(machine).name == name
