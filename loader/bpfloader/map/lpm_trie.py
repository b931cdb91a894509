"""LPM tries: keys are prefixes, and a look-up finds the longest match (Documentation/bpf/map_lpm_trie.rst)."""

from __future__ import annotations

import struct as structs
from typing import TYPE_CHECKING, TypeVar

from ..codec.base import NATIVE
from ..codec.c_types import IPV4_MAPPED
from ..errors import LayoutError
from .hash import Hash

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

K = TypeVar("K")
V = TypeVar("V")
PREFIX = structs.Struct(NATIVE + "I")


class LpmTrie(Hash[K, V]):
    """An LPM trie. `key` is a struct of a prefix length in bits (u32) and an address; needs BPF_F_NO_PREALLOC (1).

    `trie[key]`, `get` and `in` find the longest prefix that covers the key's address and is no longer than its length;
    `del` and `pop` take exactly the key given. `key` and `network` turn IP networks into keys and back.
    """

    _repeats = True

    def key(self, network: str | IPv4Network | IPv6Network) -> K:
        """Makes the key for a network or an address: `trie[trie.key("10.0.0.0/8")] = 1`, `trie[trie.key("10.1.2.3")]`.

        In 16 bytes, IPv4 becomes ::ffff:a.b.c.d. Raises ValueError for anything but a network, LayoutError for one
        that doesn't fit.
        """
        from ipaddress import ip_network

        net = ip_network(network)
        address, bits = net.network_address.packed, net.prefixlen
        room = self._key.size - PREFIX.size
        if len(address) == 4 and room == 16:
            address, bits = IPV4_MAPPED + address, bits + 96
        if len(address) != room:
            what = f"{net} doesn't fit the keys of {self.name}, which have {room} bytes for an address"
            raise LayoutError(what, fix="give a network of the other IP version, or make the key yourself")
        return self._key.unpack(PREFIX.pack(bits) + address)

    def network(self, key: K) -> IPv4Network | IPv6Network:
        """Returns the network of a key. Raises LayoutError for addresses of neither 4 nor 16 bytes."""
        from ipaddress import IPv4Network, IPv6Network

        packed = self._key.pack(key)
        (bits,), address = PREFIX.unpack_from(packed), packed[PREFIX.size :]
        if len(address) == 16 and address[:12] == IPV4_MAPPED and bits >= 96:
            address, bits = address[12:], bits - 96
        if len(address) not in (4, 16) or bits > 8 * len(address):
            raise LayoutError(f"{key!r} is no IP network: it has {bits} bits of {len(address)} bytes")
        return (IPv4Network if len(address) == 4 else IPv6Network)((address, bits), strict=False)

    def _lookup_and_delete(self, packed: bytes) -> bytes:
        """Returns and deletes a value. A look-up may find a shorter prefix: only the deletion proves the key."""
        value = self._lookup(packed)
        self._call("delete_elem", packed)
        return value
