"""Compares the types of a pinned map with those that an object declares, by the BTF of both."""

from __future__ import annotations

import contextlib
import ctypes

from ..errors import CallError, ObjectError
from ..kernel.kernel_btf import read_btf
from ..libbpf.library import library
from ..map.info import MapInfo


class ObjectBtf:
    """An opened object's BTF, read where a map is first compared; `handle` is libbpf's struct bpf_object *."""

    def __init__(self, handle: int):
        self._handle = handle
        self._data = b""

    def difference(self, declared: int, pinned: MapInfo) -> str:
        """Names the first difference between a map's layout and that of the declared one (libbpf's struct bpf_map *).

        Empty where there is none, and where that can't be told: a map without BTF, or one of which this process may not
        read it (CAP_SYS_ADMIN).
        """
        key, value = library().bpf_map__btf_key_type_id(declared), library().bpf_map__btf_value_type_id(declared)
        pairs = ("key", pinned.btf_key_type_id, key), ("value", pinned.btf_value_type_id, value)
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
