"""Local storage: values that belong to a socket, an inode, a task or a cgroup, and are deleted with it.

The kernel can't list the holders of values: there is no iteration and no len().
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct as structs
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar, Union, overload

from ..codec.base import pack_for
from ..errors import LayoutError, MapError, errno_text
from ..owner import HasFd
from .base import ANY, ValuesMap, descriptor

H = TypeVar("H")
V = TypeVar("V")
T = TypeVar("T")
Path = Union[str, "os.PathLike[str]"]


class LocalStorage(ValuesMap[V], Generic[H, V]):
    """A local storage map: `storage[holder]`, `get`, `put`, `in`, `del`. `value` is a generated class or a codec.

    A holder without a value is a KeyError, one that is gone or can't be opened a MapError.
    """

    holder = "descriptor"  # the kind of holder, for errors
    _fixes = {errno.EINVAL: "give ANY, NOEXIST or EXIST, and LOCK for values with a bpf_spin_lock"}

    def _open(self, holder: Any) -> int | None:
        """Opens a new descriptor of the holder; returns None for a holder that is or has one."""
        return os.open(holder, os.O_PATH | os.O_CLOEXEC) if isinstance(holder, (str, os.PathLike)) else None

    @contextmanager
    def _key(self, holder: H) -> Iterator[bytes]:
        """Makes the kernel's key of a holder, its descriptor, valid inside the `with`."""
        try:
            opened = self._open(holder)
            fd = descriptor(holder) if opened is None else opened
        except TypeError:
            raise LayoutError(f"{self.name}: {holder!r} is no {self.holder}", fix=f"give a {self.holder}") from None
        except OSError as error:
            what = f"{self.name}: can't open {holder!r} ({errno_text(error.errno or 0)})"
            raise MapError(what, fix=f"give a {self.holder} that is there", errno=error.errno or 0) from None
        try:
            yield structs.pack("=i", fd)
        except KeyError:
            raise KeyError(holder) from None
        finally:
            if opened is not None:
                os.close(opened)

    def lookup(self, holder: H, flags: int = ANY) -> V:
        """Returns the holder's value; with LOCK whole. Raises KeyError, MapError, LayoutError."""
        found = ctypes.create_string_buffer(self._value.size)
        with self._key(holder) as key:
            self._call("lookup_elem_flags", key, found, flags)
        return self._value.unpack(found.raw)

    def put(self, holder: H, value: V, flags: int = ANY) -> None:
        """Sets the holder's value: ANY, only a new one (NOEXIST), or only an existing one (EXIST); LOCK takes its lock.

        Raises KeyError, MapError, LayoutError.
        """
        packed = pack_for(self, self._value, value)
        with self._key(holder) as key:
            self._call("update_elem", key, packed, flags)

    def __getitem__(self, holder: H) -> V:
        return self.lookup(holder)

    def __setitem__(self, holder: H, value: V) -> None:
        self.put(holder, value)

    def __delitem__(self, holder: H) -> None:
        with self._key(holder) as key:
            self._call("delete_elem", key)

    def __contains__(self, holder: H) -> bool:
        return self.get(holder, self) is not self

    @overload
    def get(self, holder: H) -> V | None: ...

    @overload
    def get(self, holder: H, default: T) -> V | T: ...

    def get(self, holder: H, default: Any = None) -> Any:
        """Returns the holder's value, or the default if it has none. Raises MapError."""
        try:
            return self.lookup(holder)
        except KeyError:
            return default

    __iter__ = None  # else Python would try 0, 1, 2 … as holders


class SkStorage(LocalStorage[Union[HasFd, int], V]):
    """A value for each socket: `storage[sock]`, by a socket or its descriptor."""

    holder = "socket"


class InodeStorage(LocalStorage[Union[HasFd, int, Path], V]):
    """A value for each inode: `storage[file]`, by an open file, a descriptor or a path."""

    holder = "file"


class CgroupStorage(LocalStorage[Union[HasFd, int, Path], V]):
    """A value for each cgroup: `storage["/sys/fs/cgroup/app"]`, by a path, a descriptor or an open folder."""

    holder = "cgroup"


class TaskStorage(LocalStorage[Union[HasFd, int], V]):
    """A value for each task: `storage[os.getpid()]`, by a process's pid, or an object whose fileno is a pidfd."""

    holder = "pid"

    def _open(self, holder: Any) -> int | None:
        """Opens a pidfd of a pid."""
        return os.pidfd_open(holder) if isinstance(holder, int) else None
