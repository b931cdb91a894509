"""The options that libbpf's attach functions take, and the kernel's own structs for attaching, as ctypes has them.

Those of libbpf.h and bpf.h begin with their own size (`sz`). One longer than an older libbpf knows stays valid as
long as what that libbpf doesn't know is zero; what isn't is asked for by version first (libbpf.require).
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_bool, c_char_p, c_int, c_size_t, c_uint, c_uint64, c_ulong, c_void_p


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


class LinkCreateOptions(ctypes.Structure):
    """struct bpf_link_create_opts up to target_btf_id."""

    _fields_ = [
        ("sz", c_size_t),
        ("flags", c_uint),
        ("iter_info", c_void_p),
        ("iter_info_len", c_uint),
        ("target_btf_id", c_uint),
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


class PerfEventAttr(ctypes.Structure):
    """struct perf_event_attr (linux/perf_event.h) as of its first version, 64 bytes, which every kernel takes."""

    _fields_ = [
        ("type", c_uint),
        ("size", c_uint),
        ("config", c_uint64),
        ("sample_period", c_uint64),  # or sample_freq, by `freq`
        ("sample_type", c_uint64),
        ("read_format", c_uint64),
        ("disabled", c_uint64, 1),
        ("inherit", c_uint64, 1),
        ("pinned", c_uint64, 1),
        ("exclusive", c_uint64, 1),
        ("exclude_user", c_uint64, 1),
        ("exclude_kernel", c_uint64, 1),
        ("exclude_hv", c_uint64, 1),
        ("exclude_idle", c_uint64, 1),
        ("mmap", c_uint64, 1),
        ("comm", c_uint64, 1),
        ("freq", c_uint64, 1),
        ("reserved", c_uint64, 53),
        ("wakeup_events", c_uint),
        ("bp_type", c_uint),
        ("bp_addr", c_uint64),
    ]
