"""Takes out of a kernel's packages what a guest boots: the image, and modules with all that they depend on."""

import re
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ..archive.deb_tree import deb_entries
from ..archive.members import AR_MAGIC
from ..archive.unpack import format_at
from ..elf.sections import read_sections
from ..errors import BootError, ElfError
from ..kernel_image.boot_formats import X86_MAGIC, ZBOOT_MAGIC, payloads, unpack_at
from ..kernel_image.packages import KERNEL_NAME

MODULE = re.compile(r"(?:usr/)?lib/modules/[^/]+/.*?([^/]+)\.ko(?:\.(?:xz|gz|zst))?$")

PVH_NOTE = 18  # XEN_ELFNOTE_PHYS32_ENTRY

# What a program may need that a cloud kernel has as a module: clsact, filters and actions of tc, devices.
WANTED = ("sch_ingress", "cls_bpf", "act_bpf", "veth", "dummy")


class KernelFiles(NamedTuple):
    """What a guest boots: the image as QEMU reads it, and modules by name in the order in which they are loaded."""

    image: bytes
    modules: Mapping[str, bytes]


def kernel_files(packages: Iterable[tuple[str, bytes]], member: str, wanted: Sequence[str] = WANTED) -> KernelFiles:
    """Returns the image `member` (else the first that is named as one) and the wanted modules that there are.

    `packages` are (where, bytes): a kernel's .deb and, where they have one of their own, that of its modules; or a boot
    image alone. Raises ArchiveError, and BootError where there is no image.
    """
    image, packed, first = b"", dict[str, bytes](), ""
    for where, data in packages:
        first = first or where
        if bytes(data[: len(AR_MAGIC)]) != AR_MAGIC:
            image = image or data
            continue
        for entry in deb_entries(data, _is_wanted, where):
            if found := MODULE.match(entry.path):
                packed[found[1].replace("-", "_")] = entry.data
            elif not image and (entry.path == member if member else KERNEL_NAME.search(entry.path)):
                image = entry.data
    if not image:
        raise BootError(f"holds no {member or 'boot image'}", where=first, fix="name its path in the package: member")
    return KernelFiles(bootable(image), dict(_closure(packed, wanted)))


def _is_wanted(path: str) -> bool:
    return bool(MODULE.match(path) or KERNEL_NAME.search(path))


def bootable(image: bytes) -> bytes:
    """Returns an image as QEMU's -kernel reads it: what is compressed whole, or in an EFI zboot image, is unpacked.

    So is the kernel of a bzImage that can be entered by itself: emulated, its unpacking takes a third of the boot.
    """
    if image[:2] == b"MZ" and image[4:8] == ZBOOT_MAGIC:
        at, size = struct.unpack_from("<II", image, 8)
        return unpack_at(image[at : at + size], 0) or image
    if image[X86_MAGIC : X86_MAGIC + 4] == b"HdrS":
        inner = next(payloads(image), None)
        return inner.data if inner and _has_pvh_entry(inner.data) else image
    return (unpack_at(image, 0) or image) if format_at(image) else image


def _has_pvh_entry(vmlinux: bytes) -> bool:
    """Returns True for an ELF file with the note by which QEMU enters a kernel that no setup code has unpacked.

    Sources: Xen's public/elfnote.h, and load_elfboot in hw/i386/x86.c of QEMU.
    """
    try:
        section = read_sections(vmlinux).sections.get(".notes")
    except ElfError:
        return False
    at, end = (section.offset, section.offset + section.size) if section else (0, 0)
    while at + 12 <= end:
        name, size, kind = struct.unpack_from("<III", vmlinux, at)
        if kind == PVH_NOTE and vmlinux[at + 12 : at + 12 + name] == b"Xen\0":
            return True
        at += 12 + (name + 3) // 4 * 4 + (size + 3) // 4 * 4
    return False


def _closure(packed: Mapping[str, bytes], wanted: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Yields modules, each behind those that it depends on; one that the kernel has built in isn't among the packed."""
    done: set[str] = set()

    def visit(name: str) -> Iterator[tuple[str, bytes]]:
        if name in done or name not in packed:
            return
        done.add(name)
        data = packed[name]
        data = (unpack_at(data, 0) or data) if format_at(data) else data
        for each in depends(data):
            yield from visit(each)
        yield name, data

    for name in wanted:
        yield from visit(name)


def depends(module: bytes) -> list[str]:
    """Returns the names of the modules that one needs, by its .modinfo. Raises ElfError."""
    section = read_sections(module).sections.get(".modinfo")
    words = module[section.offset : section.offset + section.size].split(b"\0") if section else []
    found = next((word.partition(b"=")[2] for word in words if word.startswith(b"depends=")), b"")
    return [name.replace("-", "_") for name in found.decode("ascii", "replace").split(",") if name]
