"""Maps that this kernel refuses: the next step is about what is wrong with that map, not about maps in general."""

import re

import bpfloader
import pytest
from bpfloader.diagnose.libbpf_messages import explain_load
from compiling import compile_text

MAP = """#include "mini_bpf.h"
char LICENSE[] SEC("license") = "GPL";
struct { %s } counts SEC(".maps");
"""
NUMA, NO_PREALLOC = "__uint(map_flags, 4);", "__uint(map_flags, 1);"
HASH = "__uint(type, 1); __uint(max_entries, 8); __uint(key_size, 4); __uint(value_size, 8);"
LRU = HASH.replace("type, 1", "type, 9")
REFUSED = {
    "an LRU map without preallocation": (LRU + NO_PREALLOC, "leave BPF_F_NO_PREALLOC out: a map of type lru_hash has"),
    "a NUMA node that isn't there": (HASH + NUMA + "__uint(numa_node, 99);", "give it a numa_node that is there"),
    "a flag of no map": (HASH + "__uint(map_flags, 0x800000);", "or other flags, of which linux/bpf.h says .* 0x800000"),
    "more CPUs than any": (
        "__uint(type, 16); __uint(max_entries, 1 << 20); __uint(key_size, 4); __uint(value_size, 4);",
        "E2BIG.* give a cpumap map max_entries of at least 1 and no more than the CPUs .* value_size 4 or 8$",
    ),
    "a type of no kernel": (HASH.replace("type, 1", "type, 77"), "type 77 of .*take a type that linux/bpf.h and this kernel"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_next_step_is_about_this_map(clang, kernel, name):
    declared, said = REFUSED[name]
    with bpfloader.Object.open(compile_text(clang, MAP % declared)) as bpf:
        with pytest.raises(bpfloader.LoadError) as caught:
            bpf.load()
    assert re.search(said, str(caught.value).splitlines()[0])


@pytest.mark.parametrize(("declared", "said"), [
    ("__uint(type, 2); __uint(max_entries, 1); __type(key, __u64); __type(value, __u32);", "give an array map .*key_size 4"),
    ("__uint(type, 3); __uint(max_entries, 1); __uint(key_size, 4); __uint(value_size, 8);", "give a prog_array map .* value_size 4"),
], ids=["array", "program array"])  # fmt: skip
def test_sizes_that_no_kernel_takes_are_told_without_a_skeleton(clang, libbpf, declared, said):
    """A key of 8 bytes for an array: there is no skeleton whose types could be wrong."""
    with pytest.raises(bpfloader.LayoutError, match=said):
        bpfloader.Object.open(compile_text(clang, MAP % declared))


@pytest.mark.parametrize("flags", [NUMA + "__uint(numa_node, 0);", NO_PREALLOC, ""])
def test_flags_that_fit_are_taken(clang, kernel, flags):
    with bpfloader.Object.open(compile_text(clang, MAP % (HASH + flags))) as bpf:
        bpf.load()
        assert len(bpf.maps.counts) == 0


@pytest.mark.parametrize(("inside", "said"), [
    (True, "run it outside its user namespace, .*, or give it a BPF file system that delegates: open.token=…"),
    (False, "boot a kernel with CONFIG_BPF_SYSCALL=y|run it without its seccomp filter"),
], ids=["in a user namespace", "outside"])  # fmt: skip
def test_a_process_that_may_load_nothing_is_told_of_its_user_namespace(monkeypatch, inside, said):
    """Seen on Linux 7.3: root of a user namespace was told to boot another kernel."""
    monkeypatch.setattr("bpfloader.kernel.host.in_user_namespace", lambda: inside)
    text = "libbpf: Error in bpf_object__probe_loading():EPERM. Couldn't load trivial BPF program."
    explanation = explain_load(text, "", None)
    assert explanation.what == "the kernel denies even the simplest program" and re.match(said, explanation.fix)
