"""Maps that declare no size, as those of libbpf-tools: the depth of stacks and the number of entries are arguments."""

import json
import subprocess
import sys
from pathlib import Path

import bpfloader
import pytest
from bpfloader.verifier.verify import verify
from compiling import compile_text
from ebpfbuild.boot import guest

SIZES_OF_ITS_TOOL = """#include "mini_bpf.h"
char LICENSE[] SEC("license") = "GPL";
static long (*bpf_get_stackid)(void *ctx, void *map, __u64 flags) = (void *)27;
struct { __uint(type, 7); __uint(key_size, 4); } addresses SEC(".maps"); /* BPF_MAP_TYPE_STACK_TRACE */
struct { __uint(type, 7); __uint(map_flags, 1 << 5); __uint(key_size, 4); } build_ids SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __type(key, __u32); __type(value, __u64); } counts SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); } events SEC(".maps");
SEC("raw_tp/sched_switch") int on_switch(void *ctx)
{
	__u32 key = bpf_get_stackid(ctx, &addresses, 0) + bpf_get_stackid(ctx, &build_ids, 1 << 8);
	return bpf_map_lookup_elem(&counts, &key) != (void *)&events;
}
"""
PROBE = """
import json, sys
sys.path[:0] = sys.argv[1:2]
from guest.probe import probe_objects
spec = {"path": [sys.argv[2]], "loader": "bpfloader", "file": sys.argv[3], "sha256": ""}
probe_objects([spec], lambda kind, **said: print(json.dumps([kind, said]), flush=True))
"""


@pytest.fixture(scope="module")
def path(clang, kernel, tmp_path_factory):
    path = tmp_path_factory.mktemp("sizes") / "sizes.bpf.o"
    path.write_bytes(compile_text(clang, SIZES_OF_ITS_TOOL))
    with bpfloader.Object.open(path) as bpf, pytest.raises(bpfloader.LoadError, match="max_entries 0"):
        bpf.load()
    return str(path)


def test_they_are_verified(path):
    (found,) = verify(path)
    assert (found.verdict, found.reason) == ("loaded", "") and found.figures.insns


def test_they_are_tried_in_a_guest(path):
    """On this kernel, by what runs in the guest."""
    folders = str(Path(guest.__file__).parent.parent), str(Path(bpfloader.__file__).parent.parent)
    command = [sys.executable, "-c", PROBE, *folders, path]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    found = {kind: said for kind, said in map(json.loads, done.stdout.splitlines())}
    assert (found["program"]["load"], found["program"]["attach"], found["object"]["error"]) == ("", "", "")
