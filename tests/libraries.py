"""The shared libraries that the loader's tests need, out of Debian's pool where this machine has none.

They are those of toolchain.toml's linker, with an older libbpf where the machine's glibc asks for one. They are fetched
as a build's inputs are, pinned by sha256, and laid into build/test-libraries. This process loads them at once, processes
that it starts find them by LD_LIBRARY_PATH; on a machine with libbpf nothing happens.
"""

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

from ebpfbuild.fetch.obtain import obtain_tree
from ebpfbuild.fetch.options import FetchOptions
from ebpfbuild.console import Reporter
from ebpfbuild.errors import EbpfError, LinkError, MismatchError
from ebpfbuild.files import write_file
from ebpfbuild.link.libraries import libraries_for, this_machine
from ebpfbuild.pins.pins import TreePin
from ebpfbuild.pins.toml_lines import read
from ebpfbuild.pins.tables import linker_pin
from ebpfbuild.pins.toolchain import load

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "test-libraries"
LINKER = load(ROOT / "toolchain.toml").linker
OLDER = linker_pin(read(Path(__file__).with_suffix(".toml")).table("older"))
NOT_INSTALLED = "libbpf.so.1 is not installed (apt install libbpf1)"


class Missing(Exception):
    """A library can't be had; the text is the reason of a skip."""


def provide(options: FetchOptions, folder: Path = FOLDER) -> None:
    """Makes libbpf.so.1 loadable by name, in this process and in those that it starts. Raises Missing, and
    MismatchError for other bytes than the pinned ones.

    All is left as it is where the machine has it.
    """
    if _loads("libbpf.so.1"):
        return
    for tree in fitting(*this_machine()):
        path = folder / f"{tree.key}.so.1"
        if not _loads(path.name):
            _lay_down(tree, path, options)
            _load(path)
    paths = os.environ.get("LD_LIBRARY_PATH", "")
    os.environ["LD_LIBRARY_PATH"] = f"{folder}:{paths}" if paths else str(folder)


def fitting(machine: str, glibc: tuple[int, ...]) -> Iterator[TreePin]:
    """The libraries that a machine can load, in the order in which they need each other. Raises Missing."""
    try:
        needed = libraries_for(LINKER, machine, glibc)
        older = libraries_for(OLDER, machine, glibc).libraries if needed.c_library else ()
    except LinkError as error:
        raise Missing(f"{NOT_INSTALLED}, and {error.what}") from None
    in_place_of = {tree.key: tree for tree in older}
    return (in_place_of.get(tree.key, tree) for tree in needed.libraries)


def _lay_down(tree: TreePin, path: Path, options: FetchOptions) -> None:
    try:
        (file,) = obtain_tree(tree, options, Reporter()).files.values()
        write_file(path, file.read_bytes())
    except MismatchError:
        raise
    except (EbpfError, OSError) as error:
        reason = reasons(error) if isinstance(error, EbpfError) else str(error)
        raise Missing(f"{NOT_INSTALLED}, and {path.name} can't be fetched: {reason}") from None


def _load(path: Path) -> None:
    """Loads it by its path: what asks for its soname from now on gets this one."""
    try:
        ctypes.CDLL(str(path))
    except OSError as error:
        raise Missing(f"{path.name} of Debian's pool does not load here: {error}") from None


def _loads(soname: str) -> bool:
    with contextlib.suppress(OSError):
        return bool(ctypes.CDLL(soname))
    return False


def reasons(error: EbpfError) -> str:
    """A fetch's failure for a skip: each reason once, without the places, so that equal skips read alike."""
    each = sorted({detail.rpartition(": ")[2].removesuffix(" (a moment ago)") for detail in error.details})
    return f"{error.what} ({', '.join(each)})" if each else error.what
