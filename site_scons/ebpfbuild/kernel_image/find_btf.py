"""Finds the BTF in the bytes of a kernel, whatever they are: a blob, an ELF file, a boot image, a package."""

import struct
from itertools import islice
from typing import NamedTuple, NoReturn

from ..archive.unpack import format_at
from ..btf.reader import BTF_HEADER, MAGIC, Btf
from ..elf.sections import ELF_MAGIC, EM_BPF, read_sections
from ..errors import ArchiveError, BtfError, ElfError, KernelImageError
from .boot_formats import btf_places, payloads, unpack_at
from .packages import is_package, package_members

MAX_DEPTH = 5  # a package, its compressed image, the kernel in that, and what that is compressed with
KERNEL_FILES = "take a kernel's vmlinux, boot image, package or BTF"
DAMAGED = f"it is damaged or no kernel's: get it again, or {KERNEL_FILES}"
MAX_PLACES = 8  # of BTF in a flat image: the kernel's own, and those of programs that it brings


class DwarfOnlyError(KernelImageError):
    """A vmlinux without BTF, whose DWARF pahole can make BTF of; `data` are its bytes."""

    def __init__(self, what: str, *, where: str = "", fix: str = "", data: bytes = b""):
        self.data = data
        super().__init__(what, where=where, fix=fix)


class KernelBtf(NamedTuple):
    """A kernel's or module's BTF as it stands there: the section's bytes, and a distilled base if it has one.

    `inside` says in which part of the file it was, as `boot/vmlinuz-6.12: payload at byte 16612`.
    """

    data: bytes
    base: bytes = b""
    inside: str = ""


def find_btf(data: bytes, where: str, member: str = "") -> KernelBtf:
    """Returns the BTF in a kernel's bytes; of a package's file `member`, where one is named.

    `data` may be mapped. Raises KernelImageError where there is none, DwarfOnlyError where pahole can make one, and
    ArchiveError and ElfError for what is damaged.
    """
    try:
        return _search(data, member, "", MAX_DEPTH)
    except DwarfOnlyError as error:
        raise DwarfOnlyError(error.what, where=where, fix=error.fix, data=error.data) from None
    except (ArchiveError, ElfError, KernelImageError) as error:
        raise type(error)(error.what, where=where, fix=error.fix or DAMAGED) from None


def _search(data: bytes, member: str, inside: str, depth: int) -> KernelBtf:
    if not depth:
        _none(inside, "holds archives in archives")
    if is_package(data):
        return _in_package(data, member, inside, depth)
    if format_at(data):
        return _search(unpack_at(data, 0) or b"", member, inside, depth - 1)
    if member:
        _none(inside, f"is no package, so it holds no {member}", "leave the member out")
    head = bytes(data[:4])
    if head[:2] in (MAGIC.to_bytes(2, "little"), MAGIC.to_bytes(2, "big")):
        return KernelBtf(bytes(data), inside=inside)
    if head == ELF_MAGIC:
        return _in_elf(data, inside, depth)
    return _in_image(data, inside, depth)


def _in_package(data: bytes, member: str, inside: str, depth: int) -> KernelBtf:
    error: KernelImageError | None = None
    for name, content in package_members(data, member):
        try:
            return _search(content, "", _join(inside, name), depth - 1)
        except KernelImageError as found:
            error = error or found
    if error:
        raise error
    _none(inside, f"holds no {member or 'kernel'}", "name the file with member, as its list of files has it")


def _in_elf(data: bytes, inside: str, depth: int) -> KernelBtf:
    table = read_sections(data)
    if table.machine == EM_BPF:  # it has a .BTF, of its own types
        _none(inside, "is a BPF object, and no kernel", KERNEL_FILES)
    sections = table.sections
    if ".BTF" in sections:
        parts = [sections.get(name) for name in (".BTF", ".BTF.base")]
        btf, base = (bytes(data[part.offset : part.offset + part.size]) if part else b"" for part in parts)
        return KernelBtf(btf, base, _join(inside, ".BTF"))
    if ".debug_info" in sections:
        raise DwarfOnlyError("has DWARF and no BTF" + _of(inside), data=data)
    return _in_payloads(data, inside, depth)  # powerpc's zImage is an ELF file around a compressed one


def _in_image(data: bytes, inside: str, depth: int) -> KernelBtf:
    for at in islice(btf_places(data), MAX_PLACES):
        blob = bytes(data[at : at + _size(data, at)])
        try:
            found = Btf.parse(blob)
        except BtfError:
            continue
        if found.find("task_struct"):
            return KernelBtf(blob, inside=_join(inside, f"byte {at}"))
    return _in_payloads(data, inside, depth)


def _in_payloads(data: bytes, inside: str, depth: int) -> KernelBtf:
    error: KernelImageError | None = None
    for at, content in payloads(data):
        try:
            return _search(content, "", _join(inside, f"payload at byte {at}"), depth - 1)
        except (KernelImageError, ElfError, BtfError) as found:
            error = error or (found if isinstance(found, KernelImageError) else None)
    if error:
        raise error
    _none(inside, "holds no BTF", "take a kernel with CONFIG_DEBUG_INFO_BTF=y, or its BTF from BTFHub")


def _size(data: bytes, at: int) -> int:
    """Returns the size of the BTF at a place, by its header, which `btf_places` looked at."""
    order = "<" if data[at] == MAGIC & 0xFF else ">"
    start, _type_at, _type_size, string_at, string_size = struct.unpack_from(order + BTF_HEADER, data, at)[3:]
    size: int = start + string_at + string_size
    return size


def _join(inside: str, part: str) -> str:
    return f"{inside}: {part}" if inside else part


def _of(inside: str) -> str:
    return f" in {inside}" if inside else ""


def _none(inside: str, what: str, fix: str = "") -> NoReturn:
    raise KernelImageError(what + _of(inside), fix=fix)
