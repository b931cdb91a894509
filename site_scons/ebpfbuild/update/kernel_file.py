"""Makes a vmlinux.h of a kernel's file on this machine, and pins it in toolchain.toml by both digests."""

import os
import platform
from pathlib import Path
from typing import NamedTuple

from ..arch import Arch
from ..console import Reporter
from ..fetch.obtain import obtain_header
from ..fetch.options import FetchOptions
from ..files import read_regular
from ..header import check_header
from ..kernel_image.open_btf import read_kernel_file
from ..kernel_image.release import release_of
from ..pins.edit import HeaderEntry, TomlFile
from ..pins.sources import given_header
from ..rebuild.ledger import sha256_of
from .headers import FoundHeader


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
    pin = given_header(arch.name, path, Path(), "--from")
    got = obtain_header(pin, options, report)
    check_header(read_regular(got.path), arch, pin.where)
    source = pin.source.files[0]
    release = platform.release() if path == "host" else release_of(read_kernel_file(source), source.name) or source.name
    header = FoundHeader(arch.name, release, "", got.sha256, got.size, got.path)
    return FoundKernel(location, sha256_of(source), header)


def add_kernel(file: TomlFile, found: FoundKernel) -> None:
    """Adds the table of a header that is made of a kernel. Raises PinError."""
    header, digest = found.header, found.input_sha256
    entry = HeaderEntry(header.kernel, "btf", found.location, header.sha256, header.size, None, digest)
    file.add_header(header.arch, entry)
