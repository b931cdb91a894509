"""Compares the types of a pinned map with those that an object declares, by the BTF of both."""

from __future__ import annotations

import contextlib
import ctypes
from typing import NamedTuple

from ..errors import CallError, ObjectError
from ..kernel.kernel_btf import read_btf
from ..libbpf.library import library
from ..map.info import MapInfo


class DeclaredTypes(NamedTuple):
    """The ids of a map's key and value in its object's BTF, 0 for none."""

    key: int
    value: int


class ObjectBtf:
    """An opened object's BTF, read where a map is first compared; `handle` is libbpf's struct bpf_object *."""

    def __init__(self, handle: int):
        self._handle = handle
        self._data = b""

    def difference(self, declared: DeclaredTypes, pinned: MapInfo) -> str:
        """Names the first difference between a pinned map's layout and the declared one; empty where there is none.

        Empty too where that can't be told: a map without BTF, or one of which this process may not read it
        (CAP_SYS_ADMIN).
        """
        pairs = ("key", pinned.btf_key_type_id, declared.key), ("value", pinned.btf_value_type_id, declared.value)
        with contextlib.suppress(CallError, ObjectError):
            there, here = read_btf(pinned.btf_id) if pinned.btf_id else b"", self._read()
            if there == here or not there or not here:
                return ""
            from ..btf.layout import difference
            from ..btf.reader import Btf

            theirs, ours = Btf(there, "the pinned map"), Btf(here, "the object")
            for part, their_type, our_type in pairs:
                if their_type and our_type and (found := difference(ours, our_type, theirs, their_type)):
                    return f"a {part} with {found}"
        return ""

    def _read(self) -> bytes:
        """Reads the BTF that libbpf loads for the object, in which data sections have their places."""
        if not self._data and (handle := library().bpf_object__btf(self._handle)):
            size = ctypes.c_uint()
            address = library().btf__raw_data(handle, ctypes.byref(size))
            self._data = ctypes.string_at(address, size.value)
        return self._data
