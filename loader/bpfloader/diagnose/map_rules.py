"""States what the kernel takes for each type of map, where it refuses one with EINVAL, E2BIG or ENOMEM.

From the map_alloc_check functions in the kernel's kernel/bpf/*.c and net/core/bpf_sk_storage.c, sock_map.c, xskmap.c.
"""

from __future__ import annotations

import errno

from ..kernel.map_type import BPF_F_NO_PREALLOC

ENTRIES = "max_entries of at least 1"
STORAGE = "key_size 4, max_entries 0, a value, and BPF_F_NO_PREALLOC; declare key and value with __type"
RULES = {
    **dict.fromkeys(("hash", "percpu_hash", "lru_hash", "lru_percpu_hash"), f"{ENTRIES}, a key and a value"),
    **dict.fromkeys(("array", "percpu_array"), f"{ENTRIES}, key_size 4 and a value (per CPU, 32 KiB at most)"),
    **dict.fromkeys(
        ("prog_array", "cgroup_array", "array_of_maps", "xskmap"), f"{ENTRIES}, key_size 4 and value_size 4"
    ),
    "perf_event_array": "key_size 4 and value_size 4",
    "hash_of_maps": f"{ENTRIES}, a key and value_size 4",
    "stack_trace": f"{ENTRIES}, key_size 4 and a value_size of 8 for each frame (32 with BPF_F_STACK_BUILD_ID), for no "
    "more frames than sysctl kernel.perf_event_max_stack",
    "lpm_trie": f"BPF_F_NO_PREALLOC, {ENTRIES} and a key of 5 to 260 bytes: a __u32 and the data",
    **dict.fromkeys(
        ("cgroup_storage", "percpu_cgroup_storage"),
        "max_entries 0, no flags and a key that is a __u64 or struct bpf_cgroup_storage_key as linux/bpf.h has it",
    ),
    **dict.fromkeys(("sk_storage", "inode_storage", "task_storage", "cgrp_storage"), STORAGE),
    **dict.fromkeys(("queue", "stack"), f"{ENTRIES}, no key and a value"),
    "bloom_filter": f"{ENTRIES}, no key and a value; map_extra is the number of hashes, 15 at most",
    **dict.fromkeys(("devmap", "devmap_hash"), f"{ENTRIES}, key_size 4 and value_size 4 or 8"),
    "cpumap": f"{ENTRIES} and no more than the CPUs that the kernel is built for (those of "
    "/sys/devices/system/cpu/possible are enough), key_size 4 and value_size 4 or 8",
    **dict.fromkeys(("sockmap", "reuseport_sockarray"), f"{ENTRIES}, key_size 4 and value_size 4 or 8"),
    "sockhash": f"{ENTRIES}, a key and value_size 4 or 8",
    **dict.fromkeys(
        ("ringbuf", "user_ringbuf"), "a power of two of whole pages as max_entries, and neither key nor value"
    ),
    "struct_ops": 'max_entries 1 and a struct of the kernel\'s as value: declare it with SEC(".struct_ops")',
    "arena": "pages as max_entries, BPF_F_MMAPABLE, and neither key nor value",
}
BPF_F_NUMA_NODE = 1 << 2  # linux/bpf.h
LINK_FLAG = 1 << 13  # BPF_F_LINK of linux/bpf.h: a table that is attached by a link
LINKED_TABLE = 'SEC(".struct_ops.link"), unlike SEC(".struct_ops"),'
LINKED_TABLE_SINCE = "6.4"
REFUSALS = (errno.EINVAL, errno.E2BIG, errno.ENOMEM)


def map_fix(number: int, kind: str, flags: int = 0) -> str:
    """Returns what to give a map of a type (`hash`, `ringbuf` …) that the kernel refused; empty if it isn't known."""
    if kind.startswith("lru_") and flags & BPF_F_NO_PREALLOC:
        return f"leave BPF_F_NO_PREALLOC out: a map of type {kind} has the memory of all its entries from the start"
    if number not in REFUSALS or kind not in RULES:
        return ""
    if number == errno.EINVAL and flags & BPF_F_NUMA_NODE:
        return "give it a numa_node that is there (/sys/devices/system/node/online), or none"
    less = "; or less of it, since the kernel has no room for that" if number != errno.EINVAL else ""
    if (number, kind) == (errno.E2BIG, "cpumap"):  # of entries, whatever room there is (kernel/bpf/cpumap.c)
        less = ""
    other = (
        f"; or other flags, of which linux/bpf.h says which maps take them: {flags:#x}" if flags and not less else ""
    )
    return f"{size_rule(kind)}{less}{other}"


def size_rule(kind: str) -> str:
    """Returns what sizes the kernel takes for a type of map."""
    article = "an" if kind[0] in "aei" else "a"
    return f"give {article} {kind} map {RULES.get(kind, 'the sizes that linux/bpf.h wants')}"
