"""Functions that the compiler inlined, by DWARF of both versions, in the binary or in its debug file."""

import os
import shutil
import subprocess
import sys

import bpfloader
import pytest
from bpfloader.symbols import user
from bpfloader.symbols.binary import Binary
from bpfloader.symbols.inlined import InlinedCalls
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

PROGRAM = """
static inline __attribute__((always_inline)) int inner(int number)
{
	__asm__ volatile("nop\\n.globl inlined_here\\n.type inlined_here, @object\\ninlined_here: nop\\nnop" ::: "memory");
	return number + 1;
}

static inline __attribute__((always_inline)) int outer(int number)
{
	return inner(number) * 3;
}

__attribute__((noinline)) int serve(int number)
{
	return outer(number) + 1;
}

int main(int argc, char **argv)
{
	return serve(argc);
}
"""


@pytest.fixture(scope="module", params=[4, 5])
def program(cc, request, tmp_path_factory):
    """A program with DWARF of a version, stripped beside it with its debug file, and an offset in the inlined code."""
    pytest.importorskip("elftools", reason="pyelftools is not installed (pip install pyelftools)")
    if not shutil.which("objcopy"):
        pytest.skip("there is no objcopy (apt install binutils)")
    folder = tmp_path_factory.mktemp("inlined")
    (folder / "program.c").write_text(PROGRAM)
    command = [*cc, "-O1", f"-gdwarf-{request.param}", "-o", folder / "whole", folder / "program.c"]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip(f"{cc[-1]} makes no such program here")
    for step in (["objcopy", "--only-keep-debug", "whole", "stripped.debug"], ["strip", "-o", "stripped", "whole"],
                 ["objcopy", "--add-gnu-debuglink=stripped.debug", "stripped"]):  # fmt: skip
        subprocess.run(step, cwd=folder, check=True)
    said = subprocess.run(["nm", folder / "whole"], capture_output=True, text=True, check=True).stdout
    address = next(int(line.split()[0], 16) for line in said.splitlines() if line.endswith(" inlined_here"))
    with open(folder / "whole", "rb") as file:
        (segment,) = Binary(file).segments()
    return folder, address - segment.address + segment.offset


@pytest.mark.parametrize("name", ["whole", "stripped"])
def test_inlined_functions_stand_before_the_one_that_they_are_in(program, name, monkeypatch):
    folder, offset = program
    symbols, pid = bpfloader.UserSymbols(inlined=True), os.getpid()
    region = user.Region(0x10000, 0x90000, 0, str(folder / name))
    known = symbols._look_at(pid)
    known.regions, known.starts = [region], [region.start]
    monkeypatch.setattr(known, "update", lambda maps: None)
    first, second, function = symbols.symbols((0x10000 + offset,), pid, offset=False)
    assert [first, second, function] == [f"inner [{name}] (inlined)", f"outer [{name}] (inlined)", f"serve [{name}]"]
    assert symbols.symbol(0x10000 + offset, pid, offset=False) == function
    assert bpfloader.UserSymbols()._extras != symbols._extras


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=8))
def test_damaged_dwarf_gives_names_or_none(program, tmp_path, edits):
    folder, _ = program
    data = bytearray((folder / "stripped.debug").read_bytes())
    for place, byte in edits:
        data[place % len(data)] = byte
    (tmp_path / "damaged").write_bytes(data)
    with open(tmp_path / "damaged", "rb") as file:
        try:
            calls = InlinedCalls(file)
        except ValueError:
            return
        for span, _ in calls._units[:3]:
            assert all(isinstance(name, str) for name in calls.at(span.start))


def test_without_pyelftools_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "elftools.elf.elffile", None)
    with pytest.raises(bpfloader.LibraryError, match="inlined functions need pyelftools; pip install pyelftools"):
        bpfloader.UserSymbols(inlined=True)
