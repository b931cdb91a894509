"""A pinned link taken over by a program that starts again: kept, updated or replaced, without a gap."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import COMMAND, AttachError, CallError, StateError
from ..kernel.bpf import duplicate
from ..kernel.link_type import LinkType
from ..kernel.map_type import BPF_F_RDONLY_PROG
from ..kernel.objects import info_by_fd, link_type, opened, program_info
from ..libbpf.library import library
from ..libbpf.pin import pinned_fd
from ..libbpf.structs import LinkInfo, MapInformation
from ..link.base import FdLink, Link
from ..link.folder import locked, swap_pin
from ..link.place import IN_THE_PROGRAM, UPDATABLE, Place, in_this_network, place_of
from ..signals import DeferredSignals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..owner import Owner

    class Attachable(Protocol):
        """A program or a struct_ops map: what can be attached and pinned."""

        name: str
        _owner: Owner

        @property
        def fd(self) -> int: ...

    class Table(Attachable, Protocol):
        """A struct_ops map."""

        def attach(self) -> Link: ...

    class Program(Attachable, Protocol):
        """A program (see Program in base.py)."""

        @property
        def _names_target(self) -> bool: ...

        def attach(self, *target: Any, **options: Any) -> Link: ...

        def _place(self, *target: Any, **options: Any) -> Place | None: ...

        def _call(self, function: str, /, *arguments: object, **request: object) -> Any: ...


COMPARED = ("type", "tag", "attach_btf_obj_id", "attach_btf_id")


@contextlib.contextmanager
def taking_over(owner: Owner, folder: str) -> Iterator[tuple[ExitStack, ExitStack]]:
    """Locks a folder of pins and the owner; yields `undo`, which an error in the `with` calls, and `done`, called then.

    Raises AttachError, PrivilegeError.
    """
    with locked(folder), owner.lock, DeferredSignals(), ExitStack() as done, ExitStack() as undo:
        yield undo, done
        undo.pop_all()


def take_over(
    program: Program, path: str, place: Place | None, attach: Callable[[], Link], undo: ExitStack, done: ExitStack
) -> Link:
    """Returns a program's link that is pinned at a path: the one that is there, if it may be, else a new one.

    `place` is where the program is to be attached, None where that can't be compared. `undo` gets what takes it all
    back, `done` what remains to be closed in the end. Hold the folder's lock. Raises AttachError for what is another's
    link or no link, else as `attach` does.
    """
    old = _pinned_link(path, done)
    if old is None:
        return _first_link(attach(), path, undo)
    before = _require_own(program, old, path, done)
    here = place is not None and (place == IN_THE_PROGRAM or (place == place_of(old) and in_this_network(old)))
    is_same = before is not None and same_program(before, program.fd)
    if here and place_of(old)[0] == LinkType.NETFILTER:
        return _netfilter_link(program, old, path, is_same, attach, undo)
    if here and is_same:
        return _same_link(program, old, path, "kept")
    if here and place_of(old)[0] in UPDATABLE:
        program._call("bpf_link_update", old, program.fd, None)
        if before is not None:
            undo.callback(library().bpf_link_update, old, before, None)
        return _same_link(program, old, path, "updated")
    return _other_link(attach(), old, path, undo)


def _netfilter_link(
    program: Program, old: int, path: str, is_same: bool, attach: Callable[[], Link], undo: ExitStack
) -> Link:
    """Returns the link of a netfilter program whose pinned one has the same hook and priority.

    The kernel takes one program at each priority and can't update these links, nor does it tell the network namespace
    of one: an attach that finds the place free shows that the old link is elsewhere. Raises AttachError.
    """
    try:
        return _other_link(attach(), old, path, undo)
    except AttachError as refused:
        if refused.errno != errno.EBUSY:
            raise
        if is_same:
            return _same_link(program, old, path, "kept")
    what = f"can't put {program.name} in the place of the link at {path}: the kernel can't update netfilter links"
    what += ", and takes one program at each priority"
    fix = f"attach it with another priority, which replaces that link; or detach it: {COMMAND} detach --pin {path}"
    raise AttachError(what, fix=fix, errno=errno.EBUSY, program=program.name)


def take_over_by_section(program: Program, path: str, undo: ExitStack, done: ExitStack) -> Link | None:
    """Returns the link pinned at a path as take_over does; None for a section that says not where to attach."""
    if not program._names_target:
        return None
    return take_over(program, path, program._place(), program.attach, undo, done)


def take_over_table(table: Table, path: str, undo: ExitStack, done: ExitStack) -> Link:
    """Returns the link of a struct_ops map that is pinned at a path, with this map in it. Raises as take_over.

    An attach makes a map ready for an update (bpf_map__attach_struct_ops), also one that the kernel refuses because
    another table has the name: so it comes first.
    """
    old = _pinned_link(path, done)
    if old is None:
        return _first_link(table.attach(), path, undo)
    kind, *before = place_of(old)
    if kind != LinkType.STRUCT_OPS:
        raise _others(table.name, path, f"{link_type(int(kind))} link of a program")
    try:
        return _other_link(table.attach(), old, path, undo)
    except AttachError as refused:
        try:
            library().bpf_link_update(old, table.fd, None)
        except CallError:
            raise refused from None
    with contextlib.suppress(CallError):
        previous = done.enter_context(opened("map", int(before[0])))
        undo.callback(library().bpf_link_update, old, previous, None)
    return _same_link(table, old, path, "updated")


def _pinned_link(path: str, done: ExitStack) -> int | None:
    """Returns a descriptor of the link at a path, which `done` closes; None where nothing is. Raises AttachError."""
    if not os.path.lexists(path):
        return None
    fd = pinned_fd(path, "link", AttachError)
    done.callback(os.close, fd)
    return fd


def _first_link(link: Link, path: str, undo: ExitStack) -> Link:
    undo.callback(link.detach)
    _pinnable(link)
    link.pin(path)
    undo.callback(link.unpin)
    link.takeover = "attached"
    return link


def _same_link(attached: Attachable, old: int, path: str, takeover: str) -> Link:
    link = FdLink(attached._owner, attached.name, duplicate(old))
    link._note_pin(path)
    link.takeover = takeover
    return link


def _other_link(link: Link, old: int, path: str, undo: ExitStack) -> Link:
    undo.callback(link.detach)
    what = f"the link of {link.program}"
    swap_pin(_pinnable(link), path, what)
    undo.callback(swap_pin, old, path, what)
    link._note_pin(path)
    link.takeover = "replaced"
    return link


def _pinnable(link: Link) -> int:
    """Returns a link's descriptor. Raises AttachError for an attachment that the kernel can't pin."""
    try:
        return link.fd
    except StateError:
        what = f"can't pin {link.program}: the kernel has no link for it, attached this way"
        raise AttachError(what, fix="set its autoattach = False, and attach it without a pin") from None


def _require_own(program: Program, link: int, path: str, done: ExitStack) -> int | None:
    """Returns a descriptor of the pinned link's program, None where this process may not have it.

    Raises AttachError for a link of another kind of program with another name: something else's.
    """
    info = info_by_fd(link, LinkInfo())
    if info.type == LinkType.STRUCT_OPS:
        raise _others(program.name, path, "link of a struct_ops map")
    try:
        before = done.enter_context(opened("prog", info.prog_id))
    except CallError:
        return None
    old, new = program_info(before), program_info(program.fd)
    if old.type != new.type and old.name != new.name:
        raise _others(program.name, path, f"{link_type(info.type)} link of {old.name}")
    return before


def _others(name: str, path: str, found: str) -> AttachError:
    what = f"can't take over {path} for {name}: it is the {found}"
    return AttachError(what, fix=f"give another path, or unpin it: {COMMAND} detach --pin {path}", errno=errno.EEXIST)


def same_program(old: int, new: int) -> bool:
    """Returns True if two programs do the same: one code (by tag), one target, the same maps, equal constants.

    The tag doesn't tell which maps a program uses nor what its `const volatile` variables are.
    """
    ours, theirs = program_info(old), program_info(new)
    unlike = [each for each in COMPARED if getattr(ours, each) != getattr(theirs, each)]
    if unlike or len(ours.map_ids) != len(theirs.map_ids):
        return False
    return all(one == other or _equal_constants(one, other) for one, other in zip(ours.map_ids, theirs.map_ids))


def _equal_constants(one: int, other: int) -> bool:
    """Returns True for two maps of constants (.rodata, .kconfig) with equal contents."""
    with contextlib.suppress(CallError), opened("map", one) as old, opened("map", other) as new:
        ours, theirs = info_by_fd(old, MapInformation()), info_by_fd(new, MapInformation())
        constant = ours.map_flags & theirs.map_flags & BPF_F_RDONLY_PROG and ours.max_entries == theirs.max_entries == 1
        return bool(constant) and ours.value_size == theirs.value_size and _first(old) == _first(new)
    return False


def _first(fd: int) -> bytes:
    value = ctypes.create_string_buffer(info_by_fd(fd, MapInformation()).value_size)
    library().bpf_map_lookup_elem(fd, bytes(4), value)
    return value.raw
