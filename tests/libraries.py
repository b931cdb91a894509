"""The shared libraries that the loader's tests need, out of Debian's pool where this machine has none.

What is missing is fetched as a build's inputs are, pinned by sha256, and laid into build/test-libraries. This process
loads it at once, processes that it starts find it by LD_LIBRARY_PATH; on a machine with libbpf nothing happens.
"""

import contextlib
import ctypes
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ebpfbuild.fetch.obtain import FetchOptions, obtain_header
from ebpfbuild.console import Reporter
from ebpfbuild.errors import EbpfError, MismatchError
from ebpfbuild.files import write_file
from ebpfbuild.pins.pins import HeaderPin, Source

FOLDER = Path(__file__).resolve().parents[1] / "build" / "test-libraries"
WHERE = Path(__file__).name
DEBIAN = {"x86_64": "amd64", "aarch64": "arm64"}  # Debian's name for what `uname -m` prints


class Packed(NamedTuple):
    """A library in a package: what the loader asks for, its file, and by arch the digests of the .deb and of the file.

    `glibc` is the version that it needs at least (the newest GLIBC_ symbol version that `objdump -T` lists).
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
            self.soname, machine, "", Source("pool", pool, WHERE, None, f"{folder}/{self.file}", package), content, None, WHERE
        )


class LibraryPin(HeaderPin):
    """A library, pinned and fetched as a header is."""

    title = property(lambda self: f"{self.key} for {self.arch}")


# In the order in which they need each other. Of two with one name the first is taken that this machine's glibc can load:
# Debian trixie's, else bookworm's, as a libbpf is tested best with the system that it belongs to.
LIBRARIES = (
    Packed("libz.so.1", "libz.so.1.2.13", (2, 14), "z/zlib/zlib1g_1.2.13.dfsg-1", {
        "x86_64": ("d7dd1d1411fedf27f5e27650a6eff20ef294077b568f4c8c5e51466dc7c08ce4",
                   "7e2a72b4c4b38c61e6962de6e3f4a5e9ae692e732c68deead10a7ce2135a7f68"),
        "aarch64": ("52b8b8a145bbe1956bba82034f77022cbef0c3d0885c9e32d9817a7932fe1913",
                    "ffb1ab496e6eced03ab679075f9f2c415c7728a145cc7f63d614497102d73822"),
    }),
    Packed("libzstd.so.1", "libzstd.so.1.5.7", (2, 34), "libz/libzstd/libzstd1_1.5.7+dfsg-1", {
        "x86_64": ("2f6a2aeacfc925eba8b00ac9139bc4bfccf8cacb09eb93de067074b26948eef9",
                   "27f07c9a49c2c956bcfb64cd4712976586a66facbf15fc7f09bc37413b5f2b21"),
        "aarch64": ("924540bd59fdbfa77a0604360efdaca54411a43daf11c7e002a3c64791b67448",
                    "1279c4edfbfb08878b5b7fb40d392c1bdc9b30100d9b7a019d4aefaf10d2046c"),
    }),
    Packed("libelf.so.1", "libelf-0.192.so", (2, 38), "e/elfutils/libelf1t64_0.192-4", {
        "x86_64": ("94497b7e17b6f574a0605b380d454e20d3f01a9c63b70c2a2263f679d30053e1",
                   "9750ae785e2718a570c42b3f757eb263a3ba8abf057945e84f749f6ae5a896c5"),
        "aarch64": ("815b4265c7d6c89c5bbad456bdeed7af893da6912c9d16cf4c581001927c0e37",
                    "1caa7934d3fb6c9a72e6f325bf4fe22dc488e44148359cadd16bc6e5d09a70fb"),
    }),
    Packed("libelf.so.1", "libelf-0.188.so", (2, 34), "e/elfutils/libelf1_0.188-2.1", {
        "x86_64": ("619add379c606b3ac6c1a175853b918e6939598a83d8ebadf3bdfd50d10b3c8c",
                   "b58343c451efd4db9e7de55a9243fa388ea4fcfe53fc4f159d909dc878efe3e4"),
        "aarch64": ("32971952d8f5d563447bf275f24e26057500924da2d855c1edb53b0f0400bd11",
                    "e31be36f325b1a16fd1986419f8eb145b0557ab94cd9120b9ace6820e932fbf3"),
    }),
    Packed("libbpf.so.1", "libbpf.so.1.5.0", (2, 38), "libb/libbpf/libbpf1_1.5.0-3", {
        "x86_64": ("04c96ead3024888d80d08c8d08cc8cf4589f4614627acc69519f87ffb5adc1c2",
                   "0c49fc88c249ba8f584103d5db55a84bd84735d8529e64122a3433c50b21a5b7"),
        "aarch64": ("1ca7f600fb8e723a41d6b8220370a6e441f91a1ac513cd59cfeaf4eb2f5136ec",
                    "eaaaf90f731800c29780fcbe74ca0f506313544e83770f76199c37c6374e07ae"),
    }),
    Packed("libbpf.so.1", "libbpf.so.1.1.2", (2, 34), "libb/libbpf/libbpf1_1.1.2-0+deb12u1", {
        "x86_64": ("5e7505ef77ebc84ad0203411e4afdeb8a98f40fb7f78f013aa4dd8710e49f8ed",
                   "81e825111b6ce1db0e3fa06acbe0304d0e32b71c78a4ed23e58d1a93c8117273"),
        "aarch64": ("c9929839798e7d8e66b212f345ecf1653ba7f1a9e1b753d0eb67bd521b0b5511",
                    "55f4a416ed976da71636175b6af04b3b6a4360b6db899fb65e7468313464ad01"),
    }),
)  # fmt: skip


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
        major, minor = version.split(".")[:2]
        return int(major), int(minor)
    except (ValueError, OSError):
        return 0, 0
