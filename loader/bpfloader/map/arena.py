"""Arenas: memory that programs and this process share, allocated page by page on first access (Linux 6.9)."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
from functools import lru_cache
from typing import NamedTuple

from ..errors import CallError, MapError, errno_text
from ..libbpf.library import library, version
from .base import Map

FAILED = ctypes.c_void_p(-1).value  # MAP_FAILED


class MappedArena(NamedTuple):
    """An arena's memory in this process, and its address."""

    memory: memoryview
    address: int


class Arena(Map):
    """An arena; `max_entries` is its size in pages, `map_extra` its address in this process, 0 for any.

    libbpf before 1.5 doesn't support arenas: programs with pointers into one load only if map_extra is set, and
    programs with variables in one (`__arena` globals) not at all.
    """

    _view: memoryview | None = None
    _address = _length = 0  # of the mapping made here, in bytes

    @property
    def memory(self) -> memoryview:
        """All of its memory, writable, valid until the object is destroyed. An untouched page reads as zero.

        Raises MapError if it can't be mapped, StateError before load and after destroy.
        """
        return self._mapped().memory

    @property
    def address(self) -> int:
        """Its address in this process, which is also the one in programs' pointers. Raises as `memory` does."""
        return self._mapped().address

    def _mapped(self) -> MappedArena:
        with self._owner.lock:
            fd = self.fd
            address = self._libbpf_address() or self._map_here(fd)
            if self._view is None:
                self._view = memoryview((ctypes.c_char * self._size).from_address(address)).cast("B")
            return MappedArena(self._view, address)

    def _libbpf_address(self) -> int:
        """Returns the address where libbpf has mapped it; 0 if it hasn't."""
        if tuple(map(int, version().split(".")[:2])) < (1, 5) or not self.handle:
            return 0
        with contextlib.suppress(CallError):
            return int(library().bpf_map__initial_value(self.handle, ctypes.byref(ctypes.c_size_t())))
        return 0

    def _map_here(self, fd: int) -> int:
        """Maps it and returns the address. Calls libc: Python's mmap can't map at a given address."""
        if not self._address:
            protection = mmap.PROT_READ | mmap.PROT_WRITE
            address = _libc().mmap(self.map_extra, self._size, protection, mmap.MAP_SHARED, fd, 0)
            if address in (None, FAILED):
                what = f"can't map the arena {self.name} ({errno_text(ctypes.get_errno())})"
                fix = (
                    "give it at most 4 GiB and a map_extra that is free in this process, at a multiple of the page size"
                )
                raise MapError(what, fix=fix, errno=ctypes.get_errno())
            self._address, self._length = address, self._size
        return self._address

    @property
    def _size(self) -> int:
        return self.max_entries * mmap.PAGESIZE

    def _close(self) -> None:
        """Releases the memory and unmaps it."""
        if self._view is not None:
            self._view.release()
            self._view = None
        if self._address:
            address, self._address = self._address, 0
            _libc().munmap(address, self._length)


@lru_cache(maxsize=1)
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long)
    libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
    return libc
