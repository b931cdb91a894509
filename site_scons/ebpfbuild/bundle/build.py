"""Builds a libbpf.so.1 for an arch with zig, which brings the C library's headers and symbol versions for each.

The bytes depend on the sources, the arch, the glibc and zig's version: not on the machine or the folder.
"""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import BundleError
from ..host_tools import CLEAN_ENVIRONMENT
from ..scratch import scratch_folder
from .licenses import LICENSE_FILES
from .needs import check_needs
from .sources import source_files
from .targets import SONAME, TARGETS

FLAGS = (
    "-shared -fPIC -O2 -g0 -s -std=gnu99 -w -fno-sanitize=all -fstack-protector-strong -ffunction-sections "
    "-fdata-sections -D_GNU_SOURCE -D_LARGEFILE64_SOURCE -D_FILE_OFFSET_BITS=64 -DHAVE_CONFIG_H -DHAVE_UNISTD_H "
    # Without zig's own run-time library: a 64-bit machine's code calls none of it, and making it takes 5 s.
    "-nostdlib -lc "
    # Of the functions only libbpf's own are seen from outside, and it calls its own, whatever else is loaded.
    "-Wl,--gc-sections -Wl,-Bsymbolic -Wl,-z,defs -Wl,-z,relro -Wl,-z,now -Wl,-soname,libbpf.so.1 "
    "-Wl,--version-script=libbpf/src/libbpf.map"
).split()
INCLUDE = (".", "libbpf/src", "libbpf/include", "libbpf/include/uapi", "elfutils", "elfutils/lib", "elfutils/libelf",
           "zlib")  # fmt: skip
RUNTIME = {"arm": ("-lcompiler_rt",)}  # 64-bit division
COMPILED = "libbpf/src/", "elfutils/libelf/", "zlib/"  # elfutils/lib is included by libelf's files


class BundledLibrary(NamedTuple):
    """The library's bytes, and the licences of what it is built of by path, as LICENSE_FILES lists them."""

    data: bytes
    licenses: Mapping[str, bytes]


def build(
    arch: str,
    glibc: tuple[int, int],
    archives: Mapping[str, bytes],
    where: Mapping[str, str],
    zig: str,
    scratch: str | os.PathLike[str],
) -> BundledLibrary:
    """Builds the library below the folder `scratch`; `glibc` is what glibc_for gives.

    Raises ArchiveError, BundleError with the compiler's words, OSError.
    """
    files = source_files(archives, where)
    with scratch_folder(scratch) as folder:
        for path, data in files.items():
            place = Path(folder, "src", path)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        target = f"{TARGETS[arch][0]}.{glibc[0]}.{glibc[1]}"
        made = Path(folder, SONAME)
        sources = sorted(path for path in files if path.endswith(".c") and path.startswith(COMPILED))
        flags = [*FLAGS, *RUNTIME.get(arch, ()), *(f"-I{each}" for each in INCLUDE)]
        _compile([zig, "cc", "-target", target, *flags], sources, folder, made)
        data = made.read_bytes()
    check_needs(data, glibc, f"{arch}/{SONAME}")
    return BundledLibrary(data, {path: files[path] for path in LICENSE_FILES})


def _compile(command: Sequence[str], sources: Sequence[str], folder: str, made: Path) -> None:
    """Runs zig in the folder of sources, with caches of its own: of other builds it takes nothing."""
    root = os.path.join(folder, "src")
    caches = {name: os.path.join(folder, "cache") for name in ("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR")}
    done = subprocess.run(
        [*command, f"-ffile-prefix-map={root}=.", *sources, "-o", str(made)],
        cwd=root,
        env={**CLEAN_ENVIRONMENT, **caches},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    if done.returncode or not made.is_file():
        lines = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines()
        what = f"libbpf can't be built of the pinned sources ({(lines or ['zig said nothing'])[0].strip()})"
        fix = "pin a libbpf, elfutils and zlib that build together, as this checkout's toolchain.toml does"
        raise BundleError(what, where="bundle", fix=fix)
