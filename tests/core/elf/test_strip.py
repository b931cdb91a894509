"""Stripping: DWARF goes, BTF stays, and what is left is what llvm-strip leaves and what libbpf loads."""

import ctypes
import os
import shutil
import subprocess
import time

import pytest
from btfshuffle import any_order, shuffled
from ebpfbuild.btf.canonical import canonical_object
from ebpfbuild.elf.reader import SHT_LLVM_ADDRSIG, SHT_REL, SHT_STRTAB, SHT_SYMTAB, STT_FILE, Elf
from ebpfbuild.elf.strip import strip_dwarf
from ebpfbuild.errors import ElfError
from ebpfbuild.spec.object import ObjectSpec
from fuzzing import EDITS, mutate
from hypothesis import given, settings
from hypothesis import strategies as st

TARGETS = ("bpfel", "bpfeb")
LABELS = """#include "mini_bpf.h"
extern int never_used(void);
SEC("xdp") int labels(void *ctx) { asm volatile("lab_one: r0 = 0" ::: "r0"); return bpf_get_current_pid_tgid(); }
char LICENSE[] SEC("license") = "GPL";
"""


@pytest.mark.parametrize("target", TARGETS)
def test_dwarf_goes_and_all_that_libbpf_reads_stays(sample, target):
    before, after = Elf.parse(sample(target)), Elf.parse(strip_dwarf(sample(target)))
    kept = [s.name for s in before.sections if ".debug" not in s.name and s.name != ".llvm_addrsig"]
    assert [section.name for section in after.sections] == kept
    assert {".BTF", ".BTF.ext", ".rel.BTF", ".rel.BTF.ext"} <= set(kept)
    for section in after.sections:
        if section.type not in (SHT_SYMTAB, SHT_STRTAB) and not section.name.startswith(".rel"):
            assert section.data == before.section(section.name).data
    assert not [symbol for symbol in after.symbols if symbol.type == STT_FILE]


@pytest.mark.parametrize("target", TARGETS)
def test_what_an_object_means_does_not_change(sample, target):
    before = ObjectSpec.from_bytes(sample(target))
    after = ObjectSpec.from_bytes(strip_dwarf(sample(target)))
    for part in ("license", "version", "maps", "programs", "subprograms", "data", "kconfig", "ksyms", "struct_ops"):
        assert getattr(after, part) == getattr(before, part)


def test_stripping_is_deterministic_and_done_once(sample):
    once = strip_dwarf(sample())
    assert strip_dwarf(sample()) == once
    assert strip_dwarf(once) == once


def seen(elf):
    """Sections, symbols and relocations with every number replaced by the name that it stands for."""
    names = [section.name for section in elf.sections]
    symbols = [
        (s.name, s.value, s.size, s.type, s.bind, s.other, names[s.section] if s.section < 0xFF00 else s.section)
        for s in elf.symbols
    ]
    sections = [
        (s.name, s.type, s.flags, s.align, s.entsize, names[s.link], s.info if s.type == SHT_SYMTAB else names[s.info])
        for s in elf.sections
        if s.type != SHT_LLVM_ADDRSIG
    ]
    kept = [s for s in elf.sections if s.type not in (SHT_SYMTAB, SHT_STRTAB, SHT_LLVM_ADDRSIG, SHT_REL)]
    rows = {s.name: [(r.offset, symbols[r.symbol], r.type) for r in elf.relocations(s)] for s in kept}
    return sections, symbols, rows, {s.name: s.data for s in kept}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("source", ("sample", "labels"))
def test_the_result_is_what_llvm_strip_leaves(sample, compile_bpf, tmp_path, target, source):
    tool = shutil.which("llvm-strip")
    if not tool:
        pytest.skip("there is no llvm-strip to compare with")
    data = sample(target) if source == "sample" else compile_bpf(LABELS, target)
    file = tmp_path / "x.o"
    file.write_bytes(data)
    subprocess.run([tool, "-g", str(file)], check=True)
    theirs, ours = file.read_bytes(), strip_dwarf(data)
    assert seen(Elf.parse(ours)) == seen(Elf.parse(theirs))
    assert len(ours) <= len(theirs)


LOADS = """#include "mini_bpf.h"
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u64);
} seen SEC(".maps");
const volatile __u32 add = 3;
__u64 total;
static __noinline int twice(__u32 x) { return x * 2 + add; }
SEC("xdp") int loads(void *ctx)
{
	__u32 key = 1;
	__u64 *value = bpf_map_lookup_elem(&seen, &key);
	total += twice(value ? *value : 0);
	return 2;
}
char LICENSE[] SEC("license") = "GPL";
"""


def load(libbpf, data):
    """What bpf_object__load returns for an object, after its program was found; None if it can't be opened."""
    opened = libbpf.bpf_object__open_mem(data, len(data), None)
    if not opened:
        return None
    assert libbpf.bpf_program__name(libbpf.bpf_object__next_program(opened, None)) == b"loads"
    result = libbpf.bpf_object__load(opened)
    libbpf.bpf_object__close(opened)
    return result


@pytest.fixture
def loading(libbpf):
    """libbpf's functions that load an object."""
    library = ctypes.CDLL("libbpf.so.1")
    library.bpf_object__open_mem.restype = ctypes.c_void_p
    library.bpf_object__open_mem.argtypes = (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p)
    library.bpf_object__next_program.restype = ctypes.c_void_p
    library.bpf_object__next_program.argtypes = (ctypes.c_void_p, ctypes.c_void_p)
    library.bpf_program__name.restype = ctypes.c_char_p
    for name in ("bpf_program__name", "bpf_object__load", "bpf_object__close"):
        getattr(library, name).argtypes = (ctypes.c_void_p,)
    return library


def test_libbpf_and_the_kernel_take_the_result(loading, compile_bpf):
    whole = compile_bpf(LOADS, "bpf")
    stripped = strip_dwarf(whole)
    assert len(stripped) < len(whole)
    expected = load(loading, whole)
    assert load(loading, stripped) == expected is not None
    for seed in range(3):  # BTF in canonical form, whatever order clang gave its types
        assert load(loading, canonical_object(shuffled(whole, any_order, seed))) == expected
    if expected:
        pytest.skip(f"opened, but this kernel or user may not load it: {os.strerror(-expected)}")


@given(edits=EDITS, target=st.sampled_from(TARGETS))
@settings(max_examples=200, deadline=None)
def test_a_damaged_object_gives_an_error_or_a_readable_result(sample, edits, target):
    started = time.process_time()
    try:
        stripped = strip_dwarf(mutate(sample(target), edits))
    except ElfError:
        pass
    else:
        Elf.parse(stripped)
    assert time.process_time() - started < 1
