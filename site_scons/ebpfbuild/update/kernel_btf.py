"""Makes the BTF of a declared kernel of its debug symbols, as a file of the project that toolchain.toml pins."""

import lzma
import os
import re
from pathlib import Path
from typing import NamedTuple

from ..console import Reporter
from ..errors import PinError
from ..fetch.obtain import obtain_header
from ..fetch.options import FetchOptions
from ..files import read_regular, write_file
from ..pins.edit import TomlFile
from ..pins.sources import given_kernel_btf

FOLDER = "kernels"  # beside toolchain.toml
NAME = re.compile(r"[A-Za-z0-9_+-][A-Za-z0-9_.+-]*")
MAX_BTF_SIZE = 256 << 20


class AddedBtf(NamedTuple):
    """A BTF that was made: its file as toolchain.toml names it, that file's size, its own size and digest."""

    path: str
    packed: int
    size: int
    sha256: str


def add_kernel_btf(file: TomlFile, name: str, location: str, options: FetchOptions, report: Reporter) -> AddedBtf:
    """Writes kernels/NAME.btf.xz and, into the table of that kernel, the two lines that pin it.

    `location` is a vmlinux, a package with one, or a BTF: a path from the current folder, a pool path or a URL.
    Raises PinError for a kernel that isn't declared, KernelImageError, FetchError.
    """
    table = file.data.get("kernels", {}).get(name)
    if not isinstance(table, dict) or not NAME.fullmatch(name):
        fix = f"declare it first: a table [kernels.{name}] with arch, kernel, and the pool path of its package"
        raise PinError("is no kernel of this file", where=f"{file.path}: kernels.{name}", fix=fix)
    if old := next((key for key in ("btf_member", "btf_input_sha256") if key in table), ""):
        raise PinError("is of the file before", where=f"{file.path}: kernels.{name}.{old}", fix="remove that line")
    pin = given_kernel_btf(name, str(table.get("arch", "")), str(table.get("kernel", "")), location)
    got = obtain_header(pin, options, report)
    packed = lzma.compress(read_regular(got.path, MAX_BTF_SIZE), preset=9 | lzma.PRESET_EXTREME)
    path = f"{FOLDER}/{name}.btf.xz"
    write_file(Path(os.path.dirname(file.path), path), packed)
    file.set(("kernels", name, "btf"), path)
    file.set(("kernels", name, "btf_sha256"), got.sha256)
    return AddedBtf(path, len(packed), got.size, got.sha256)
