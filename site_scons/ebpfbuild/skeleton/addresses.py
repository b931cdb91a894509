"""IP addresses: which members and variables are ones, by a decl tag or by the struct that they are."""

from ..btf.reader import Btf
from ..btf.types import Kind, Type
from ..errors import SkeletonError
from .declared import PyType

ADDRESSES = {  # by decl tag
    "ipv4": {4: PyType("IPv4Address", "c.ipv4", 4)},
    "ipv6": {16: PyType("IPv6Address", "c.ipv6", 16)},
    "ip": {4: PyType("IPv4Address", "c.ipv4", 4), 16: PyType("IPv4Address | IPv6Address", "c.ip", 16)},
}
STRUCTS = {"in_addr": "ipv4", "in6_addr": "ipv6"}


def address_type(btf: Btf, kind: Type, place: str, tags: frozenset[str]) -> PyType | None:
    """The address that a tag, or its struct, says these bytes are; None elsewhere, also for an array of addresses.

    Raises SkeletonError for a tag on what has another size.
    """
    if kind.kind == Kind.STRUCT and kind.name in STRUCTS:
        tags |= {STRUCTS[kind.name]}
    found = sorted(tags & ADDRESSES.keys())
    if not found or _holds_more(btf, kind, ADDRESSES[found[0]]):
        return None
    size = btf.size_of(kind.id)
    if size not in ADDRESSES[found[0]]:
        wanted = " or ".join(map(str, ADDRESSES[found[0]]))
        what = f"{place} is tagged {found[0]} and has {size} bytes, not {wanted}"
        raise SkeletonError(what, where=btf.where, fix="tag a __be32, a __u8[16] or a struct in6_addr")
    return ADDRESSES[found[0]][size]


def _holds_more(btf: Btf, kind: Type, sizes: dict[int, PyType]) -> bool:
    """Whether it is an array whose elements, or theirs, have an address's size."""
    while kind.kind == Kind.ARRAY:
        kind = btf.resolve(kind.type)
        if btf.size_of(kind.id) in sizes:
            return True
    return False
