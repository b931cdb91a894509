"""How a probe tries iterators: over what is asked for, which is a kind of its own for the kernel (see trial.py)."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from ..btf.reader import FUNC
from ..kernel import bpf as rawbpf
from ..kernel.bpf import MapAttr
from ..kernel.map_type import MapType
from .trial import Kind, kernel_type, loaded
from .try_freplace import FILTER_BTF

NO_PREALLOC = 1 << 0  # BPF_F_NO_PREALLOC
INT = 1  # an int's id in FILTER_BTF
STORAGE = MapAttr(entries=0, flags=NO_PREALLOC, key_type=INT, value_type=INT)
# The maps that iterators over elements take.
MAPS = {
    "bpf_map_elem": (MapType.HASH, MapAttr()), "sockmap": (MapType.SOCKMAP, MapAttr()),
    "bpf_sk_storage_map": (MapType.SK_STORAGE, STORAGE),
}  # fmt: skip
SELF_ONLY = 1  # BPF_CGROUP_ITER_SELF_ONLY


def iterator(kind: Kind) -> None:
    """Tries an iterator over its target, over tasks where none is told; it runs only as it is read."""
    target = kind.target or "task"
    with loaded(kind, kernel_type(f"bpf_iter_{target}", FUNC)) as program, _part(target) as part:
        room = ctypes.create_string_buffer(part, len(part))
        options = struct.pack("=QI", ctypes.addressof(room), len(part)) if part else b""
        os.close(rawbpf.link(program, 0, kind.attach_type, options))


@contextmanager
def _part(target: str) -> Iterator[bytes]:
    """The union bpf_iter_link_info of those that go over a part of all there is: a map, the root cgroup."""
    if target not in MAPS:
        yield struct.pack("=I", SELF_ONLY) if target == "cgroup" else b""
        return
    made = create(*MAPS[target])
    try:
        yield struct.pack("=I", made)
    finally:
        os.close(made)


def create(number: int, spec: MapAttr) -> int:
    """Returns the descriptor of a new map, whose key and value are ints where its type wants BTF. Raises OSError."""
    if not spec.key_type:
        return rawbpf.create_map(number, spec)
    btf = rawbpf.load_btf(FILTER_BTF)
    try:
        return rawbpf.create_map(number, spec._replace(btf=btf))
    finally:
        os.close(btf)
