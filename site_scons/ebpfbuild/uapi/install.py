"""Puts the pinned UAPI headers into the build folder, verified, and tells if they are still as they were put there."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ..compile.clang import package_folder
from ..errors import MismatchError, PinError
from ..files import read_regular, write_file
from ..pins.pins import UapiPin
from ..rebuild.ledger import TICK, Fact
from .libc import LIBC_HEADERS
from .tree import asm_arch, freestanding_files, own_files, place_of, wheel_files

MAX_HEADER_SIZE = 1 << 20  # bytes of one header: the kernel's largest has 400 kB
MANIFEST = "headers.sha256"


def install_uapi(pin: UapiPin, root: Path, folder: Path) -> None:
    """Writes the pinned headers below `folder`, which is empty, and a manifest of them that `sha256sum -c` reads.

    A `path` of the pin is below `root`. Raises PinError with the line to paste for a pin without sha256, MismatchError,
    CompilerError where the wheel isn't installed, OSError.
    """
    from .text import installed  # not for a null build

    found = {name: read_regular(path, MAX_HEADER_SIZE) for name, path in _header_paths(pin, root).items()}
    _verify(pin, listing({name: hashlib.sha256(data).hexdigest() for name, data in found.items()}))
    written = {}
    found |= {f"libc/{name}": text.encode() for name, text in LIBC_HEADERS.items()}
    for name, data in sorted(found.items()):
        text = installed(name, data.decode("utf-8", "surrogateescape"), asm_arch(name))
        made, place = text.encode("utf-8", "surrogateescape"), place_of(name)
        write_file(folder / place, made)
        written[place] = hashlib.sha256(made).hexdigest()
    write_file(folder / MANIFEST, listing(written))


def listing(digests: Mapping[str, str]) -> bytes:
    """Returns the lines of a manifest, as sha256sum prints them in the order of the names."""
    return "".join(f"{digests[name]}  {name}\n" for name in sorted(digests)).encode()


def read_manifest(folder: Path) -> dict[str, str]:
    """Returns the digests of the installed headers by their path below `folder`; of none where there is no manifest."""
    try:
        lines = read_regular(folder / MANIFEST).decode().splitlines()
    except OSError:
        return {}
    return {place: digest for digest, _, place in (line.partition("  ") for line in lines)}


def intact(folder: Path, manifest: Mapping[str, str], fact: Fact, now: int) -> bool:
    """Returns True if the installed headers are still those of their manifest, by stat where that was seen before.

    `fact` is a Ledger's: one entry vouches for all of them, as a stat of 1100 files costs 3 ms and their digests 30.
    `now`, in ns, keeps a stat that an edit within the clock's tick would not change from being believed.
    """
    stamp = _stamp(folder, manifest)
    if stamp is None:
        return False
    key = f"uapi {folder} {stamp.sha256}"
    if now - stamp.newest < TICK:
        return _hold_their_digests(folder, manifest)
    return bool(fact(key, lambda: {"intact": _hold_their_digests(folder, manifest)})["intact"])


class _Stamp(NamedTuple):
    """The sha256 over a manifest and the stats of its files, and the newest ctime in ns, which no tool sets back."""

    sha256: str
    newest: int


def _stamp(folder: Path, manifest: Mapping[str, str]) -> _Stamp | None:
    """Returns the stamp of the installed headers, None where one of them is gone."""
    base = f"{folder}/"
    try:
        seen = [os.lstat(base + place) for place in manifest]
    except OSError:
        return None
    stats = [(each.st_ctime_ns, each.st_size, each.st_ino) for each in seen]
    told = hashlib.sha256(repr((stats, sorted(manifest.items()))).encode())
    return _Stamp(told.hexdigest(), max(stats, default=(0,))[0])


def _hold_their_digests(folder: Path, manifest: Mapping[str, str]) -> bool:
    try:
        return all(
            hashlib.sha256(read_regular(folder / place)).hexdigest() == digest for place, digest in manifest.items()
        )
    except OSError:
        return False


def _header_paths(pin: UapiPin, root: Path) -> dict[str, Path]:
    """Returns the paths that a pin's headers are to be read from, by name."""
    wheel = package_folder(pin.package, pin.where)
    kernel = own_files(pin, root / pin.path) if pin.path else wheel_files(wheel)
    return {**kernel, **freestanding_files(wheel)}


def _verify(pin: UapiPin, lines: bytes) -> None:
    """Refuses files whose digest isn't the pinned one."""
    got = hashlib.sha256(lines).hexdigest()
    origin = f"{pin.path}" if pin.path else f"the installed {pin.package}"
    if not pin.sha256:
        what = f"{pin.title} has no sha256, so what {origin} holds was not used"
        raise PinError(
            what, where=pin.where, fix="if you trust it, paste below this line", details=(f'sha256 = "{got}"',)
        )
    if got != pin.sha256:
        raise MismatchError(
            f"{origin} does not hold the pinned {pin.title}, and was not used",
            where=pin.where,
            fix="put back what it held (./sconsw installs the wheel of the lock) or, "
            "if you trust what it holds now, write in the pin",
            details=(f"expected  sha256 {pin.sha256}", f'sha256 = "{got}"'),
        )
