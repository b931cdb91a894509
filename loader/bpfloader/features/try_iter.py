"""Tries iterators over what the section names, which is a kind of its own for the kernel (see trial.py)."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from ..btf.reader import FUNC
from ..kernel import bpf as rawbpf
from ..kernel.bpf import MapAttr
from ..kernel.map_type import BPF_F_NO_PREALLOC, MapType
from .trial import Trial, kernel_type, loaded
from .try_freplace import FILTER_BTF

INT_ID = 1  # an int's id in FILTER_BTF
STORAGE = MapAttr(entries=0, flags=BPF_F_NO_PREALLOC, key_type=INT_ID, value_type=INT_ID)
# The maps that iterators over elements go over.
ITERATED_MAPS = {
    "bpf_map_elem": (MapType.HASH, MapAttr()), "sockmap": (MapType.SOCKMAP, MapAttr()),
    "bpf_sk_storage_map": (MapType.SK_STORAGE, STORAGE),
}  # fmt: skip
SELF_ONLY = 1  # BPF_CGROUP_ITER_SELF_ONLY


def iterator(trial: Trial) -> None:
    """Tries an iterator over its target, by default over tasks; it runs only when it is read."""
    target = trial.target or "task"
    with loaded(trial, kernel_type(f"bpf_iter_{target}", FUNC)) as program, _link_info(target) as part:
        buffer = ctypes.create_string_buffer(part, len(part))
        options = struct.pack("=QI", ctypes.addressof(buffer), len(part)) if part else b""
        os.close(rawbpf.create_link(program, 0, trial.attach_type, options))


@contextmanager
def _link_info(target: str) -> Iterator[bytes]:
    """Yields the union bpf_iter_link_info of an iterator over a map, which exists in the `with`, or the root cgroup."""
    if target not in ITERATED_MAPS:
        yield struct.pack("=I", SELF_ONLY) if target == "cgroup" else b""
        return
    fd = create_typed_map(*ITERATED_MAPS[target])
    try:
        yield struct.pack("=I", fd)
    finally:
        os.close(fd)


def create_typed_map(number: int, spec: MapAttr) -> int:
    """Makes a map, whose key and value are ints where its type wants BTF; returns its descriptor. Raises OSError."""
    if not spec.key_type:
        return rawbpf.create_map(number, spec)
    btf = rawbpf.load_btf(FILTER_BTF)
    try:
        return rawbpf.create_map(number, spec._replace(btf=btf))
    finally:
        os.close(btf)
