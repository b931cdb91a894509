"""Lists the files that the pinned headers consist of, and where each comes from and goes to.

Names, as the pin's digest has them: `linux/bpf.h` and `asm-generic/errno.h`; `asm/errno.h` for every arch;
`x86_64/asm/ptrace.h` for one; `clang/stdint.h` for clang's own.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from ..arch import EVERY_ARCH
from ..errors import PinError
from ..files import walk
from ..pins.pins import UapiPin

# The headers that C asks of a compiler without a library (C11 4p6), as far as a BPF program has a use for them, and
# <stdatomic.h>, which clang has without one as well.
FREESTANDING = (
    "iso646.h",
    "limits.h",
    "stdalign.h",
    "stdarg.h",
    "stdatomic.h",
    "stdbool.h",
    "stddef.h",
    "stdint.h",
    "stdnoreturn.h",
)
_PARTS = ("__stdarg_", "__stddef_")  # of which clang puts <stdarg.h> and <stddef.h> together
COMMON = ("linux", "asm-generic", "asm")
MAX_OWN_HEADERS = 4000  # files of a project's own folder: a kernel installs 1100


def wheel_files(wheel: Path) -> dict[str, Path]:
    """Returns the paths of the kernel's headers in the folder of an installed ziglang, by name.

    Source: lib/libc/include of Zig.
    """
    libc = wheel / "lib" / "libc" / "include"
    found: dict[str, Path] = {}
    for folder in COMMON:
        found |= _headers(libc / "any-linux-any" / folder, folder)
    for arch in EVERY_ARCH:
        found |= _headers(libc / f"{arch.zig}-linux-any" / "asm", f"{arch.name}/asm")
    return found


def freestanding_files(wheel: Path) -> dict[str, Path]:
    """Returns the paths of clang's own headers in the folder of an installed ziglang, by name."""
    folder = wheel / "lib" / "include"
    names = [name for name in _names(folder) if name in FREESTANDING or name.startswith(_PARTS)]
    return {f"clang/{name}": folder / name for name in names}


def own_files(pin: UapiPin, folder: Path) -> dict[str, Path]:
    """Returns the paths of the headers in a folder of the project's own, by name. Raises PinError.

    `make headers_install` fills such a folder. What lies in `<arch>/asm` serves that arch alone.
    """
    found: dict[str, Path] = {}
    for place in (*COMMON, *(f"{arch.name}/asm" for arch in EVERY_ARCH)):
        found |= _headers(folder / place, place)
    if not any(name.startswith("linux/") for name in found):
        fix = "name the folder that make headers_install filled: it holds linux/ and asm/, or <arch>/asm/"
        raise PinError(f"{pin.path} holds no linux/*.h", where=pin.where, fix=fix)
    if len(found) > MAX_OWN_HEADERS:
        raise PinError(
            f"{pin.path} holds {len(found)} headers, more than the {MAX_OWN_HEADERS} that are read", where=pin.where
        )
    return found


def place_of(name: str) -> str:
    """Returns the path of a header below the build's folder of them."""
    top = name.partition("/")[0]
    return name if top not in COMMON else f"include/uapi/{name}"


def asm_arch(name: str) -> str:
    """Returns the arch that a header is for alone, or nothing."""
    top = name.partition("/")[0]
    return "" if top in (*COMMON, "clang", "libc") else top


def search_dirs(folder: str, arch: str) -> tuple[str, ...]:
    """Returns the folders to search for an arch, in clang's order, below the build's folder of these headers.

    The last one serves <uapi/linux/bpf.h>, as sources of the kernel's own tree write it.
    """
    return tuple(f"{folder}/{part}" for part in ("clang", arch, "include/uapi", "libc", "include"))


def _headers(folder: Path, name: str) -> dict[str, Path]:
    return {f"{name}/{path}": folder / path for path in _names(folder)}


def _names(folder: Path) -> Iterator[str]:
    """Yields the paths of the headers below a folder, sorted; of none if there is no such folder. Raises OSError."""
    for parent, folders, names in walk(folder):
        folders.sort()
        for name in sorted(names):
            if name.endswith(".h"):
                yield os.path.relpath(os.path.join(parent, name), folder)
