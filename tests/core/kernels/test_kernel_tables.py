"""The core's tables of what came with which Linux are the loader's: the same file, and the same answer for any instruction."""

from pathlib import Path

import pytest
from bpfloader.kernel import instructions as loader_instructions
from bpfloader.spec.first_kernel import _instruction_set, needs
from bpfloader.spec.object import object_spec
from ebpfbuild.btf.reader import Btf
from ebpfbuild.core_relo.patch import instructions
from ebpfbuild.kernels.check import ObjectCheck
from ebpfbuild.kernels.kernel import Kernel
from ebpfbuild.kernels.needs import instruction_needs
from ebpfbuild.kernels.versions import version_of
from ebpfbuild.spec.object import ObjectSpec
from hypothesis import example, given
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[3]


def test_the_table_is_the_loaders():
    own, loaders = (ROOT / path for path in ("site_scons/ebpfbuild/kernels/versions.py", "loader/bpfloader/kernel/versions.py"))
    assert own.read_bytes() == loaders.read_bytes(), "copy the loader's over: cp loader/bpfloader/kernel/versions.py site_scons/ebpfbuild/kernels/"


@given(code=st.binary(min_size=8, max_size=8))
@example(b"\x0e" + bytes(7))
@example(b"\xed" + bytes(7))
@example(b"\xdf" + bytes(7))
def test_any_instruction_came_with_the_kernel_that_inspect_says(code):
    (loaders,) = loader_instructions.instructions(code, True)
    theirs = set()
    if loaders.code not in (loader_instructions.CALL, loader_instructions.EXIT):
        theirs = {(need.what, need.kernel) for need in _instruction_set(loaders)}
    assert {(need.what, need.kernel) for need in instruction_needs(instructions(code, True)[0])} == theirs


@pytest.mark.parametrize("name", ["kinds", "maps"])
def test_what_inspect_asks_of_a_kernel_fails_on_an_older_one(compile_bpf, name):
    """On a kernel of each release that inspect names, less is missing than on the one before, and nothing on the newest."""
    data = compile_bpf(ROOT / "tests" / "testdata" / "loader" / f"{name}.bpf.c", flags=("-I" + str(ROOT / "tests" / "testdata"),))
    wanted = [need for need in needs(object_spec(data, name)) if need.user]
    check, empty = ObjectCheck(ObjectSpec.from_bytes(data)), Btf.none(True)

    def lacking(release: str) -> set[str]:
        found = {problem.there for row in check.on(Kernel("k", "x86_64", release, empty)) for problem in row.problems if problem.kind in ("helper", "instruction")}
        return {text.rpartition(" ")[2] for text in found}

    reached = lacking("4.0.1")
    assert reached <= {need.kernel for need in wanted}
    for kernel in sorted(reached, key=version_of):
        assert kernel not in lacking(f"{kernel}.0")
    assert lacking("99.1") == set()
