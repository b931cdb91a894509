"""libbpf.so.1 through ctypes: one table of the C functions used, and of what each one's return value means.

The declarations are those of bpf.h, libbpf.h, btf.h and libbpf_legacy.h; the soname .so.1 keeps them until 2.0. A
function younger than 1.0 says so in its row (libbpf.map has the versions); calling it with an older libbpf is a
LibraryError.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import POINTER, c_bool, c_char_p, c_int, c_size_t, c_uint, c_void_p
from functools import lru_cache
from typing import Any

from . import btf_calls as btfcalls, map_calls as mapcalls
from .prototypes import Function, plain, pointer, status
from ..errors import LibraryError
from .options import (
    CookieOptions,
    IterOptions,
    KprobeMultiOptions,
    KprobeOptions,
    KsyscallOptions,
    LinkCreateOptions,
    LinkUpdateOptions,
    NetfilterOptions,
    PerfEventOptions,
    PlacementOptions,
    TcHook,
    TcOptions,
    UprobeMultiOptions,
    UprobeOptions,
)
from .structs import OpenOptions, TestRunOptions

LIBRARY = "libbpf.so.1"
OLD_LIBRARY = "libbpf.so.0"  # of the versions before 1.0, whose functions differ

# libbpf_print_fn_t; its va_list is one machine word (see log.py).
PRINTER = ctypes.CFUNCTYPE(c_int, c_int, c_char_p, c_void_p)


FUNCTIONS = (
    Function("libbpf_version_string", c_char_p, (), plain),
    Function("libbpf_set_print", c_void_p, (PRINTER,), plain),
    Function("libbpf_num_possible_cpus", c_int, (), status),
    Function("bpf_object__open_mem", c_void_p, (c_char_p, c_size_t, POINTER(OpenOptions)), pointer),
    Function("bpf_object__load", c_int, (c_void_p,), status),
    Function("bpf_object__btf_fd", c_int, (c_void_p,), plain),
    Function("bpf_object__close", None, (c_void_p,), plain),
    Function("bpf_object__next_map", c_void_p, (c_void_p, c_void_p), plain),
    Function("bpf_object__next_program", c_void_p, (c_void_p, c_void_p), plain),
    Function("bpf_object__find_map_by_name", c_void_p, (c_void_p, c_char_p), pointer),
    Function("bpf_object__find_program_by_name", c_void_p, (c_void_p, c_char_p), pointer),
    Function("bpf_program__name", c_char_p, (c_void_p,), plain),
    Function("bpf_program__fd", c_int, (c_void_p,), status),
    Function("bpf_program__section_name", c_char_p, (c_void_p,), plain),
    Function("bpf_program__autoload", c_bool, (c_void_p,), plain),
    Function("bpf_program__set_autoload", c_int, (c_void_p, c_bool), status),
    Function("bpf_program__attach", c_void_p, (c_void_p,), pointer),
    Function("bpf_program__attach_kprobe_opts", c_void_p, (c_void_p, c_char_p, POINTER(KprobeOptions)), pointer),
    Function(
        "bpf_program__attach_kprobe_multi_opts", c_void_p, (c_void_p, c_char_p, POINTER(KprobeMultiOptions)), pointer
    ),
    Function("bpf_program__attach_ksyscall", c_void_p, (c_void_p, c_char_p, POINTER(KsyscallOptions)), pointer),
    Function(
        "bpf_program__attach_uprobe_opts",
        c_void_p,
        (c_void_p, c_int, c_char_p, c_size_t, POINTER(UprobeOptions)),
        pointer,
    ),
    Function(
        "bpf_program__attach_uprobe_multi",
        c_void_p,
        (c_void_p, c_int, c_char_p, c_char_p, POINTER(UprobeMultiOptions)),
        pointer,
        "1.3",
    ),
    Function(
        "bpf_program__attach_usdt",
        c_void_p,
        (c_void_p, c_int, c_char_p, c_char_p, c_char_p, POINTER(CookieOptions)),
        pointer,
    ),
    Function(
        "bpf_program__attach_tracepoint_opts", c_void_p, (c_void_p, c_char_p, c_char_p, POINTER(CookieOptions)), pointer
    ),
    Function("bpf_program__attach_raw_tracepoint", c_void_p, (c_void_p, c_char_p), pointer),
    Function(
        "bpf_program__attach_raw_tracepoint_opts",
        c_void_p,
        (c_void_p, c_char_p, POINTER(CookieOptions)),
        pointer,
        "1.4",
    ),
    Function("bpf_program__attach_trace_opts", c_void_p, (c_void_p, POINTER(CookieOptions)), pointer),
    Function("bpf_program__attach_lsm", c_void_p, (c_void_p,), pointer),
    Function("bpf_program__attach_freplace", c_void_p, (c_void_p, c_int, c_char_p), pointer),
    Function("bpf_program__attach_iter", c_void_p, (c_void_p, POINTER(IterOptions)), pointer),
    Function("bpf_program__attach_perf_event_opts", c_void_p, (c_void_p, c_int, POINTER(PerfEventOptions)), pointer),
    Function("bpf_program__attach_xdp", c_void_p, (c_void_p, c_int), pointer),
    Function("bpf_program__attach_tcx", c_void_p, (c_void_p, c_int, POINTER(PlacementOptions)), pointer, "1.3"),
    Function("bpf_program__attach_netkit", c_void_p, (c_void_p, c_int, POINTER(PlacementOptions)), pointer, "1.3"),
    Function("bpf_program__attach_netfilter", c_void_p, (c_void_p, POINTER(NetfilterOptions)), pointer, "1.3"),
    Function("bpf_program__attach_cgroup", c_void_p, (c_void_p, c_int), pointer),
    Function("bpf_program__attach_cgroup_opts", c_void_p, (c_void_p, c_int, POINTER(PlacementOptions)), pointer, "1.6"),
    Function("bpf_program__attach_netns", c_void_p, (c_void_p, c_int), pointer),
    Function("bpf_program__set_attach_target", c_int, (c_void_p, c_int, c_char_p), status),
    Function("bpf_program__expected_attach_type", c_int, (c_void_p,), plain),
    Function("bpf_map__attach_struct_ops", c_void_p, (c_void_p,), pointer),
    Function("bpf_prog_attach", c_int, (c_int, c_int, c_int, c_uint), status),
    Function("bpf_prog_detach2", c_int, (c_int, c_int, c_int), status),
    Function("bpf_tc_hook_create", c_int, (POINTER(TcHook),), status),
    Function("bpf_tc_attach", c_int, (POINTER(TcHook), POINTER(TcOptions)), status),
    Function("bpf_tc_detach", c_int, (POINTER(TcHook), POINTER(TcOptions)), status),
    Function("bpf_iter_create", c_int, (c_int,), status),
    Function("bpf_obj_pin", c_int, (c_int, c_char_p), status),
    Function("bpf_obj_get", c_int, (c_char_p,), status),
    Function("bpf_prog_test_run_opts", c_int, (c_int, POINTER(TestRunOptions)), status),
    Function("bpf_link__fd", c_int, (c_void_p,), status),
    Function("bpf_link__update_map", c_int, (c_void_p, c_void_p), status, "1.2"),
    Function("bpf_link_create", c_int, (c_int, c_int, c_int, POINTER(LinkCreateOptions)), status),
    Function("bpf_link_update", c_int, (c_int, c_int, POINTER(LinkUpdateOptions)), status),
    Function("bpf_link__destroy", c_int, (c_void_p,), status),
    Function("bpf_obj_get_info_by_fd", c_int, (c_int, c_void_p, POINTER(c_uint)), status),
    *btfcalls.FUNCTIONS,
    *mapcalls.FUNCTIONS,
)


class Library:
    """libbpf's functions by their C names, each one raising CallError as its row in FUNCTIONS says."""

    def __init__(self, name: str):
        try:
            self._shared = ctypes.CDLL(name, use_errno=True)
        except OSError as error:
            raise _missing(name, error) from None
        self.name = name
        self._rows = {row.name: row for row in FUNCTIONS}
        self.libbpf_version_string = self._bound(self._rows["libbpf_version_string"])  # it is libbpf

    def _bound(self, row: Function) -> Any:
        try:
            bound = getattr(self._shared, row.name)
        except AttributeError:
            if row.since == "1.0":
                raise LibraryError(f"{self.name} has no {row.name}", fix="install libbpf 1.0 or newer") from None
            return self._absent(row)
        bound.restype, bound.argtypes = row.result, row.arguments
        if row.convention is not plain:
            bound.errcheck = row.convention
        return bound

    def _absent(self, row: Function) -> Callable[..., Any]:
        """What stands for a function that this libbpf is too old for: calling it says so."""

        def absent(*_: object) -> Any:
            raise LibraryError(f"libbpf {version()} has no {row.name}", fix=f"install libbpf {row.since} or newer")

        return absent

    def __getattr__(self, function: str) -> Any:
        """The function, bound when it is first named: a program calls a few of them."""
        if function not in self._rows:
            raise AttributeError(f"{function} is not in bpfloader's table of libbpf functions")
        bound = self._bound(self._rows[function])
        setattr(self, function, bound)
        return bound


def _missing(name: str, error: OSError) -> LibraryError:
    """The error where there is no libbpf, or only one from before 1.0."""
    try:
        old = ctypes.CDLL(OLD_LIBRARY)
    except OSError:
        fix = "install it: apt install libbpf1 (Debian, Ubuntu), dnf install libbpf (Fedora)"
        return LibraryError(f"can't load {name}", fix=fix, details=(str(error),))
    version = b"0.x"
    if hasattr(old, "libbpf_version_string"):  # since 0.6
        old.libbpf_version_string.restype = c_char_p
        version = old.libbpf_version_string().lstrip(b"v")
    what = f"can't load {name}: libbpf {version.decode()} (libbpf.so.0) is installed, which is too old"
    return LibraryError(what, fix="install libbpf 1.0 or newer", details=(str(error),))


@lru_cache(maxsize=1)
def library() -> Library:
    """libbpf, loaded at the first call. Raises LibraryError where there is none, or one older than 1.0."""
    return Library(LIBRARY)


def version() -> str:
    """libbpf's version as it states it, such as `1.1`. Raises LibraryError."""
    text: bytes = library().libbpf_version_string()
    return text.decode().removeprefix("v")


def require(since: str, what: str) -> None:
    """Raises LibraryError, which names both versions, where libbpf is older than `since` and so has no `what`."""
    if tuple(map(int, version().split(".")[:2])) < tuple(map(int, since.split("."))):
        raise LibraryError(f"libbpf {version()} has no {what}", fix=f"install libbpf {since} or newer")
