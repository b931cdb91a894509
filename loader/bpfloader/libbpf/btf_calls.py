"""The functions of libbpf that find the kernel's types (btf.h), for libbpf.py's table."""

from __future__ import annotations

from ctypes import c_char_p, c_int, c_uint, c_void_p

from .prototypes import Function, plain, pointer, status

FUNCTIONS = (
    Function("btf__load_vmlinux_btf", c_void_p, (), pointer),
    Function("btf__find_by_name_kind", c_int, (c_void_p, c_char_p, c_uint), status),
    Function("btf__free", None, (c_void_p,), plain),
)
