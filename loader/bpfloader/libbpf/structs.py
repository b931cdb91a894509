"""The C structs that libbpf and the kernel are handed, as ctypes has them.

Those of libbpf (bpf.h, libbpf.h) carry their own size first (`sz`), so that a shorter one, as here, stays valid.
"""

from __future__ import annotations

import ctypes
from ctypes import c_bool, c_char, c_char_p, c_int, c_size_t, c_uint, c_ulonglong, c_void_p
from typing import TypeVar

S = TypeVar("S", bound=ctypes.Structure)


def sized(kind: type[S], **fields: object) -> S:
    """An options struct of libbpf with its own size in `sz`."""
    return kind(sz=ctypes.sizeof(kind), **fields)


class OpenOptions(ctypes.Structure):
    """struct bpf_object_open_opts up to btf_custom_path."""

    _fields_ = [
        ("sz", c_size_t),
        ("object_name", c_char_p),
        ("relaxed_maps", c_bool),
        ("pin_root_path", c_char_p),
        ("attach_prog_fd", c_uint),
        ("kconfig", c_char_p),
        ("btf_custom_path", c_char_p),
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
    """struct bpf_link_info of linux/bpf.h, the fields that every link has."""

    _fields_ = [("type", c_uint), ("id", c_uint), ("prog_id", c_uint)]
