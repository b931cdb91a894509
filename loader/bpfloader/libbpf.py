"""libbpf.so.1 through ctypes: one table of the C functions used, and of what each one's return value means.

The declarations are those of libbpf 1.0 (bpf.h, libbpf.h, libbpf_legacy.h); the soname .so.1 keeps them until 2.0.
Structs that libbpf extends carry their own size first (`sz`), so that a shorter one, as here, stays valid.
"""

import ctypes
from collections.abc import Callable
from ctypes import POINTER, c_bool, c_char_p, c_int, c_size_t, c_uint, c_ulonglong, c_void_p
from functools import lru_cache
from typing import Any

from .errors import CallError, LibraryError, errno_text

LIBRARY = "libbpf.so.1"

# libbpf_print_fn_t; its va_list is one machine word (see log.py).
PRINTER = ctypes.CFUNCTYPE(c_int, c_int, c_char_p, c_void_p)


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


def status(result: int, function: Any, _arguments: object) -> int:
    """The result of a function that returns a negative errno when it fails. Raises CallError."""
    if result < 0:
        raise failure(function.__name__, -result)
    return result


def pointer(result: int | None, function: Any, _arguments: object) -> int:
    """The result of a function that returns NULL and sets errno when it fails. Raises CallError."""
    if not result:
        raise failure(function.__name__, ctypes.get_errno())
    return result


def plain(result: Any, _function: object, _arguments: object) -> Any:
    """The result of a function that can't fail."""
    return result


def failure(function: str, errno: int) -> CallError:
    """The CallError for a function that failed with an errno."""
    return CallError(f"{function} failed ({errno_text(errno)})", errno=errno)


Convention = Callable[[Any, Any, object], Any]
FUNCTIONS: tuple[tuple[str, Any, tuple[Any, ...], Convention], ...] = (
    ("libbpf_version_string", c_char_p, (), plain),
    ("libbpf_set_print", c_void_p, (PRINTER,), plain),
    ("libbpf_num_possible_cpus", c_int, (), status),
    ("bpf_object__open_mem", c_void_p, (c_char_p, c_size_t, POINTER(OpenOptions)), pointer),
    ("bpf_object__load", c_int, (c_void_p,), status),
    ("bpf_object__close", None, (c_void_p,), plain),
    ("bpf_object__find_map_by_name", c_void_p, (c_void_p, c_char_p), pointer),
    ("bpf_object__find_program_by_name", c_void_p, (c_void_p, c_char_p), pointer),
    ("bpf_program__fd", c_int, (c_void_p,), status),
    ("bpf_program__section_name", c_char_p, (c_void_p,), plain),
    ("bpf_program__autoload", c_bool, (c_void_p,), plain),
    ("bpf_program__set_autoload", c_int, (c_void_p, c_bool), status),
    ("bpf_program__attach", c_void_p, (c_void_p,), pointer),
    ("bpf_program__attach_cgroup", c_void_p, (c_void_p, c_int), pointer),
    ("bpf_program__attach_netns", c_void_p, (c_void_p, c_int), pointer),
    ("bpf_program__attach_raw_tracepoint", c_void_p, (c_void_p, c_char_p), pointer),
    ("bpf_program__attach_tracepoint", c_void_p, (c_void_p, c_char_p, c_char_p), pointer),
    ("bpf_program__attach_kprobe", c_void_p, (c_void_p, c_bool, c_char_p), pointer),
    ("bpf_program__attach_xdp", c_void_p, (c_void_p, c_int), pointer),
    ("bpf_prog_test_run_opts", c_int, (c_int, POINTER(TestRunOptions)), status),
    ("bpf_link__fd", c_int, (c_void_p,), status),
    ("bpf_link__destroy", c_int, (c_void_p,), status),
    ("bpf_obj_get_info_by_fd", c_int, (c_int, c_void_p, POINTER(c_uint)), status),
    ("bpf_map__fd", c_int, (c_void_p,), status),
    ("bpf_map__type", c_int, (c_void_p,), plain),
    ("bpf_map__key_size", c_uint, (c_void_p,), plain),
    ("bpf_map__value_size", c_uint, (c_void_p,), plain),
    ("bpf_map__map_flags", c_uint, (c_void_p,), plain),
    ("bpf_map__max_entries", c_uint, (c_void_p,), plain),
    ("bpf_map__set_max_entries", c_int, (c_void_p, c_uint), status),
    ("bpf_map__initial_value", c_void_p, (c_void_p, POINTER(c_size_t)), pointer),
    ("bpf_map_lookup_elem", c_int, (c_int, c_char_p, c_void_p), status),
    ("bpf_map_update_elem", c_int, (c_int, c_char_p, c_char_p, c_ulonglong), status),
    ("bpf_map_delete_elem", c_int, (c_int, c_char_p), status),
    ("bpf_map_lookup_and_delete_elem", c_int, (c_int, c_char_p, c_void_p), status),
    ("bpf_map_get_next_key", c_int, (c_int, c_char_p, c_void_p), status),
    ("bpf_map_lookup_batch", c_int, (c_int, c_void_p, c_void_p, c_void_p, c_void_p, POINTER(c_uint), c_void_p), status),
)


class Library:
    """libbpf's functions by their C names, each one raising CallError as its row in FUNCTIONS says."""

    def __init__(self, name: str):
        try:
            shared = ctypes.CDLL(name, use_errno=True)
        except OSError as error:
            fix = "install it: apt install libbpf1 (Debian, Ubuntu), dnf install libbpf (Fedora)"
            raise LibraryError(f"can't load {name}", fix=fix, details=(str(error),)) from None
        for function, result, arguments, convention in FUNCTIONS:
            try:
                bound = getattr(shared, function)
            except AttributeError:
                raise LibraryError(f"{name} has no {function}", fix="install libbpf 1.0 or newer") from None
            bound.restype, bound.argtypes, bound.errcheck = result, arguments, convention
            setattr(self, function, bound)

    def __getattr__(self, function: str) -> Any:
        raise AttributeError(f"{function} is not in bpfloader's table of libbpf functions")


@lru_cache(maxsize=1)
def library() -> Library:
    """libbpf, loaded at the first call. Raises LibraryError where there is none, or one older than 1.0."""
    return Library(LIBRARY)


def version() -> str:
    """libbpf's version as it states it, such as `1.1`. Raises LibraryError."""
    text: bytes = library().libbpf_version_string()
    return text.decode().removeprefix("v")
