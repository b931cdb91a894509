"""Link, the base of all classes of links: attachments of programs, which can be detached, pinned and updated."""

from __future__ import annotations

import atexit
import contextlib
import errno
import os
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from ..errors import AttachError, CallError, PrivilegeError, StateError, errno_text
from ..libbpf.library import library
from ..libbpf.pin import pin_to, pinned_fd
from ..libbpf.structs import LinkInfo
from ..signals import DeferredSignals

if TYPE_CHECKING:
    from typing_extensions import Self

    from ..owner import LoadedProgram, Owner

BPF_LINK_FILE = "anon_inode:bpf_link"  # the target of a link's /proc/self/fd entry (bpf_link_settle in syscall.c)
UPDATABLE = "detach it and attach the other program; XDP, cgroup, netns, tcx, netkit and iter links can be updated"
GONE = "what it was attached to has gone (interface, cgroup, network namespace): detach it, and attach the program anew"


class Link:
    """A program's attachment. It lasts until `detach`, or until the object that owns it is destroyed.

    In a `with` it is detached at the end. `program` is the program's name, or for struct_ops the map's.
    """

    def __init__(self, owner: Owner, program: str):
        self.program, self._owner, self._live = program, owner, True
        self._pins: dict[str, int] = {}  # absolute paths, since the working folder may change; the link's id
        # Of a pinned link: "attached", "kept", "updated" or "replaced" (see Program.attach_pinned); "" for others.
        self.takeover = ""
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
        """True until it is detached, or its interface, cgroup or network namespace has gone."""
        from .place import has_gone

        with self._owner.lock:
            fd = self._descriptor() if self._live else None
            return self._live and (fd is None or not has_gone(fd))

    @property
    def fd(self) -> int:
        """The descriptor of the kernel's link, owned by this object. Raises StateError without one."""
        return self._require_fd()

    def _require_fd(self) -> int:
        """Returns the descriptor, as `fd` does. Raises StateError without one."""
        with self._owner.lock:
            if not self._live:
                raise StateError(f"the link of {self.program} is detached", fix="attach the program again")
            found = self._descriptor()
        if found is None:
            raise StateError(f"the kernel has no link for {self.program} attached this way", fix="keep this process")
        return found

    @property
    def id(self) -> int:
        """The kernel's id of the link (`bpftool link`); 0 for attachments without an id (USDT, tc filters …)."""
        with self._owner.lock:
            if not self._live or (fd := self._descriptor()) is None:
                return 0
            from ..kernel.objects import info_by_fd

            info = LinkInfo()
            with contextlib.suppress(CallError):
                info_by_fd(fd, info)
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
        from .tail_calls import warn_of_unpinned_arrays

        with self._owner.lock:
            pin_to(self.fd, path, f"the link of {self.program}")
            self._note_pin(os.fsdecode(path))
            warn_of_unpinned_arrays(self.fd, self.program)

    def _note_pin(self, path: str) -> None:
        self._pins[os.path.abspath(path)] = self.id

    def unpin(self) -> None:
        """Unlinks the paths where it is pinned; ignores those that are gone, or another link's by now. Raises OSError.

        A path is another link's where the next start of a program has taken it over ("replaced").
        """
        with self._owner.lock:
            while self._pins:
                path, number = self._pins.popitem()
                if _link_at(path) in (number, None):
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(path)

    def update(self, program: LoadedProgram) -> None:
        """Replaces the attached program by another one of the same kind, missing no event in between.

        Raises AttachError for a kind of link that the kernel can't update, StateError.
        """
        with self._owner.lock:
            try:
                library().bpf_link_update(self.fd, program.fd, None)
            except CallError as error:
                what = f"can't put {program.name} in the place of {self.program} ({errno_text(error.errno)})"
                fix = GONE if error.errno == errno.ENOLINK else UPDATABLE
                raise AttachError(what, fix=fix, errno=error.errno) from None
            self.program = program.name

    def _descriptor(self) -> int | None:
        """Returns the descriptor of the kernel's link; None if there is no such link."""
        return None

    def _release(self) -> None:
        """Ends the attachment."""
        raise NotImplementedError

    def _abandon(self) -> None:
        """Drops the link in a child of fork, without ending the parent's attachment."""
        self._live = False


def _link_at(path: str) -> int | None:
    """Returns the id of the link pinned at a path, 0 for what is no link; None where this process may not look."""
    try:
        fd = pinned_fd(path, "link", AttachError)
    except PrivilegeError:
        return None
    except AttachError:
        return 0
    from ..kernel.objects import info_by_fd

    try:
        return cast(int, info_by_fd(fd, LinkInfo()).id)
    finally:
        os.close(fd)


class BpfLink(Link):
    """A link that libbpf made: a struct bpf_link."""

    def __init__(self, owner: Owner, program: str, handle: int):
        self._handle = handle
        super().__init__(owner, program)

    def _descriptor(self) -> int | None:
        fd: int = library().bpf_link__fd(self._handle)
        with contextlib.suppress(OSError):  # for a USDT link, which has no descriptor of its own, libbpf returns 0
            if os.readlink(f"/proc/self/fd/{fd}") == BPF_LINK_FILE:
                return fd
        return None

    def _release(self) -> None:
        library().bpf_link__destroy(self._handle)

    def _abandon(self) -> None:
        """Closes only the inherited descriptor: bpf_link__destroy could end the parent's attachment, too."""
        super()._abandon()
        if (fd := self._descriptor()) is not None:
            os.close(fd)


class FdLink(Link):
    """A link of the kernel with a descriptor and without libbpf's struct bpf_link."""

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
    """An attachment that is no link in the kernel (a tc filter, a socket option): `end` detaches it.

    The kernel keeps such an attachment when its process ends. So a normal end of Python detaches it, but not the end of
    a child of fork, whose links are the parent's, nor that of a process that is killed.
    """

    def __init__(self, owner: Owner, program: str, end: Callable[[], object]):
        self._end, self._process = end, os.getpid()
        super().__init__(owner, program)
        _hooks.add(self)

    def _release(self) -> None:
        self._end()


_hooks: weakref.WeakSet[HookLink] = weakref.WeakSet()


@atexit.register
def _detach_hooks() -> None:
    """Detaches the hooks that this process still has, even if one of them raises."""
    with contextlib.ExitStack() as stack:
        for hook in list(_hooks):
            if hook._process == os.getpid():
                stack.callback(hook.detach)


class GroupLink(Link):
    """Several links as one, such as one perf event for each CPU."""

    def __init__(self, owner: Owner, program: str, members: list[Link]):
        self._members = members
        super().__init__(owner, program)

    def _release(self) -> None:
        with contextlib.ExitStack() as stack:
            for member in self._members:
                stack.callback(member.detach)
