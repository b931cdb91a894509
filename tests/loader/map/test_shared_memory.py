"""Arrays and arenas that programs and this process share as memory."""

import ctypes
import mmap
import struct

import bpfloader
import pytest

PACKET = bytes(64)
RDONLY = 1 << 3  # BPF_F_RDONLY of linux/bpf.h


def test_a_mapped_array_is_the_memory_that_programs_see(using, maps_skel):
    bpf = using("shared", "share")
    shared, pair = bpf.maps.shared, maps_skel.Pair
    elements = shared.elements
    elements[299] = pair(1, 41)
    bpf.bss.number = 299
    assert bpf.progs.share.test_run(PACKET).value == 41
    assert elements[299] == elements[-1] == shared[299] == pair(42, 41)
    assert struct.unpack_from("=II", shared.memory, 8 * 299) == (42, 41) and len(shared.memory) == 2400
    assert elements[298:] == [pair(), pair(42, 41)] and len(elements) == len(list(elements)) == 300
    with pytest.raises(IndexError):
        elements[300]
    view = shared.memory
    bpf.destroy()
    assert view[-8] == 42
    with pytest.raises(bpfloader.StateError):
        shared.elements  # noqa: B018


def test_a_frozen_map_is_mapped_for_reading(using, maps_skel):
    bpf = using("shared slots")
    bpf.maps.shared[3] = maps_skel.Pair(5, 6)
    bpf.maps.shared.freeze()
    assert bpf.maps.shared.elements[3].low == 5 and bpf.maps.shared.memory.readonly
    with pytest.raises(TypeError):
        bpf.maps.shared.elements[3] = maps_skel.Pair()
    with pytest.raises(bpfloader.MapError, match="EPERM.*user space may only read it, as it is frozen"):
        bpf.maps.shared[3] = maps_skel.Pair()
    with pytest.raises(bpfloader.MapError, match="slots can't be mapped; .*BPF_F_MMAPABLE"):
        bpf.maps.slots.memory  # noqa: B018
    with pytest.raises(bpfloader.MapError, match="frozen"):
        bpf.maps.shared.freeze()


def test_an_arena_is_memory_of_both(opened_with):
    bpf = opened_with("arena", "use_arena")
    bpf.maps.arena.map_extra = 1 << 44
    try:
        bpf.load()
    except bpfloader.LoadError as error:
        pytest.skip(f"no arenas here: {error.what}")
    arena = bpf.maps.arena
    assert arena.address == 1 << 44 and len(arena.memory) == 4 * mmap.PAGESIZE
    place = 3 * mmap.PAGESIZE + 8
    arena.memory[place] = 41
    bpf.bss.shared_address = arena.address + place
    assert bpf.progs.use_arena.run().value == 42 and arena.memory[place] == 42
    assert arena.memory[0] == 0
    bpf.destroy()
    with pytest.raises(bpfloader.StateError):
        arena.memory  # noqa: B018


def test_an_arena_may_lie_anywhere(using):
    bpf = using("arena")
    bpf.maps.arena.memory[5] = 7
    assert ctypes.string_at(bpf.maps.arena.address + 5, 1) == b"\7"


def test_memory_that_the_kernel_doesn_t_share_is_an_error_of_the_map(opened_with, rings, rings_skel):
    bpf = opened_with("shared")
    bpf.maps.shared.map_flags |= RDONLY
    bpf.load()
    with pytest.raises(bpfloader.MapError) as caught:
        bpf.maps.shared.memory  # noqa: B018
    what = "can't map the array shared (EINVAL: Invalid argument); leave BPF_F_RDONLY and BPF_F_WRONLY out of its map_flags"
    assert str(caught.value) == what
    rings.maps.ring.freeze()
    rings.maps.commands.freeze()
    for use in (rings.maps.ring.batch, rings.maps.ring.poll, lambda: rings.maps.commands.submit(rings_skel.Command())):
        with pytest.raises(bpfloader.MapError, match="can't map the ring .*EPERM.*; user space may only read it, as it is"):
            use()
