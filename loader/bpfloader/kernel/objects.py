"""Programs, maps and links of the whole system by id, and the kernel's description of programs and links.

The kernel gives ids and descriptors by id to CAP_SYS_ADMIN alone (BPF_*_GET_NEXT_ID, BPF_*_GET_FD_BY_ID).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeVar, cast

from ..errors import CallError, PrivilegeError, errno_text
from ..libbpf.library import library
from ..libbpf.prototypes import failure
from ..libbpf.structs import LinkInfo, ProgramInformation
from ..text import text_of
from .host import read_text
from .instructions import INSN_SIZE
from .link_type import LinkType
from .versions import program_types

Kind = Literal["prog", "map", "link", "btf"]  # as libbpf's functions spell them
WORDS = {"prog": "programs", "map": "maps", "link": "links", "btf": "BTF"}
S = TypeVar("S", bound=ctypes.Structure)


class ProgramInfo(NamedTuple):
    """The kernel's description of a loaded program (struct bpf_prog_info, and its descriptor's fdinfo).

    `type` is as in enum bpf_prog_type, in lower case (`kprobe`), `tag` the digest of its instructions in hex. Sizes are
    in bytes; `memlock` is what it takes of the kernel's memory. `load_time` is in ns since boot. The kernel counts
    `run_time_ns` and `run_cnt` while statistics are on, `recursion_misses` since Linux 5.12, `verified_insns` since
    5.16. `name` is cut to 15 characters where `full_name` finds no more.
    """

    id: int
    name: str
    type: str
    tag: str
    uid: int
    load_time: int
    map_ids: tuple[int, ...]
    btf_id: int
    gpl_compatible: bool
    instructions: int
    xlated_size: int
    jited_size: int
    memlock: int
    verified_insns: int
    run_time_ns: int
    run_cnt: int
    recursion_misses: int
    attach_btf_obj_id: int
    attach_btf_id: int


def ids(kind: Kind) -> Iterator[int]:
    """Yields the ids of all programs, maps or links. Raises PrivilegeError, CallError."""
    number, following = ctypes.c_uint(0), f"bpf_{kind}_get_next_id"
    while True:
        try:
            getattr(library(), following)(number.value, ctypes.byref(number))
        except CallError as error:
            if error.errno == errno.ENOENT:
                return
            if error.errno != errno.EPERM:
                raise
            what = f"can't list the {WORDS[kind]} of the system ({errno_text(error.errno)})"
            fix = "run with CAP_SYS_ADMIN, or open what you need by its pin"
            raise PrivilegeError(what, fix=fix, errno=error.errno) from None
        yield number.value


def fd_by_id(kind: Kind, number: int) -> int:
    """Opens a new descriptor by id. Raises CallError: ENOENT for an id that is none, or none any more, EPERM."""
    if not 0 < number < 1 << 32:  # C would take the lowest 32 bits, which may be another one's id
        raise failure(f"bpf_{kind}_get_fd_by_id", errno.ENOENT)
    return cast(int, getattr(library(), f"bpf_{kind}_get_fd_by_id")(number))


@contextlib.contextmanager
def opened(kind: Kind, number: int) -> Iterator[int]:
    """Opens a program, a map or a link by its id for the `with`. Raises CallError."""
    fd = fd_by_id(kind, number)
    try:
        yield fd
    finally:
        os.close(fd)


def info_by_fd(fd: int, info: S) -> S:
    """Fills a struct of the descriptor's kind with what the kernel tells. Raises CallError.

    A kernel that knows fewer fields leaves the others 0.
    """
    size = ctypes.c_uint(ctypes.sizeof(info))
    library().bpf_obj_get_info_by_fd(fd, ctypes.byref(info), ctypes.byref(size))
    return info


def program_info(fd: int) -> ProgramInfo:
    """Describes the program of a descriptor. Raises CallError."""
    found = info_by_fd(fd, ProgramInformation())
    return ProgramInfo(
        found.id,
        full_name(fd, found),
        program_type(found.type),
        bytes(found.tag).hex(),
        found.created_by_uid,
        found.load_time,
        _map_ids(fd, found.nr_map_ids),
        found.btf_id,
        bool(found.gpl_compatible & 1),
        found.xlated_prog_len // INSN_SIZE,
        found.xlated_prog_len,
        found.jited_prog_len,
        memlock(fd),
        found.verified_insns,
        found.run_time_ns,
        found.run_cnt,
        found.recursion_misses,
        found.attach_btf_obj_id,
        found.attach_btf_id,
    )


def _map_ids(fd: int, count: int) -> tuple[int, ...]:
    """Returns the ids of the maps that a program uses: a second question, with room for their number."""
    if not count:
        return ()
    room = (ctypes.c_uint * count)()
    info_by_fd(fd, ProgramInformation(nr_map_ids=count, map_ids=ctypes.addressof(room)))
    return tuple(room)


def memlock(fd: int) -> int:
    """Reads how many bytes of the kernel's memory a descriptor's program or map takes; 0 where /proc doesn't tell."""
    found = re.search(r"^memlock:\s*(\d+)", read_text(f"/proc/self/fdinfo/{fd}"), re.MULTILINE)
    return int(found[1]) if found else 0


def program_type(number: int) -> str:
    """Returns the name of a program type in lower case, or its number where it is younger than this loader."""
    known = program_types()
    return known[number - 1].name if 0 < number <= len(known) else str(number)


def program_name(number: int) -> str:
    """Returns the name of a program by its id, `?` where it has gone or this process may not see it."""
    with contextlib.suppress(CallError), opened("prog", number) as fd:
        return full_name(fd, info_by_fd(fd, ProgramInformation())) or "?"
    return "?"


def full_name(fd: int, found: ProgramInformation) -> str:
    """Returns a program's name, of which the kernel keeps 15 characters: its function's in BTF has all of it.

    BTF is read by its id, for which the kernel wants CAP_SYS_ADMIN.
    """
    name = text_of(found.name)
    if len(found.name) < ProgramInformation.name.size - 1 or not (found.btf_id and found.nr_func_info):
        return name
    room = (ctypes.c_uint * (found.func_info_rec_size // 4))()  # struct bpf_func_info: an instruction, a type's id
    asked = {"nr_func_info": 1, "func_info_rec_size": ctypes.sizeof(room), "func_info": ctypes.addressof(room)}
    with contextlib.suppress(CallError):
        info_by_fd(fd, ProgramInformation(**asked))
        btf = library().btf__load_from_kernel_by_id_split(found.btf_id, None)
        try:
            full = type_name_in(btf, room[1])
        finally:
            library().btf__free(btf)
        return full if full.startswith(name) else name
    return name


def type_name_in(btf: int, number: int) -> str:
    """Returns the name of a type by its id in libbpf's struct btf *. Raises CallError for an id that is none."""
    found = library().btf__type_by_id(btf, number)
    return text_of(library().btf__name_by_offset(btf, ctypes.c_uint.from_address(found).value) or b"")


def link_infos() -> Iterator[LinkInfo]:
    """Yields the kernel's description of each link of the system. Raises PrivilegeError, CallError."""
    for number in ids("link"):
        with contextlib.suppress(CallError), opened("link", number) as fd:  # it may have gone meanwhile
            yield info_by_fd(fd, LinkInfo())


def link_type(number: int) -> str:
    """Returns the name of a link type in lower case, or its number where it is younger than this loader."""
    try:
        return LinkType(number).name.lower()
    except ValueError:
        return str(number)
