"""The shared libraries that the loader's tests need, out of Debian's pool where this machine has none.

What is missing is fetched as a build's inputs are, pinned by sha256 in libraries.toml, and laid into
build/test-libraries. This process loads it at once, processes that it starts find it by LD_LIBRARY_PATH; on a machine
with libbpf nothing happens.
"""

import contextlib
import ctypes
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ebpfbuild.fetch.obtain import FetchOptions, obtain_header
from ebpfbuild.console import Reporter
from ebpfbuild.errors import EbpfError, MismatchError
from ebpfbuild.files import write_file
from ebpfbuild.pins.pins import HeaderPin, ArtifactSource

FOLDER = Path(__file__).resolve().parents[1] / "build" / "test-libraries"
PINS = Path(__file__).with_suffix(".toml")
WHERE = PINS.name
DEBIAN = {"x86_64": "amd64", "aarch64": "arm64"}  # Debian's name for what `uname -m` prints


class Packed(NamedTuple):
    """A library in a package: what the loader asks for, its file, and by arch the digests of the .deb and of the file.

    `glibc` is the version that it needs at least.
    """

    soname: str
    file: str
    glibc: tuple[int, int]
    pool: str
    digests: Mapping[str, tuple[str, str]]

    def pin(self, machine: str) -> HeaderPin:
        """The pin of the file in the package for this machine. Raises KeyError where none is pinned."""
        package, content = self.digests[machine]
        folder = f"{'' if self.soname == 'libz.so.1' else 'usr/'}lib/{machine}-linux-gnu"
        pool = f"pool/main/{self.pool}_{DEBIAN[machine]}.deb"
        return LibraryPin(
            self.soname, machine, "", ArtifactSource("pool", pool, WHERE, None, f"{folder}/{self.file}", package), content, None, WHERE
        )


class LibraryPin(HeaderPin):
    """A library, pinned and fetched as a header is."""

    title = property(lambda self: f"{self.key} for {self.arch}")


def _packed(entry: dict) -> Packed:
    digests = {machine: (entry[machine]["deb"], entry[machine]["file"]) for machine in DEBIAN}
    return Packed(entry["soname"], entry["file"], _version(entry["glibc"]), entry["pool"], digests)


def _version(text: str) -> tuple[int, int]:
    major, minor = text.split(".")[:2]
    return int(major), int(minor)


LIBRARIES = tuple(map(_packed, tomllib.loads(PINS.read_text(encoding="utf-8"))["library"]))


class Missing(Exception):
    """A library can't be had; the text is the reason of a skip."""


def provide(options: FetchOptions, folder: Path = FOLDER, libraries: tuple[Packed, ...] = LIBRARIES) -> None:
    """Makes libbpf.so.1 loadable by name, in this process and in those that it starts. Raises Missing, and
    MismatchError for other bytes than the pinned ones.

    All is left as it is where the machine has it.
    """
    if _loads("libbpf.so.1"):
        return
    for soname in dict.fromkeys(library.soname for library in libraries):
        if not _loads(soname):
            path = folder / soname
            _lay_down(_fitting(soname, libraries), path, options)
            _load(path)
    paths = os.environ.get("LD_LIBRARY_PATH", "")
    os.environ["LD_LIBRARY_PATH"] = f"{folder}:{paths}" if paths else str(folder)


def _fitting(soname: str, libraries: tuple[Packed, ...]) -> HeaderPin:
    machine, glibc = os.uname().machine, glibc_version()
    for library in libraries:
        if library.soname == soname and library.glibc <= glibc and machine in library.digests:
            return library.pin(machine)
    has = f"glibc {glibc[0]}.{glibc[1]}" if glibc > (0, 0) else "another C library than glibc"
    raise Missing(f"{soname} is not installed (apt install libbpf1), and none is pinned for {machine} with {has}")


def _lay_down(pin: HeaderPin, path: Path, options: FetchOptions) -> None:
    try:
        write_file(path, obtain_header(pin, options, Reporter()).path.read_bytes())
    except MismatchError:
        raise
    except (EbpfError, OSError) as error:
        reason = reasons(error) if isinstance(error, EbpfError) else str(error)
        raise Missing(f"{pin.key} is not installed (apt install libbpf1), and can't be fetched: {reason}") from None


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


def glibc_version() -> tuple[int, int]:
    """This machine's glibc, such as (2, 36); (0, 0) where the C library is another."""
    try:
        name, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").split()
        return _version(version)
    except (ValueError, OSError):
        return 0, 0
