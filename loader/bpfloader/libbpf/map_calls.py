"""libbpf's functions on maps (bpf.h, libbpf.h): for libbpf.py's table, all of them there since libbpf 1.0."""

from __future__ import annotations

from ctypes import POINTER, c_bool, c_char_p, c_int, c_size_t, c_uint, c_ulonglong, c_void_p

from .prototypes import Function, plain, pointer, status
from .structs import BatchOptions, CreateOptions

COUNT, BATCH = POINTER(c_uint), POINTER(BatchOptions)

FUNCTIONS = (
    Function("bpf_map__name", c_char_p, (c_void_p,), plain),
    Function("bpf_map__fd", c_int, (c_void_p,), plain),
    Function("bpf_map__type", c_int, (c_void_p,), plain),
    Function("bpf_map__key_size", c_uint, (c_void_p,), plain),
    Function("bpf_map__value_size", c_uint, (c_void_p,), plain),
    Function("bpf_map__map_flags", c_uint, (c_void_p,), plain),
    Function("bpf_map__map_extra", c_ulonglong, (c_void_p,), plain),
    Function("bpf_map__numa_node", c_uint, (c_void_p,), plain),
    Function("bpf_map__max_entries", c_uint, (c_void_p,), plain),
    Function("bpf_map__autocreate", c_bool, (c_void_p,), plain),
    Function("bpf_map__pin_path", c_char_p, (c_void_p,), plain),
    Function("bpf_map__inner_map", c_void_p, (c_void_p,), plain),
    Function("bpf_map__btf_key_type_id", c_uint, (c_void_p,), plain),
    Function("bpf_map__btf_value_type_id", c_uint, (c_void_p,), plain),
    Function("bpf_map__set_type", c_int, (c_void_p, c_int), status),
    Function("bpf_map__set_key_size", c_int, (c_void_p, c_uint), status),
    Function("bpf_map__set_value_size", c_int, (c_void_p, c_uint), status),
    Function("bpf_map__set_map_flags", c_int, (c_void_p, c_uint), status),
    Function("bpf_map__set_map_extra", c_int, (c_void_p, c_ulonglong), status),
    Function("bpf_map__set_numa_node", c_int, (c_void_p, c_uint), status),
    Function("bpf_map__set_max_entries", c_int, (c_void_p, c_uint), status),
    Function("bpf_map__set_autocreate", c_int, (c_void_p, c_bool), status),
    Function("bpf_map__set_pin_path", c_int, (c_void_p, c_char_p), status),
    Function("bpf_map__set_inner_map_fd", c_int, (c_void_p, c_int), status),
    Function("bpf_map__reuse_fd", c_int, (c_void_p, c_int), status),
    Function("bpf_map__initial_value", c_void_p, (c_void_p, POINTER(c_size_t)), pointer),
    Function("bpf_map_create", c_int, (c_int, c_char_p, c_uint, c_uint, c_uint, POINTER(CreateOptions)), status),
    Function("bpf_map_freeze", c_int, (c_int,), status),
    Function("bpf_map_get_fd_by_id", c_int, (c_uint,), status),
    Function("bpf_map_lookup_elem", c_int, (c_int, c_char_p, c_void_p), status),
    Function("bpf_map_lookup_elem_flags", c_int, (c_int, c_char_p, c_void_p, c_ulonglong), status),
    Function("bpf_map_update_elem", c_int, (c_int, c_char_p, c_char_p, c_ulonglong), status),
    Function("bpf_map_delete_elem", c_int, (c_int, c_char_p), status),
    Function("bpf_map_lookup_and_delete_elem", c_int, (c_int, c_char_p, c_void_p), status),
    Function("bpf_map_get_next_key", c_int, (c_int, c_char_p, c_void_p), status),
    Function("bpf_map_lookup_batch", c_int, (c_int, c_void_p, c_void_p, c_void_p, c_void_p, COUNT, BATCH), status),
    Function(
        "bpf_map_lookup_and_delete_batch", c_int, (c_int, c_void_p, c_void_p, c_void_p, c_void_p, COUNT, BATCH), status
    ),
    Function("bpf_map_update_batch", c_int, (c_int, c_void_p, c_void_p, COUNT, BATCH), status),
    Function("bpf_map_delete_batch", c_int, (c_int, c_void_p, COUNT, BATCH), status),
)
