"""Maps of redirect targets (sockets, interfaces, CPUs), and of cgroups, against which programs test tasks."""

from __future__ import annotations

import errno
import os
import struct as structs
from typing import TYPE_CHECKING, Any, TypeVar, Union

from ..codec.base import Codec
from ..errors import MapError, errno_text
from ..owner import HasFd
from .array import SparseArray
from .base import ANY, Map, codec_of, descriptor
from .hash import Hash, KeyedMap
from .map_in_map import kernel_ids

if TYPE_CHECKING:
    from ..owner import Owner

K = TypeVar("K")
V = TypeVar("V")
Socket = Union[HasFd, int]
NO_COOKIE = "declare values of 8 bytes (__u64): the kernel then tells a socket's cookie"


class Sockets(KeyedMap[K, int]):
    """A map of sockets: put a socket or its descriptor, read the socket's cookie (SO_COOKIE of socket(7)).

    Only values of 8 bytes can be read. A closed socket leaves the map by itself.
    """

    _batch_writes = False
    _fixes = {
        errno.ENOSPC: NO_COOKIE,
        errno.EOPNOTSUPP: "the kernel takes TCP sockets that are connected or listen, UDP and connected Unix sockets",
        errno.EINVAL: "give a socket of a kind that this map takes, and is not in it already under another key",
    }

    def __setitem__(self, key: K, value: Socket) -> None:
        """Puts a socket. Raises MapError, LayoutError."""
        self.put(key, value)  # type: ignore[arg-type]


class SockMap(Sockets[int], SparseArray[int]):
    """An array of sockets."""

    def __init__(self, owner: Owner, name: str):
        SparseArray.__init__(self, owner, name, _socket_codec(owner, name))


class SockHash(Sockets[K]):
    """A hash of sockets; `key` is a generated class or a codec."""

    def __init__(self, owner: Owner, name: str, key: type[K] | Codec[K]):
        super().__init__(owner, name, codec_of(key), _socket_codec(owner, name))


class ReuseportSockArray(SockMap):
    """Sockets among which SEC("sk_reuseport") chooses; each must be bound, with SO_REUSEPORT set before."""

    _fixes = {**Sockets._fixes, errno.EINVAL: "set SO_REUSEPORT on it, then bind it (UDP) or let it listen (TCP)",
             errno.EBUSY: "the socket is in such an array already"}  # fmt: skip


def _socket_codec(owner: Owner, name: str) -> Codec[Any]:
    return kernel_ids(owner.map_attribute(owner.find_map(name), "value_size"), "socket")


class DevMap(SparseArray[V]):
    """Interfaces to redirect to, by index: an ifindex (socket.if_nametoindex) or a struct bpf_devmap_val.

    `value` is a generated class or a codec.
    """

    _batch_writes = False
    _fixes = {errno.EINVAL: "give the ifindex of an interface of this network namespace: socket.if_nametoindex"}

    def __init__(self, owner: Owner, name: str, value: type[V] | Codec[V]):
        super().__init__(owner, name, codec_of(value))


class DevMapHash(Hash[K, V]):
    """Interfaces to redirect to, by a key of 4 bytes; otherwise like DevMap."""

    _batch_writes = False
    _fixes = DevMap._fixes


class CpuMap(DevMap[V]):
    """CPUs to redirect packets to, by number: the size of the CPU's queue in packets, or a struct bpf_cpumap_val."""

    _fixes = {errno.EOVERFLOW: "let at most 16384 packets wait", errno.ENODEV: "give the number of a CPU that is there"}


class Descriptors(Map):
    """A map of descriptors by index, which the kernel can't read back. Base of XskMap, CgroupArray."""

    _fixes = {errno.E2BIG: "the index is too high: raise max_entries before load"}

    def _opened(self, value: Any) -> int | None:
        """Opens a new descriptor of the value; returns None for a value that is or has one."""
        return None

    def put(self, index: int, value: Any, flags: int = ANY) -> None:
        """Puts a descriptor, or an object that has one, at an index. Raises MapError, KeyError, TypeError."""
        opened = self._opened(value)
        try:
            fd = descriptor(value) if opened is None else opened
            self._call("update_elem", structs.pack("=I", index), structs.pack("=i", fd), flags)
        finally:
            if opened is not None:
                os.close(opened)

    def __setitem__(self, index: int, value: Any) -> None:
        self.put(index, value)

    def __delitem__(self, index: int) -> None:
        """Removes the entry at an index. Raises KeyError if there is none, MapError."""
        try:
            self._call("delete_elem", structs.pack("=I", index))
        except KeyError:
            raise KeyError(index) from None


class XskMap(Descriptors):
    """AF_XDP sockets that SEC("xdp") redirects to; each must be bound to an interface and a queue."""


class CgroupArray(Descriptors):
    """Cgroups for bpf_current_task_under_cgroup; put a path, a descriptor or an open folder."""

    def _opened(self, value: Any) -> int | None:
        if not isinstance(value, (str, os.PathLike)):
            return None
        try:
            return os.open(value, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            what = f"{self.name}: can't open the cgroup {os.fspath(value)} ({errno_text(error.errno or 0)})"
            raise MapError(what, fix="give a folder of the cgroup v2 file system", errno=error.errno or 0) from None
