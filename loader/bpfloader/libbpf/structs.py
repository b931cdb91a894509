"""The C structs that libbpf and the kernel take, as ctypes classes.

Those of libbpf (bpf.h, libbpf.h) carry their own size first (`sz`), so that a shorter one, as here, stays valid. One
longer than an older libbpf knows stays valid while the fields that it doesn't know are zero; callers that set such a
field check the version first (library.require).
"""

from __future__ import annotations

import ctypes
from ctypes import (
    POINTER,
    c_bool,
    c_char,
    c_char_p,
    c_int,
    c_size_t,
    c_ubyte,
    c_uint,
    c_uint64,
    c_ulong,
    c_ulonglong,
    c_void_p,
)
from typing import TypeVar

S = TypeVar("S", bound=ctypes.Structure)


def sized(kind: type[S], **fields: object) -> S:
    """Returns an options struct of libbpf with its own size in `sz`."""
    return kind(sz=ctypes.sizeof(kind), **fields)


class OpenOptions(ctypes.Structure):
    """struct bpf_object_open_opts; what follows btf_custom_path stays 0 but for bpf_token_path, since 1.5."""

    _fields_ = [
        ("sz", c_size_t),
        ("object_name", c_char_p),
        ("relaxed_maps", c_bool),
        ("pin_root_path", c_char_p),
        ("attach_prog_fd", c_uint),
        ("kconfig", c_char_p),
        ("btf_custom_path", c_char_p),
        ("kernel_log_buf", c_void_p),
        ("kernel_log_size", c_size_t),
        ("kernel_log_level", c_uint),
        ("bpf_token_path", c_char_p),
    ]


class BatchOptions(ctypes.Structure):
    """struct bpf_map_batch_opts."""

    _fields_ = [("sz", c_size_t), ("elem_flags", c_ulonglong), ("flags", c_ulonglong)]


class CreateOptions(ctypes.Structure):
    """struct bpf_map_create_opts up to numa_node."""

    _fields_ = [
        ("sz", c_size_t),
        ("btf_fd", c_uint),
        ("btf_key_type_id", c_uint),
        ("btf_value_type_id", c_uint),
        ("btf_vmlinux_value_type_id", c_uint),
        ("inner_map_fd", c_uint),
        ("map_flags", c_uint),
        ("map_extra", c_ulonglong),
        ("numa_node", c_uint),
    ]


class MapInformation(ctypes.Structure):
    """struct bpf_map_info of linux/bpf.h up to map_extra."""

    _fields_ = [
        *((name, c_uint) for name in ("type", "id", "key_size", "value_size", "max_entries", "map_flags")),
        ("name", c_char * 16),
        *((name, c_uint) for name in ("ifindex", "btf_vmlinux_value_type_id")),
        *((name, c_ulonglong) for name in ("netns_dev", "netns_ino")),
        *((name, c_uint) for name in ("btf_id", "btf_key_type_id", "btf_value_type_id", "btf_vmlinux_id")),
        ("map_extra", c_ulonglong),
    ]


class BtfInformation(ctypes.Structure):
    """struct bpf_btf_info of linux/bpf.h."""

    _fields_ = [
        ("btf", c_ulonglong),
        ("btf_size", c_uint),
        ("id", c_uint),
        ("name", c_ulonglong),
        ("name_len", c_uint),
        ("kernel_btf", c_uint),
    ]


class TestRunOptions(ctypes.Structure):
    """struct bpf_test_run_opts."""

    _fields_ = [
        ("sz", c_size_t),
        ("data_in", c_char_p),
        ("data_out", c_void_p),
        ("data_size_in", c_uint),
        ("data_size_out", c_uint),
        ("ctx_in", c_char_p),
        ("ctx_out", c_void_p),
        ("ctx_size_in", c_uint),
        ("ctx_size_out", c_uint),
        ("retval", c_uint),
        ("repeat", c_int),
        ("duration", c_uint),
        ("flags", c_uint),
        ("cpu", c_uint),
        ("batch_size", c_uint),
    ]


class LinkInfo(ctypes.Structure):
    """struct bpf_link_info of linux/bpf.h: the fields that every link has, and those of a tcx link.

    XDP and netkit links have the interface, and netkit links the attach type, in the same places.
    """

    _fields_ = [
        ("type", c_uint),
        ("id", c_uint),
        ("prog_id", c_uint),
        ("reserved", c_uint),  # the fields of a kind begin at a multiple of 8
        ("ifindex", c_uint),
        ("attach_type", c_uint),
    ]


class ProgramInformation(ctypes.Structure):
    """struct bpf_prog_info of linux/bpf.h up to attach_btf_id; the pointers stay NULL where their arrays aren't asked.

    `gpl_compatible` is the first bit of its word.
    """

    _fields_ = [
        ("type", c_uint),
        ("id", c_uint),
        ("tag", c_ubyte * 8),
        ("jited_prog_len", c_uint),
        ("xlated_prog_len", c_uint),
        ("jited_prog_insns", c_uint64),
        ("xlated_prog_insns", c_uint64),
        ("load_time", c_uint64),
        ("created_by_uid", c_uint),
        ("nr_map_ids", c_uint),
        ("map_ids", c_uint64),
        ("name", c_char * 16),
        ("ifindex", c_uint),
        ("gpl_compatible", c_uint),
        *((name, c_uint64) for name in ("netns_dev", "netns_ino")),
        *((name, c_uint) for name in ("nr_jited_ksyms", "nr_jited_func_lens")),
        *((name, c_uint64) for name in ("jited_ksyms", "jited_func_lens")),
        *((name, c_uint) for name in ("btf_id", "func_info_rec_size")),
        ("func_info", c_uint64),
        *((name, c_uint) for name in ("nr_func_info", "nr_line_info")),
        *((name, c_uint64) for name in ("line_info", "jited_line_info")),
        *((name, c_uint) for name in ("nr_jited_line_info", "line_info_rec_size", "jited_line_info_rec_size")),
        ("nr_prog_tags", c_uint),
        *((name, c_uint64) for name in ("prog_tags", "run_time_ns", "run_cnt", "recursion_misses")),
        *((name, c_uint) for name in ("verified_insns", "attach_btf_obj_id", "attach_btf_id", "reserved")),
    ]


class KprobeOptions(ctypes.Structure):
    """struct bpf_kprobe_opts; attach_mode since 1.2."""

    _fields_ = [
        ("sz", c_size_t),
        ("bpf_cookie", c_uint64),
        ("offset", c_size_t),
        ("retprobe", c_bool),
        ("attach_mode", c_int),
    ]


class KprobeMultiOptions(ctypes.Structure):
    """struct bpf_kprobe_multi_opts; session since 1.5, unique_match since 1.6."""

    _fields_ = [
        ("sz", c_size_t),
        ("syms", POINTER(c_char_p)),
        ("addrs", POINTER(c_ulong)),
        ("cookies", POINTER(c_uint64)),
        ("cnt", c_size_t),
        ("retprobe", c_bool),
        ("session", c_bool),
        ("unique_match", c_bool),
    ]


class TracingMultiOptions(ctypes.Structure):
    """struct bpf_tracing_multi_opts of 1.8."""

    _fields_ = [("sz", c_size_t), ("ids", POINTER(c_uint)), ("cookies", POINTER(c_uint64)), ("cnt", c_size_t)]


class KsyscallOptions(ctypes.Structure):
    """struct bpf_ksyscall_opts."""

    _fields_ = [("sz", c_size_t), ("bpf_cookie", c_uint64), ("retprobe", c_bool)]


class UprobeOptions(ctypes.Structure):
    """struct bpf_uprobe_opts; attach_mode since 1.2."""

    _fields_ = [
        ("sz", c_size_t),
        ("ref_ctr_offset", c_size_t),
        ("bpf_cookie", c_uint64),
        ("retprobe", c_bool),
        ("func_name", c_char_p),
        ("attach_mode", c_int),
    ]


class UprobeMultiOptions(ctypes.Structure):
    """struct bpf_uprobe_multi_opts of 1.3; session since 1.6."""

    _fields_ = [
        ("sz", c_size_t),
        ("syms", POINTER(c_char_p)),
        ("offsets", POINTER(c_ulong)),
        ("ref_ctr_offsets", POINTER(c_ulong)),
        ("cookies", POINTER(c_uint64)),
        ("cnt", c_size_t),
        ("retprobe", c_bool),
        ("session", c_bool),
    ]


class CookieOptions(ctypes.Structure):
    """struct bpf_usdt_opts, bpf_tracepoint_opts, bpf_raw_tracepoint_opts and bpf_trace_opts: a cookie and no more."""

    _fields_ = [("sz", c_size_t), ("cookie", c_uint64)]


class PerfEventOptions(ctypes.Structure):
    """struct bpf_perf_event_opts up to the cookie."""

    _fields_ = [("sz", c_size_t), ("bpf_cookie", c_uint64)]


class NetfilterOptions(ctypes.Structure):
    """struct bpf_netfilter_opts of 1.3."""

    _fields_ = [("sz", c_size_t), ("pf", c_uint), ("hooknum", c_uint), ("priority", c_int), ("flags", c_uint)]


class PlacementOptions(ctypes.Structure):
    """struct bpf_tcx_opts and bpf_netkit_opts of 1.3, bpf_cgroup_opts of 1.6: a place among other programs."""

    _fields_ = [
        ("sz", c_size_t),
        ("flags", c_uint),
        ("relative_fd", c_uint),
        ("relative_id", c_uint),
        ("expected_revision", c_uint64),
    ]


class TcHook(ctypes.Structure):
    """struct bpf_tc_hook up to parent."""

    _fields_ = [("sz", c_size_t), ("ifindex", c_int), ("attach_point", c_int), ("parent", c_uint)]


class TcOptions(ctypes.Structure):
    """struct bpf_tc_opts."""

    _fields_ = [
        ("sz", c_size_t),
        ("prog_fd", c_int),
        ("flags", c_uint),
        ("prog_id", c_uint),
        ("handle", c_uint),
        ("priority", c_uint),
    ]


class TcxPlace(ctypes.Structure):
    """`tcx` of struct bpf_link_create_opts, since 1.3."""

    _fields_ = [("relative_fd", c_uint), ("relative_id", c_uint), ("expected_revision", c_uint64)]


class LinkCreateOptions(ctypes.Structure):
    """struct bpf_link_create_opts, of its union the place of a tcx link."""

    _fields_ = [
        ("sz", c_size_t),
        ("flags", c_uint),
        ("iter_info", c_void_p),
        ("iter_info_len", c_uint),
        ("target_btf_id", c_uint),
        ("tcx", TcxPlace),
    ]


class LinkUpdateOptions(ctypes.Structure):
    """struct bpf_link_update_opts up to old_prog_fd."""

    _fields_ = [("sz", c_size_t), ("flags", c_uint), ("old_prog_fd", c_uint)]


class IterMap(ctypes.Structure):
    """`map` of union bpf_iter_link_info (linux/bpf.h)."""

    _fields_ = [("map_fd", c_uint)]


class IterCgroup(ctypes.Structure):
    """`cgroup` of union bpf_iter_link_info."""

    _fields_ = [("order", c_uint), ("cgroup_fd", c_uint), ("cgroup_id", c_uint64)]


class IterTask(ctypes.Structure):
    """`task` of union bpf_iter_link_info."""

    _fields_ = [("tid", c_uint), ("pid", c_uint), ("pid_fd", c_uint)]


class IterLinkInfo(ctypes.Union):
    """union bpf_iter_link_info."""

    _fields_ = [("map", IterMap), ("cgroup", IterCgroup), ("task", IterTask)]


class IterOptions(ctypes.Structure):
    """struct bpf_iter_attach_opts."""

    _fields_ = [("sz", c_size_t), ("link_info", POINTER(IterLinkInfo)), ("link_info_len", c_uint)]
