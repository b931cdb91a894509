"""Links: what attaches a program, how to end, keep or change that, and the live ones of an object."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, cast

from .errors import AttachError, CallError, StateError, errno_text
from .libbpf.library import library
from .libbpf.pin import pin_to
from .libbpf.structs import LinkInfo
from .signals import DeferredSignals
from .suggest import no_such

if TYPE_CHECKING:
    from typing_extensions import Self

    from .owner import HasCollections, LoadedProgram, Owner

BPF_LINK_FILE = "anon_inode:bpf_link"  # what /proc/self/fd shows of a link's descriptor (bpf_link_settle in syscall.c)
UPDATABLE = "detach it and attach the other program; XDP, cgroup, netns, tcx, netkit and iter links can be updated"


class Link:
    """A program's attachment. It lasts until `detach`, or until the object that owns it is destroyed.

    In a `with` it is detached at the end. `program` is the program's name, or for struct_ops the map's.
    """

    def __init__(self, owner: Owner, program: str):
        self.program, self._owner, self._live = program, owner, True
        self._pins: list[str] = []
        owner.links._add(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.program}{'' if self._live else ' (detached)'}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.detach()

    def __reduce__(self) -> str:
        raise TypeError("a link can't be pickled or copied: it belongs to this process")

    @property
    def attached(self) -> bool:
        """Whether it still attaches the program."""
        return self._live

    @property
    def fd(self) -> int:
        """The descriptor of the kernel's link, owned by this one. Raises StateError where there is none."""
        return self._require_fd()

    def _require_fd(self) -> int:
        """The descriptor. Raises StateError where there is none, as `fd` does."""
        with self._owner.lock:
            if not self._live:
                raise StateError(f"the link of {self.program} is detached", fix="attach the program again")
            found = self._descriptor()
        if found is None:
            raise StateError(f"the kernel has no link for {self.program} attached this way", fix="keep this process")
        return found

    @property
    def id(self) -> int:
        """The kernel's number of the link (`bpftool link`); 0 for one that it doesn't number (USDT, tc filters …)."""
        with self._owner.lock:
            if not self._live or (fd := self._descriptor()) is None:
                return 0
            info, size = LinkInfo(), ctypes.c_uint(ctypes.sizeof(LinkInfo))
            with contextlib.suppress(CallError):
                library().bpf_obj_get_info_by_fd(fd, ctypes.byref(info), ctypes.byref(size))
            return cast(int, info.id)

    def detach(self) -> None:
        """Detaches the program, unless the link is pinned; does nothing the second time."""
        with self._owner.lock, DeferredSignals():
            if self._live:
                self._live = False
                self._owner.links._remove(self)
                self._release()

    def pin(self, path: str | os.PathLike[str]) -> None:
        """Keeps the attachment at a path of a BPF file system, even beyond this process, until that is unlinked.

        Raises AttachError (no BPF file system, the path is taken), StateError for a kind that can't be pinned.
        """
        with self._owner.lock:
            pin_to(self.fd, path, f"the link of {self.program}")
            self._pins.append(os.fspath(path))

    def unpin(self) -> None:
        """Unlinks the paths that it was pinned to; those that are gone already don't matter. Raises OSError."""
        with self._owner.lock:
            while self._pins:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self._pins.pop())

    def update(self, program: LoadedProgram) -> None:
        """Puts another program of the same kind in the place of this one, with no event missed between.

        Raises AttachError where the kernel can't do that for this kind of link, StateError.
        """
        with self._owner.lock:
            try:
                library().bpf_link_update(self.fd, program.fd, None)
            except CallError as error:
                what = f"can't put {program.name} in the place of {self.program} ({errno_text(error.errno)})"
                raise AttachError(what, fix=UPDATABLE, errno=error.errno) from None
            self.program = program.name

    def _descriptor(self) -> int | None:
        """The kernel's link, if it is one."""
        return None

    def _release(self) -> None:
        """Ends the attachment."""
        raise NotImplementedError

    def _abandon(self) -> None:
        """Lets go of it in a child of fork, where nothing of the parent's may end."""
        self._live = False


class BpfLink(Link):
    """A link that libbpf made, its struct bpf_link."""

    def __init__(self, owner: Owner, program: str, handle: int):
        self._handle = handle
        super().__init__(owner, program)

    def _descriptor(self) -> int | None:
        fd: int = library().bpf_link__fd(self._handle)
        with contextlib.suppress(OSError):  # a USDT link has no descriptor of its own, libbpf says 0
            if os.readlink(f"/proc/self/fd/{fd}") == BPF_LINK_FILE:
                return fd
        return None

    def _release(self) -> None:
        library().bpf_link__destroy(self._handle)

    def _abandon(self) -> None:
        """Closes the copy of the descriptor, which keeps the link alive; what libbpf does may end the parent's, too."""
        super()._abandon()
        if (fd := self._descriptor()) is not None:
            os.close(fd)


class FdLink(Link):
    """A link that the kernel gave a descriptor for, without libbpf's struct."""

    def __init__(self, owner: Owner, program: str, fd: int):
        self._fd = fd
        super().__init__(owner, program)

    def _descriptor(self) -> int | None:
        return self._fd

    def _release(self) -> None:
        os.close(self._fd)

    def _abandon(self) -> None:
        super()._abandon()
        self._release()


class HookLink(Link):
    """An attachment that is no link to the kernel (a tc filter, a socket's option): it is ended by a call."""

    def __init__(self, owner: Owner, program: str, end: Callable[[], object]):
        self._end = end
        super().__init__(owner, program)

    def _release(self) -> None:
        self._end()


class GroupLink(Link):
    """Several links as one: a perf event of each CPU."""

    def __init__(self, owner: Owner, program: str, members: list[Link]):
        self._members = members
        super().__init__(owner, program)

    def _release(self) -> None:
        with contextlib.ExitStack() as stack:
            for member in self._members:
                stack.callback(member.detach)


class Links:
    """The live links of an object: iterable, and by their program's name, as an item or an attribute.

    A program that isn't attached has None; of one that is attached more than once, it is the last link.
    """

    def __init__(self, owner: HasCollections):
        self._owner = owner
        self._all: dict[int, Link] = {}

    def _add(self, link: Link) -> None:
        self._all[id(link)] = link

    def _remove(self, link: Link) -> None:
        self._all.pop(id(link), None)

    def _clear(self) -> None:
        self._all.clear()

    def __iter__(self) -> Iterator[Link]:
        return iter(list(self._all.values()))

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, link: object) -> bool:
        return id(link) in self._all

    def __repr__(self) -> str:
        return f"<Links {', '.join(sorted(link.program for link in self))}>"

    def __getitem__(self, program: str) -> Link | None:
        found = [link for link in self if link.program == program]
        if not found and program not in (names := self._names().values()):
            raise no_such("program", program, names)
        return found[-1] if found else None

    def __getattr__(self, program: str) -> Link | None:
        if program.startswith("__") or program not in (names := self._names()):
            raise AttributeError(f"the object has no program {program}")
        return self[names[program]]

    def _names(self) -> dict[str, str]:
        """The names of programs and maps (struct_ops are attached by their map) by the skeleton's attribute."""
        parts = {**vars(self._owner.maps), **vars(self._owner.progs)}
        return {attribute: part.name for attribute, part in parts.items()}
