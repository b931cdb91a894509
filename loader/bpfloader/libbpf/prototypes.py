"""Declares libbpf's C functions: a row for each one used, with the meaning of its return value.

The declarations are those of bpf.h, libbpf.h, btf.h and libbpf_legacy.h. A function younger than 1.0 says so in its row
(libbpf.map has the versions).
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import POINTER, c_bool, c_char_p, c_int, c_size_t, c_uint, c_ulonglong, c_void_p
from typing import Any, NamedTuple

from ..errors import COMMAND, CallError, errno_text
from .structs import (
    BatchOptions,
    CookieOptions,
    CreateOptions,
    IterOptions,
    KprobeMultiOptions,
    KprobeOptions,
    KsyscallOptions,
    LinkCreateOptions,
    LinkUpdateOptions,
    NetfilterOptions,
    OpenOptions,
    PerfEventOptions,
    PlacementOptions,
    TcHook,
    TcOptions,
    TestRunOptions,
    TracingMultiOptions,
    UprobeMultiOptions,
    UprobeOptions,
)

Convention = Callable[[Any, Any, object], Any]


class Prototype(NamedTuple):
    """A C function: the types of its result and arguments, the result's meaning, the first libbpf that has it."""

    name: str
    result: Any
    arguments: tuple[Any, ...]
    convention: Convention
    since: str = "1.0"


def status(result: int, function: Any, _arguments: object) -> int:
    """Returns the result of a function that returns a negative errno when it fails. Raises CallError."""
    if result < 0:
        raise failure(function.__name__, -result)
    return result


def pointer(result: int | None, function: Any, _arguments: object) -> int:
    """Returns the result of a function that returns NULL and sets errno when it fails. Raises CallError."""
    if not result:
        raise failure(function.__name__, ctypes.get_errno())
    return result


def infallible(result: Any, _function: object, _arguments: object) -> Any:
    """Returns the result of a function that can't fail."""
    return result


def failure(function: str, errno: int) -> CallError:
    """Returns the CallError for a function that failed with an errno."""
    what = f"{function} failed ({errno_text(errno)})"
    return CallError(what, fix=f"ask what this kernel can do: {COMMAND} probe", errno=errno)


# libbpf_print_fn_t; its va_list is one machine word (see log.py). The text isn't made a bytes object: few are read.
PRINTER = ctypes.CFUNCTYPE(c_int, c_int, c_void_p, c_void_p)
UINT_POINTER, BATCH_POINTER = POINTER(c_uint), POINTER(BatchOptions)

PROTOTYPES = (
    Prototype("libbpf_version_string", c_char_p, (), infallible),
    Prototype("libbpf_set_print", c_void_p, (PRINTER,), infallible),
    Prototype("libbpf_num_possible_cpus", c_int, (), status),
    Prototype("bpf_object__open_mem", c_void_p, (c_char_p, c_size_t, POINTER(OpenOptions)), pointer),
    Prototype("bpf_object__prepare", c_int, (c_void_p,), status, "1.6"),
    Prototype("bpf_object__load", c_int, (c_void_p,), status),
    Prototype("bpf_object__btf_fd", c_int, (c_void_p,), infallible),
    Prototype("bpf_object__btf", c_void_p, (c_void_p,), infallible),
    Prototype("btf__raw_data", c_void_p, (c_void_p, UINT_POINTER), pointer),
    Prototype("bpf_object__close", None, (c_void_p,), infallible),
    Prototype("bpf_object__next_map", c_void_p, (c_void_p, c_void_p), infallible),
    Prototype("bpf_object__next_program", c_void_p, (c_void_p, c_void_p), infallible),
    Prototype("bpf_object__find_map_by_name", c_void_p, (c_void_p, c_char_p), pointer),
    Prototype("bpf_object__find_program_by_name", c_void_p, (c_void_p, c_char_p), pointer),
    Prototype("bpf_program__name", c_char_p, (c_void_p,), infallible),
    Prototype("bpf_program__fd", c_int, (c_void_p,), status),
    Prototype("bpf_program__section_name", c_char_p, (c_void_p,), infallible),
    Prototype("bpf_program__autoload", c_bool, (c_void_p,), infallible),
    Prototype("bpf_program__set_autoload", c_int, (c_void_p, c_bool), status),
    Prototype("bpf_program__set_log_level", c_int, (c_void_p, c_uint), status),
    Prototype("bpf_program__set_log_buf", c_int, (c_void_p, c_void_p, c_size_t), status),
    Prototype("bpf_program__clone", c_int, (c_void_p, c_void_p), status, "1.8"),
    Prototype("bpf_prog_stream_read", c_int, (c_int, c_uint, c_void_p, c_uint, c_void_p), status, "1.6"),
    Prototype("bpf_program__attach", c_void_p, (c_void_p,), pointer),
    Prototype("bpf_program__attach_kprobe_opts", c_void_p, (c_void_p, c_char_p, POINTER(KprobeOptions)), pointer),
    Prototype(
        "bpf_program__attach_kprobe_multi_opts", c_void_p, (c_void_p, c_char_p, POINTER(KprobeMultiOptions)), pointer
    ),
    Prototype(
        "bpf_program__attach_tracing_multi",
        c_void_p,
        (c_void_p, c_char_p, POINTER(TracingMultiOptions)),
        pointer,
        "1.8",
    ),
    Prototype("bpf_program__attach_ksyscall", c_void_p, (c_void_p, c_char_p, POINTER(KsyscallOptions)), pointer),
    Prototype(
        "bpf_program__attach_uprobe_opts",
        c_void_p,
        (c_void_p, c_int, c_char_p, c_size_t, POINTER(UprobeOptions)),
        pointer,
    ),
    Prototype(
        "bpf_program__attach_uprobe_multi",
        c_void_p,
        (c_void_p, c_int, c_char_p, c_char_p, POINTER(UprobeMultiOptions)),
        pointer,
        "1.3",
    ),
    Prototype(
        "bpf_program__attach_usdt",
        c_void_p,
        (c_void_p, c_int, c_char_p, c_char_p, c_char_p, POINTER(CookieOptions)),
        pointer,
    ),
    Prototype(
        "bpf_program__attach_tracepoint_opts", c_void_p, (c_void_p, c_char_p, c_char_p, POINTER(CookieOptions)), pointer
    ),
    Prototype("bpf_program__attach_raw_tracepoint", c_void_p, (c_void_p, c_char_p), pointer),
    Prototype(
        "bpf_program__attach_raw_tracepoint_opts",
        c_void_p,
        (c_void_p, c_char_p, POINTER(CookieOptions)),
        pointer,
        "1.4",
    ),
    Prototype("bpf_program__attach_trace_opts", c_void_p, (c_void_p, POINTER(CookieOptions)), pointer),
    Prototype("bpf_program__attach_lsm", c_void_p, (c_void_p,), pointer),
    Prototype("bpf_program__attach_freplace", c_void_p, (c_void_p, c_int, c_char_p), pointer),
    Prototype("bpf_program__attach_iter", c_void_p, (c_void_p, POINTER(IterOptions)), pointer),
    Prototype("bpf_program__attach_perf_event_opts", c_void_p, (c_void_p, c_int, POINTER(PerfEventOptions)), pointer),
    Prototype("bpf_program__attach_xdp", c_void_p, (c_void_p, c_int), pointer),
    Prototype("bpf_program__attach_tcx", c_void_p, (c_void_p, c_int, POINTER(PlacementOptions)), pointer, "1.3"),
    Prototype("bpf_program__attach_netkit", c_void_p, (c_void_p, c_int, POINTER(PlacementOptions)), pointer, "1.3"),
    Prototype("bpf_program__attach_netfilter", c_void_p, (c_void_p, POINTER(NetfilterOptions)), pointer, "1.3"),
    Prototype("bpf_program__attach_cgroup", c_void_p, (c_void_p, c_int), pointer),
    Prototype(
        "bpf_program__attach_cgroup_opts", c_void_p, (c_void_p, c_int, POINTER(PlacementOptions)), pointer, "1.6"
    ),
    Prototype("bpf_program__attach_netns", c_void_p, (c_void_p, c_int), pointer),
    Prototype("bpf_program__set_attach_target", c_int, (c_void_p, c_int, c_char_p), status),
    Prototype("bpf_program__expected_attach_type", c_int, (c_void_p,), infallible),
    Prototype("bpf_map__attach_struct_ops", c_void_p, (c_void_p,), pointer),
    Prototype("bpf_prog_attach", c_int, (c_int, c_int, c_int, c_uint), status),
    Prototype("bpf_prog_detach2", c_int, (c_int, c_int, c_int), status),
    Prototype("bpf_tc_hook_create", c_int, (POINTER(TcHook),), status),
    Prototype("bpf_tc_attach", c_int, (POINTER(TcHook), POINTER(TcOptions)), status),
    Prototype("bpf_iter_create", c_int, (c_int,), status),
    Prototype("bpf_obj_pin", c_int, (c_int, c_char_p), status),
    Prototype("bpf_obj_get", c_int, (c_char_p,), status),
    Prototype("bpf_prog_test_run_opts", c_int, (c_int, POINTER(TestRunOptions)), status),
    Prototype("bpf_link__fd", c_int, (c_void_p,), status),
    Prototype("bpf_link__update_map", c_int, (c_void_p, c_void_p), status, "1.2"),
    Prototype("bpf_link_create", c_int, (c_int, c_int, c_int, POINTER(LinkCreateOptions)), status),
    Prototype("bpf_link_update", c_int, (c_int, c_int, POINTER(LinkUpdateOptions)), status),
    Prototype("bpf_link_detach", c_int, (c_int,), status),
    Prototype("bpf_link_get_next_id", c_int, (c_uint, UINT_POINTER), status),
    Prototype("bpf_link_get_fd_by_id", c_int, (c_uint,), status),
    Prototype("bpf_prog_get_next_id", c_int, (c_uint, UINT_POINTER), status),
    Prototype("bpf_prog_get_fd_by_id", c_int, (c_uint,), status),
    Prototype("bpf_link__destroy", c_int, (c_void_p,), status),
    Prototype("bpf_obj_get_info_by_fd", c_int, (c_int, c_void_p, POINTER(c_uint)), status),
    Prototype("btf__load_vmlinux_btf", c_void_p, (), pointer),
    Prototype("btf__find_by_name_kind", c_int, (c_void_p, c_char_p, c_uint), status),
    Prototype("btf__load_from_kernel_by_id_split", c_void_p, (c_uint, c_void_p), pointer),
    Prototype("btf__type_by_id", c_void_p, (c_void_p, c_uint), pointer),
    Prototype("btf__name_by_offset", c_char_p, (c_void_p, c_uint), infallible),
    Prototype("btf__free", None, (c_void_p,), infallible),
    Prototype("bpf_map__name", c_char_p, (c_void_p,), infallible),
    Prototype("bpf_map__fd", c_int, (c_void_p,), infallible),
    Prototype("bpf_map__type", c_int, (c_void_p,), infallible),
    Prototype("bpf_map__key_size", c_uint, (c_void_p,), infallible),
    Prototype("bpf_map__value_size", c_uint, (c_void_p,), infallible),
    Prototype("bpf_map__map_flags", c_uint, (c_void_p,), infallible),
    Prototype("bpf_map__map_extra", c_ulonglong, (c_void_p,), infallible),
    Prototype("bpf_map__numa_node", c_uint, (c_void_p,), infallible),
    Prototype("bpf_map__max_entries", c_uint, (c_void_p,), infallible),
    Prototype("bpf_map__autocreate", c_bool, (c_void_p,), infallible),
    Prototype("bpf_map__pin_path", c_char_p, (c_void_p,), infallible),
    Prototype("bpf_map__inner_map", c_void_p, (c_void_p,), infallible),
    Prototype("bpf_map__btf_key_type_id", c_uint, (c_void_p,), infallible),
    Prototype("bpf_map__btf_value_type_id", c_uint, (c_void_p,), infallible),
    Prototype("bpf_map__set_type", c_int, (c_void_p, c_int), status),
    Prototype("bpf_map__set_key_size", c_int, (c_void_p, c_uint), status),
    Prototype("bpf_map__set_value_size", c_int, (c_void_p, c_uint), status),
    Prototype("bpf_map__set_map_flags", c_int, (c_void_p, c_uint), status),
    Prototype("bpf_map__set_map_extra", c_int, (c_void_p, c_ulonglong), status),
    Prototype("bpf_map__set_numa_node", c_int, (c_void_p, c_uint), status),
    Prototype("bpf_map__set_max_entries", c_int, (c_void_p, c_uint), status),
    Prototype("bpf_map__set_autocreate", c_int, (c_void_p, c_bool), status),
    Prototype("bpf_map__set_pin_path", c_int, (c_void_p, c_char_p), status),
    Prototype("bpf_map__set_exclusive_program", c_int, (c_void_p, c_void_p), status, "1.7"),
    Prototype("bpf_map__set_inner_map_fd", c_int, (c_void_p, c_int), status),
    Prototype("bpf_map__reuse_fd", c_int, (c_void_p, c_int), status),
    Prototype("bpf_map__initial_value", c_void_p, (c_void_p, POINTER(c_size_t)), pointer),
    Prototype("bpf_map_create", c_int, (c_int, c_char_p, c_uint, c_uint, c_uint, POINTER(CreateOptions)), status),
    Prototype("bpf_map_freeze", c_int, (c_int,), status),
    Prototype("bpf_enable_stats", c_int, (c_int,), status),
    Prototype("bpf_map_get_fd_by_id", c_int, (c_uint,), status),
    Prototype("bpf_map_get_next_id", c_int, (c_uint, UINT_POINTER), status),
    Prototype("bpf_btf_get_fd_by_id", c_int, (c_uint,), status),
    Prototype("bpf_map_lookup_elem", c_int, (c_int, c_char_p, c_void_p), status),
    Prototype("bpf_map_lookup_elem_flags", c_int, (c_int, c_char_p, c_void_p, c_ulonglong), status),
    Prototype("bpf_map_update_elem", c_int, (c_int, c_char_p, c_char_p, c_ulonglong), status),
    Prototype("bpf_map_delete_elem", c_int, (c_int, c_char_p), status),
    Prototype("bpf_map_lookup_and_delete_elem", c_int, (c_int, c_char_p, c_void_p), status),
    Prototype("bpf_map_get_next_key", c_int, (c_int, c_char_p, c_void_p), status),
    Prototype(
        "bpf_map_lookup_batch",
        c_int,
        (c_int, c_void_p, c_void_p, c_void_p, c_void_p, UINT_POINTER, BATCH_POINTER),
        status,
    ),
    Prototype(
        "bpf_map_lookup_and_delete_batch",
        c_int,
        (c_int, c_void_p, c_void_p, c_void_p, c_void_p, UINT_POINTER, BATCH_POINTER),
        status,
    ),
    Prototype("bpf_map_update_batch", c_int, (c_int, c_void_p, c_void_p, UINT_POINTER, BATCH_POINTER), status),
    Prototype("bpf_map_delete_batch", c_int, (c_int, c_void_p, UINT_POINTER, BATCH_POINTER), status),
)
