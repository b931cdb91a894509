"""The kernel's numbers for types of maps, and the flags with which maps are created."""

from __future__ import annotations

from enum import IntEnum


class MapType(IntEnum):
    """enum bpf_map_type of linux/bpf.h, in its order and by its names without BPF_MAP_TYPE_."""

    UNSPEC = 0
    HASH = 1
    ARRAY = 2
    PROG_ARRAY = 3
    PERF_EVENT_ARRAY = 4
    PERCPU_HASH = 5
    PERCPU_ARRAY = 6
    STACK_TRACE = 7
    CGROUP_ARRAY = 8
    LRU_HASH = 9
    LRU_PERCPU_HASH = 10
    LPM_TRIE = 11
    ARRAY_OF_MAPS = 12
    HASH_OF_MAPS = 13
    DEVMAP = 14
    SOCKMAP = 15
    CPUMAP = 16
    XSKMAP = 17
    SOCKHASH = 18
    CGROUP_STORAGE = 19
    REUSEPORT_SOCKARRAY = 20
    PERCPU_CGROUP_STORAGE = 21
    QUEUE = 22
    STACK = 23
    SK_STORAGE = 24
    DEVMAP_HASH = 25
    STRUCT_OPS = 26
    RINGBUF = 27
    INODE_STORAGE = 28
    TASK_STORAGE = 29
    BLOOM_FILTER = 30
    USER_RINGBUF = 31
    CGRP_STORAGE = 32
    ARENA = 33
    INSN_ARRAY = 34
    RHASH = 35


# Flags of BPF_MAP_CREATE (BPF_F_* of linux/bpf.h) by bit, in lower case; the constants are those that the loader uses.
MAP_FLAGS = """no_prealloc no_common_lru numa_node rdonly wronly stack_build_id zero_seed rdonly_prog wronly_prog clone
mmapable preserve_elems inner_map link path_fd vtype_btf_obj_fd token_fd segv_on_fault no_user_conv""".split()
BPF_F_NO_PREALLOC, BPF_F_STACK_BUILD_ID, BPF_F_RDONLY_PROG, BPF_F_MMAPABLE = 1 << 0, 1 << 5, 1 << 7, 1 << 10
