"""Iterators: programs that the kernel runs for each task, map element, socket …; user space reads their output."""

from __future__ import annotations

import ctypes
import io
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import AttachError
from ..kernel.link_places import LinkDetails
from ..libbpf.library import library
from ..libbpf.structs import IterLinkInfo, IterOptions, sized
from ..link.base import BpfLink, Link
from ..map.base import Map, codec_of
from ..signals import DeferredSignals
from .base import Program
from .network import named_value, opened

if TYPE_CHECKING:
    from ..codec.base import Codec

T = TypeVar("T")
TASK = 16  # of iter.task.tid and .pid in bpf_link_info's union (linux/bpf.h), which kernels from 6.1 on fill
# enum bpf_cgroup_iter_order of linux/bpf.h.
ORDERS = {"self": 1, "preorder": 2, "postorder": 3, "ancestors": 4}


class Run(io.RawIOBase):
    """The output of one run of an iterator, as its file gives it.

    A read goes over a million objects at most: if they write nothing, it is EAGAIN, and the next read goes on with the
    objects that follow (bpf_seq_read in kernel/bpf/bpf_iter.c).
    """

    def __init__(self, fd: int):
        super().__init__()
        self._file = io.FileIO(fd)

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._file.fileno()

    def readinto(self, buffer: Any, /) -> int:
        while (size := self._file.readinto(buffer)) is None:
            pass
        return size

    def close(self) -> None:
        self._file.close()
        super().close()


class IterLink(BpfLink):
    """An attached iterator. Each reading of it runs the program anew over all there is.

    for line in link: …                     # text, as with a file of /proc
    for row in link.records(Row): …         # structs, as written by bpf_seq_write
    """

    def open(self) -> io.BufferedReader:
        """Starts a run and returns its output as a binary file, to be closed. Raises CallError, StateError."""
        with self._owner.lock, DeferredSignals():
            return io.BufferedReader(Run(library().bpf_iter_create(self.fd)))

    def read(self) -> bytes:
        """Returns all that one run writes. Raises OSError where the program fails, CallError, StateError."""
        with self.open() as file:
            return file.read()

    def __iter__(self) -> Iterator[str]:
        """Yields the lines that one run writes, without their ends."""
        with self.open() as file:
            for line in file:
                yield line.decode("utf-8", "replace").rstrip("\n")

    def records(self, kind: type[T] | Codec[T]) -> Iterator[T]:
        """Yields the records that one run writes one after another, each of that generated class or codec.

        Raises what `read` does; an incomplete one at the end is left out.
        """
        codec: Codec[Any] = codec_of(kind)
        with self.open() as file:
            while len(record := file.read(codec.size)) == codec.size:
                yield codec.unpack(record)


NEED_MAP_OR_CGROUP = ("bpf_map_elem", "bpf_sk_storage_map", "cgroup")


class IterProgram(Program):
    """SEC("iter/task"), SEC("iter/bpf_map_elem") …: runs for each task, map element, socket … when its link is read."""

    def attach(
        self,
        *,
        elements: Map | None = None,
        cgroup: str | os.PathLike[str] | None = None,
        order: str = "preorder",
        pid: int = 0,
        tid: int = 0,
    ) -> IterLink:
        """Attaches it and returns a link to read from, over everything or over a part.

        `elements` is the map of bpf_map_elem and bpf_sk_storage_map; `cgroup` is where a cgroup iterator begins, with
        `order` "self", "preorder", "postorder" or "ancestors"; `pid` limits a task iterator to the threads of a
        process, `tid` to one. Raises AttachError, PrivilegeError, StateError.
        """
        info = IterLinkInfo()
        if cgroup is not None:
            with opened(self.name, cgroup) as fd:
                info.cgroup.order, info.cgroup.cgroup_fd = named_value(self.name, ORDERS, order, "order"), fd
                return self._iterator(info, cgroup=cgroup)
        if self.target in NEED_MAP_OR_CGROUP and elements is None:
            self._require_target("", "a cgroup" if self.target == "cgroup" else "a map")
        if elements is not None:
            info.map.map_fd = elements.fd
        elif pid or tid:
            info.task.pid, info.task.tid = pid, tid
        link = self._iterator(info if elements is not None or pid or tid else None)
        if elements is None and (pid or tid):
            self._require_limited(link)
        return link

    def _require_limited(self, link: IterLink) -> None:
        """Detaches a link to all tasks and raises AttachError: a kernel before 6.1 ignores which were asked for."""
        if any(LinkDetails(link.fd).numbers("II", TASK)):
            return
        link.detach()
        what = f"can't attach {self.name}: this kernel's iterators go over all tasks"
        fix = "leave pid and tid out and have the program choose; they came with Linux 6.1"
        raise AttachError(what, fix=fix, program=self.name)

    @property
    def _names_target(self) -> bool:
        return self.target not in NEED_MAP_OR_CGROUP

    def attach_by_section(self) -> Link | None:
        """Attaches it; returns None for one over a map or a cgroup, which `attach` must be given. Raises as attach."""
        return self.attach() if self._names_target else None

    def _iterator(self, info: IterLinkInfo | None, **request: object) -> IterLink:
        options = sized(IterOptions)
        if info is not None:
            options.link_info, options.link_info_len = ctypes.pointer(info), ctypes.sizeof(info)
        with self._owner.lock, DeferredSignals():
            handle = self._call("bpf_program__attach_iter", self._loaded_handle(), options, **request)
            return IterLink(self._owner, self.name, handle)
