"""Reads the BTF of a kernel's modules: of all in its package, or of those that this machine has loaded."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

from ..archive.unpack import format_at
from ..btf.modules import ModuleBtf
from ..elf.sections import ELF_MAGIC, read_sections
from ..errors import ArchiveError, ElfError, KernelImageError
from ..files import read_regular
from .boot_formats import unpack_at
from .packages import package_files

MODULE = re.compile(r"/(?P<name>[^/]+)\.ko(?:\.(?:gz|xz|zst))?$")
MAX_MODULE_SIZE = 256 << 20  # bytes, unpacked; the largest of a distribution's have 15 MB
MAX_LIST_SIZE = 16 << 20
BATCH, MAX_THREADS = 32, 8  # modules that are unpacked side by side, outside of Python's lock
LOADED = "/sys/kernel/btf"


def package_modules(data: bytes) -> dict[str, ModuleBtf]:
    """Returns the BTF of each module in a .deb or .rpm that has some, by the module's name.

    Raises ArchiveError for a damaged package; a damaged module is left out.
    """
    from concurrent.futures import ThreadPoolExecutor

    files, found = _modules(data), dict[str, ModuleBtf]()
    with ThreadPoolExecutor(min(MAX_THREADS, os.cpu_count() or 1)) as pool:
        while batch := list(islice(files, BATCH)):
            made = pool.map(_module_btf, (content for _, content in batch))
            found |= {name: btf for (name, _), btf in zip(batch, made) if btf}
    return found


def _modules(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yields the name and the file of each module in a package."""
    for path, size, read in package_files(data):
        module = MODULE.search(path)
        if module and size <= MAX_MODULE_SIZE:
            yield module["name"].replace("-", "_"), read()


def _module_btf(data: bytes) -> ModuleBtf | None:
    try:
        if format_at(data):
            data = unpack_at(data, 0) or b""
        if data[:4] != ELF_MAGIC:
            return None
        sections = read_sections(data).sections
    except (ArchiveError, ElfError):
        return None
    btf, base = (sections.get(name) for name in (".BTF", ".BTF.base"))
    parts = [bytes(data[part.offset : part.offset + part.size]) if part else b"" for part in (btf, base)]
    return ModuleBtf(*parts) if parts[0] else None


def loaded_modules() -> dict[str, ModuleBtf]:
    """Returns the BTF of the modules that this machine has loaded, by their names."""
    names = [name for name in sorted(os.listdir(LOADED)) if name != "vmlinux"] if os.path.isdir(LOADED) else []
    return {name: ModuleBtf(read_regular(Path(LOADED, name), MAX_MODULE_SIZE)) for name in names}


def dump_modules(parts: Mapping[str, ModuleBtf]) -> bytes:
    """Returns modules' BTF as one file: a line of JSON with their names and sizes, then their bytes."""
    sizes = {name: [len(part.data), len(part.base)] for name, part in parts.items()}
    return b"".join([json.dumps(sizes).encode(), b"\n", *(part.data + part.base for part in parts.values())])


def load_modules(data: bytes) -> dict[str, ModuleBtf]:
    """Returns the modules of such a file, which is believed by a digest that this project recorded."""
    end = data.index(b"\n", 0, MAX_LIST_SIZE)
    found, at = {}, end + 1
    for name, (size, base) in json.loads(data[:end]).items():
        found[name] = ModuleBtf(data[at : at + size], data[at + size : at + size + base])
        at += size + base
    if at != len(data):
        raise KernelImageError("is no list of modules' BTF")
    return found
