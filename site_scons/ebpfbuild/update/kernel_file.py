"""Makes a vmlinux.h of a kernel's file on this machine, and pins it in toolchain.toml by both digests."""

import os
import platform
import re
from pathlib import Path
from typing import NamedTuple

from ..arch import Arch
from ..console import Reporter
from ..fetch.obtain import FetchOptions, obtain_header
from ..files import read_regular
from ..header import check_header
from ..kernel_image.open_btf import read_kernel_file
from ..pins.edit import HeaderEntry, TomlFile
from ..pins.sources import given_header
from ..rebuild.ledger import sha256_of
from .headers import FoundHeader

X86_SETUP_MAGIC, X86_VERSION = 0x202, 0x20E  # Documentation/arch/x86/boot.rst: "HdrS", kernel_version
BANNER = re.compile(rb"Linux version (\d+\.\d+[\w.+~-]*)")
IN_NAME = re.compile(r"(?:^|[-_])(\d+\.\d+(?:\.\d+)?[\w.+~]*)")
ENDINGS = re.compile(r"(?:\.(?:gz|xz|zst|lz4|bz2|lzma|deb|rpm|btf|img|efi|tar))+$")
MAX_VERSION = 64  # bytes of x86's string that are looked at


class FoundKernel(NamedTuple):
    """A kernel's file: as toolchain.toml names it, its digest, and the header that is made of it."""

    location: str
    input_sha256: str
    header: FoundHeader


def find_kernel(arch: Arch, path: str, file: TomlFile, options: FetchOptions, report: Reporter) -> FoundKernel:
    """Returns what a kernel's file gives for an arch; `path` is `host`, or a path from the current folder.

    Raises KernelImageError, FetchError, and HeaderError for a kernel of another arch.
    """
    location = path if path == "host" else os.path.relpath(path, file.path.parent)
    pin = given_header(arch.name, path, Path())
    got = obtain_header(pin, options, report)
    check_header(read_regular(got.path), arch, pin.where)
    source = pin.source.files[0]
    release = platform.release() if path == "host" else release_of(read_kernel_file(source), source.name)
    header = FoundHeader(arch.name, release, "", got.sha256, got.size, got.path)
    return FoundKernel(location, sha256_of(source), header)


def add_kernel(file: TomlFile, found: FoundKernel) -> None:
    """Adds the table of a header that is made of a kernel. Raises PinError."""
    header, digest = found.header, found.input_sha256
    entry = HeaderEntry(header.kernel, "btf", found.location, header.sha256, header.size, None, digest)
    file.add_header(header.arch, entry)


def release_of(data: bytes, name: str) -> str:
    """Returns a kernel's release: by its banner, by x86's boot header, else by the file's name, or the name itself."""
    if bytes(data[X86_SETUP_MAGIC : X86_SETUP_MAGIC + 4]) == b"HdrS":
        start = int.from_bytes(data[X86_VERSION : X86_VERSION + 2], "little") + 0x200
        text = bytes(data[start : start + MAX_VERSION]).split(b"\0")[0].split(b" ")[0]
        if re.fullmatch(rb"\d+\.\d+[\w.+~-]*", text):
            return text.decode()
    if banner := BANNER.search(data):
        return banner[1].decode()
    named = IN_NAME.search(ENDINGS.sub("", name))
    return named[1] if named else name
