"""Settings of a map between open and load, pins, and objects without a skeleton."""

import os
import re
import shutil
from pathlib import Path

import bpfloader
import pytest
from compiling import compile_text
from probing import run_python

LRU_HASH, BPF_F_NUMA_NODE = 9, 1 << 2  # linux/bpf.h


def test_a_map_is_shaped_before_load(opened_with):
    bpf = opened_with("counts slots bloom")
    counts = bpf.maps.counts
    counts.type, counts.max_entries, counts.map_flags, counts.numa_node = LRU_HASH, 10, BPF_F_NUMA_NODE, 0
    bpf.maps.bloom.map_extra = 3
    assert (counts.type, counts.numa_node, counts.pin_path) == (LRU_HASH, 0, None)
    assert not bpf.maps.big.autocreate and counts.autocreate
    with pytest.raises(bpfloader.StateError, match="before load"):
        counts.info  # noqa: B018
    bpf.load()
    info = counts.info
    assert (info.type, info.max_entries, info.map_flags, info.name) == (LRU_HASH, 10, BPF_F_NUMA_NODE, "counts")
    assert info.id == counts.id > 0 and (info.key_size, info.value_size) == (counts.key_size, counts.value_size) == (
        4,
        8,
    )
    assert bpf.maps.bloom.info.map_extra == 3
    counts.update((number, number) for number in range(100))  # an LRU hash makes room
    assert len(counts) <= 10 + 2 * os.cpu_count()
    for name, value in dict(type=1, max_entries=1, map_flags=0, numa_node=0, autocreate=True, pin_path="/x").items():
        with pytest.raises(bpfloader.StateError, match=f"{name} of the map counts can't be changed after load"):
            setattr(counts, name, value)
    with pytest.raises(bpfloader.StateError, match="big was not created; set its autocreate = True"):
        bpf.maps.big[0]


def test_a_map_keeps_the_form_of_its_values(opened_with):
    """A value for each CPU needs more room than one: the kernel would write beyond it."""
    bpf = opened_with("counts percpu_counts")
    for name, number in (("counts", 5), ("percpu_counts", 9), ("percpu_pairs", 2)):
        with pytest.raises(bpfloader.MapError, match=f"{name} can't become one of type {number}"):
            bpf.maps[name].type = number
    bpf.maps.percpu_counts.type = 10
    for name, kind in (("counts", bpfloader.PerCpuHash), ("percpu_counts", bpfloader.Hash)):
        with pytest.raises(bpfloader.LayoutError, match=f"{name} has type .*, which is no {kind.__name__}"):
            kind(bpf, name, bpfloader.native_endian.u32, bpfloader.native_endian.u64)
    bpf.load()
    assert bpf.maps.percpu_counts.info.type == 10


def test_typed_keys_keep_their_size(opened_with):
    bpf = opened_with("counts traces")
    with pytest.raises(bpfloader.LayoutError, match="the values of counts are u64, which has 8 bytes"):
        bpf.maps.counts.value_size = 4
    bpf.maps.traces.value_size = 64
    bpf.load()
    assert bpf.maps.traces.info.value_size == 64


def test_a_map_is_pinned_and_taken_up_again(opened_with, bpffs, maps_skel):
    path = bpffs / "big"
    bpf = opened_with("big counts")
    bpf.maps.counts.pin_path = bpffs / "counts"
    bpf.load()
    bpf.maps.counts[1] = 11
    bpf.maps.big[1] = maps_skel.Pair(1, 2)
    bpf.maps.big.pin(path)
    with pytest.raises(bpfloader.MapError, match="can't pin the map big to .*EEXIST"):
        bpf.maps.big.pin(path)
    again = opened_with("big counts")
    again.maps.big.reuse(path)
    again.maps.counts.pin_path = str(bpffs / "counts")
    again.load()
    assert again.maps.counts.pin_path == str(bpffs / "counts")
    assert (again.maps.big.id, again.maps.counts.id) == (bpf.maps.big.id, bpf.maps.counts.id)
    bpf.destroy()
    assert again.maps.big[1] == maps_skel.Pair(1, 2) and again.maps.counts[1] == 11
    again.maps.big.unpin(path)
    again.maps.counts.unpin()
    assert not {"big", "counts"} & {entry.name for entry in bpffs.iterdir()}
    with pytest.raises(bpfloader.MapError, match="can't unpin the map counts at .*ENOENT"):
        again.maps.counts.unpin()
    with pytest.raises(bpfloader.MapError, match="no pin_path; say what to unpin"):
        again.maps.big.unpin()


@pytest.mark.parametrize("name", ["devices", "devices_by_name"])
def test_a_map_that_the_kernel_makes_read_only_is_taken_up_again(opened_with, bpffs, name):
    """Of a devmap the kernel tells BPF_F_RDONLY_PROG, which nobody may declare (cilium/ebpf #925)."""
    seen = set()
    for _ in range(2):
        bpf = opened_with(name)
        bpf.maps[name].pin_path = bpffs / name
        bpf.load()
        seen.add(bpf.maps[name].id)
        bpf.destroy()
    for _ in range(2):
        bpf = opened_with(name)
        bpf.load(pin=bpffs / "daemon")
        seen.add(bpf.maps[name].id)
        bpf.destroy()
    assert len(seen) == 2
    other = opened_with(name)
    other.maps[name].pin_path, other.maps[name].max_entries = bpffs / name, 5
    for _ in range(2):
        with pytest.raises(bpfloader.MapError, match="pinned at .* has max_entries 4, the program declares max_entries 5; "):
            other.load()


def test_a_ring_of_an_odd_size_is_taken_up_again(rings_skel, bpffs, kernel):
    """Its size is rounded up to whole pages before it is compared (libbpf #531)."""
    seen = set()
    for _ in range(2):
        with rings_skel.Rings.open() as bpf:
            bpf.select([])
            bpf.maps.ring.max_entries, bpf.maps.ring.pin_path = 5000, bpffs / "ring"
            bpf.load()
            seen.add(bpf.maps.ring.id)
    assert len(seen) == 1


def test_two_objects_share_a_map(opened_with, using):
    first = using("counts")
    second = opened_with("counts")
    second.maps.counts.reuse(first.maps.counts)
    second.load()
    second.maps.counts[7] = 70
    assert first.maps.counts[7] == 70 and first.maps.counts.id == second.maps.counts.id


@pytest.mark.parametrize("source, said", [
    ("/no/such/pin", "can't take what is pinned at /no/such/pin .ENOENT"),
    (0, "the descriptor 0 is no map's"),
])  # fmt: skip
def test_what_is_no_map_is_not_reused(opened_with, source, said):
    with pytest.raises(bpfloader.MapError, match=said):
        opened_with("counts").maps.counts.reuse(source)


def test_a_map_of_another_shape_is_not_reused(opened_with, using):
    with pytest.raises(bpfloader.MapError, match=r"\(type, key_size, value_size\) is \(1, 8, 8\), not \(1, 4, 8\)"):
        opened_with("counts").maps.counts.reuse(using("big").maps.big)


def test_inner_maps_as_another_map_is(opened_with, using):
    other = using("guarded").maps.guarded
    bpf = opened_with("outer_by_name")
    bpf.maps.outer_by_name.set_inner(other)
    with pytest.raises(bpfloader.MapError, match="inner_map_fd"):
        bpf.maps.outer_by_name.set_inner(other)
    bpf.load()
    with pytest.raises(bpfloader.LayoutError, match=r"values of \(4, 24\) bytes, its types have \(4, 8\)"):
        bpf.maps.outer_by_name.create()  # the skeleton's types are those of the object's declaration
    bpf.maps.outer_by_name[bpf.maps.outer_by_name._key.zero()] = other
    assert len(bpf.maps.outer_by_name) == 1


def test_maps_of_an_object_without_a_skeleton(using, maps_object, maps_skel):
    """The same classes as the skeleton's, with bytes for keys and values."""
    wanted = {part.name: type(part) for part in using("counts").maps}
    bpf = using("counts queue outer_by_name routes of_task", kind=bpfloader.Object, source=maps_object)
    found = {part.name: type(part) for part in bpf.maps if part.name in wanted}
    assert found == wanted
    bpf["counts"][b"\1\0\0\0"] = bytes(8)
    assert dict(bpf["counts"]) == {b"\1\0\0\0": bytes(8)}
    bpf["queue"].push(bytes(range(8)))
    assert bpf["queue"].pop() == bytes(range(8))
    bpf["outer_by_name"][bytes(8)] = bpf["outer_by_name"].create()
    inner = bpf["outer_by_name"][bytes(8)]
    inner[b"abcd"] = b"01234567"
    assert type(inner) is bpfloader.Hash and dict(inner) == {b"abcd": b"01234567"}
    bpf["routes"][bpf["routes"].key("10.0.0.0/8")] = b"1234"
    assert bpf["routes"][bpf["routes"].key("10.1.1.1")] == b"1234"
    bpf["of_task"][os.getpid()] = b"12345678"
    assert bpf["of_task"][os.getpid()] == b"12345678"


def test_bytes_may_have_another_size(opened_with, maps_object):
    bpf = opened_with("counts percpu_counts", kind=bpfloader.Object, source=maps_object)
    bpf["counts"].key_size, bpf["counts"].value_size, bpf["percpu_counts"].value_size = 2, 3, 16
    bpf.load()
    bpf["counts"][b"ab"] = b"xyz"
    cpus = bpf["percpu_counts"]._value.count
    bpf["percpu_counts"][bytes(4)] = (b"0123456789abcdef",) * cpus
    assert dict(bpf["counts"]) == {b"ab": b"xyz"} and bpf["percpu_counts"][bytes(4)][-1] == b"0123456789abcdef"


def test_elements_of_an_odd_size_lie_at_multiples_of_8(opened_with, maps_object):
    bpf = opened_with("shared percpu_pairs", kind=bpfloader.Object, source=maps_object)
    bpf["shared"].value_size = bpf["percpu_pairs"].value_size = 12
    bpf.load()
    bpf["shared"][7] = b"0123456789ab"
    elements = bpf["shared"].elements
    assert bytes(bpf["shared"].memory[7 * 16 : 7 * 16 + 12]) == elements[7] == list(elements)[7] == b"0123456789ab"
    elements[299] = b"abcdefghijkl"
    assert bpf["shared"][299] == b"abcdefghijkl" and dict(bpf["shared"].batch())[299] == b"abcdefghijkl"
    one, *others = bpf["percpu_pairs"][0]
    bpf["percpu_pairs"][0] = (b"0123456789ab", *others)
    assert bpf["percpu_pairs"][0] == (b"0123456789ab", *others) == dict(bpf["percpu_pairs"].items())[0]
    numpy = pytest.importorskip("numpy")
    assert bytes(elements.numpy()[299]) == b"abcdefghijkl"
    _, values = bpf["percpu_pairs"].batch(numpy=True)
    assert values.shape == (5, 1 + len(others), 12) and bytes(values[0][0].astype(numpy.uint8)) == b"0123456789ab"
    assert bpf["shared"].batch(numpy=True)[1].shape == (300, 12)


def test_inner_maps_need_the_capability_that_ids_need(maps_skel, kernel):
    if not shutil.which("setpriv"):
        pytest.skip("setpriv is not installed (apt install util-linux)")
    code = """
        import maps_skel
        bpf = maps_skel.Maps.open()
        bpf.select([])
        for part in bpf.maps:
            part.autocreate = part.name in ("outer", "first_inner")
        bpf.load()
        print(list(bpf.maps.outer))
        bpf.maps.outer[1]
    """
    folder = Path(maps_skel.__file__).parent
    done = run_python(folder, code, "setpriv", "--bounding-set", "-sys_admin")
    assert done.stdout == "[1]\n", done.stderr
    said = r"PrivilegeError: can't open the map with the id \d+ \(EPERM.*run with CAP_SYS_ADMIN, which maps by id need"
    assert re.search(said, done.stderr), done.stderr


def test_a_map_is_not_pickled(using):
    import copy

    with pytest.raises(TypeError, match="belongs to this process"):
        copy.copy(using("counts").maps.counts)


FLAGGED = """#include "mini_bpf.h"
char LICENSE[] SEC("license") = "GPL";
#define MAP(name, flags) struct { __uint(type, 1); __uint(max_entries, 4); __uint(map_flags, flags); \\
	__type(key, __u32); __type(value, __u32); } name SEC(".maps")
MAP(read_only, 8);
MAP(write_only, 16);
MAP(frozen, 0);
"""


@pytest.mark.parametrize("name", ["read_only", "write_only", "frozen"])
def test_what_user_space_may_not_do_with_a_map_is_named(clang, kernel, name):
    with bpfloader.Object.open(compile_text(clang, FLAGGED)) as bpf:
        bpf.load()
        table, key = bpf.maps[name], bytes(4)
        if name == "frozen":
            table.freeze()
        reads = [lambda: table.get(key), lambda: dict(table), table.batch, lambda: len(table)]
        writes = [lambda: table.put(key, key), lambda: table.update({key: key}), lambda: table.pop(key), table.drain, table.clear]
        writes = writes[:2] if name == "write_only" else writes
        said = "user space may only write it: let the program read" if name == "write_only" else "user space may only read it, as it is frozen or has"
        for refused in reads + [lambda: table.pop(key), table.drain] if name == "write_only" else writes:
            with pytest.raises(bpfloader.MapError, match=f"{name}: .*EPERM.*; {said}"):
                refused()
        for allowed in writes if name == "write_only" else reads:
            allowed()
