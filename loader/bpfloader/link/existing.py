"""Links that exist, opened by their pin or id: to look at, to update, to take away."""

from __future__ import annotations

import errno
import os
import threading
import time
from typing import TYPE_CHECKING, cast

from ..errors import COMMAND, ENOTSUPP, AttachError, CallError, PrivilegeError, StateError, errno_text
from ..fork import call_after_fork
from ..kernel.objects import fd_by_id, info_by_fd, link_type, opened, program_name
from ..libbpf.library import library
from ..libbpf.pin import pinned_fd
from ..libbpf.structs import LinkInfo
from .base import FdLink
from .place import Place, place_of

if TYPE_CHECKING:
    from typing import Any


# What the kernel answers where a link's kind can't be detached before its last descriptor and pin are gone.
PATIENCE = 0.2  # seconds: the kernel drops a pin's link some time after its unlink (free_inode, after a grace period)
NO_DETACH = (errno.EOPNOTSUPP, ENOTSUPP, errno.EINVAL)


def open_link(source: str | os.PathLike[str] | int) -> ExistingLink:
    """Opens a link that exists, by the path of its pin or by its id (`bpftool link`).

    Raises AttachError where there is none, or something else is pinned there; PrivilegeError: an id needs
    CAP_SYS_ADMIN.
    """
    if isinstance(source, bool) or not isinstance(source, (int, str, os.PathLike)):
        raise TypeError(f"{source!r} is no path or id of a link")
    if not isinstance(source, int):
        return ExistingLink(pinned_fd(source, "link", AttachError), os.path.realpath(os.fsdecode(source)))
    try:
        return ExistingLink(fd_by_id("link", source))
    except CallError as error:
        what = f"can't open the link with the id {source} ({errno_text(error.errno)})"
        if error.errno == errno.EPERM:
            raise PrivilegeError(what, fix="run with CAP_SYS_ADMIN, or open it by its pin", errno=error.errno) from None
        raise AttachError(what, fix=f"list pins and what is attached: {COMMAND} detach", errno=error.errno) from None


class NoOwner:
    """The owner of a link or a program without an object: a lock, and no list of links (see owner.Owner)."""

    def __init__(self) -> None:
        self.lock, self.links = threading.RLock(), self
        call_after_fork(self)

    def _after_fork(self) -> None:
        self.lock = threading.RLock()

    @property
    def handle(self) -> int:
        """Raises StateError: libbpf has no struct bpf_object for it."""
        raise StateError("this is in no object", fix="open the object that it is of")

    def _add(self, link: Any) -> None: ...

    def _remove(self, link: Any) -> None: ...


class ExistingLink(FdLink):
    """A link that somebody made. The end of a `with` closes it and leaves it attached; `detach` ends it.

    `program` is the name of its program, `?` without CAP_SYS_ADMIN. The last
    reference to the link closes it as well.
    """

    def __init__(self, fd: int, path: str = ""):
        super().__init__(cast("Any", NoOwner()), program_name(info_by_fd(fd, LinkInfo()).prog_id), fd)
        self._pins = {path: self.id} if path else {}
        call_after_fork(self)

    def _after_fork(self) -> None:
        """Lets go of it: a child has no links, and would keep this one alive."""
        if self._live:
            self._abandon()

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def type(self) -> str:
        """The link's type, as bpftool names it: `xdp`, `tcx`, `cgroup`, `tracing`, `raw_tracepoint` …"""
        return link_type(self._details().type)

    @property
    def program_id(self) -> int:
        """The id of the program that it attaches; 0 for struct_ops."""
        return cast(int, self._details().prog_id)

    @property
    def place(self) -> Place:
        """The place where it attaches, as the kernel tells it: the link's type, then an interface's index, a name …"""
        with self._owner.lock:
            return place_of(self.fd)

    def _details(self) -> LinkInfo:
        with self._owner.lock:
            return info_by_fd(self.fd, LinkInfo())

    def close(self) -> None:
        """Closes it; the program stays attached while a pin or a process keeps the link."""
        with self._owner.lock:
            live, self._live = self._live, False
            if live:
                self._release()

    def __del__(self) -> None:
        if hasattr(self, "_pins"):
            self.close()

    def detach(self) -> None:
        """Detaches the program, whoever holds the link, and unlinks the pin by which it was opened.

        Raises AttachError where another pin or process keeps a link that the kernel doesn't detach by force, such as
        one of a tracepoint.
        """
        with self._owner.lock:
            if not self._live:
                return
            number, forced = self.id, True
            try:
                library().bpf_link_detach(self.fd)
            except CallError as error:
                if error.errno not in (*NO_DETACH, errno.ENOLINK):
                    what = f"can't detach the link of {self.program} ({errno_text(error.errno)})"
                    raise AttachError(what, fix="run as root", errno=error.errno) from None
                forced = error.errno == errno.ENOLINK
            self.unpin()
            self.close()
            if not forced and (keeper := _keeper(number)):
                what = f"the link {number} of {self.program} is still attached: {keeper}"
                raise AttachError(what, fix=f"end that, or unpin it: {COMMAND} detach lists pins", errno=errno.EBUSY)

    def _require_fd(self) -> int:
        with self._owner.lock:
            if not self._live:
                raise StateError(f"the link of {self.program} is closed", fix="open it again")
            return self._fd


def _keeper(number: int) -> str:
    """Returns who keeps a link that should have gone, "" where it has gone."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            with opened("link", number):
                pass
        except CallError:
            return ""
        time.sleep(PATIENCE / 20)
    from ..kernel.holders import holders

    found = holders().links.get(number, [])
    return ", ".join(f"{name} ({pid}) holds it" for pid, name in found) or "it is pinned elsewhere"
