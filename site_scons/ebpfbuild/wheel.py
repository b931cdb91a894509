"""Packs files into a wheel whose bytes depend on nothing but them: PEP 427, PEP 425 tags, core metadata 2.1.

Reproducible because entries are stored (deflate's output differs between zlib versions), sorted, of mode 0644 and dated
1980-01-01, the earliest that ZIP can say; no path, user, time or version of the packer gets in.

A wheel holds objects for some arches, so its tag names them all, compressed as PEP 425 has it: pip takes it where one
of them fits. For 32-bit ARM that is `linux_armv7l` alone: pip asks for it in a 32-bit userland of a 64-bit kernel as
well. `armv8l` is no arch of its own: it is what such a 64-bit kernel calls itself to 32-bit programs, and its structs
are aarch64's; so only the loader, at run time, can tell which object fits.
"""

import hashlib
import io
import re
from collections.abc import Iterable, Mapping, Sequence

from .arch import Arch
from .errors import PackageError

EPOCH = (1980, 1, 1, 0, 0, 0)
MODE = 0o100644 << 16  # a regular file, in the half of external_attr that is Unix's
NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")  # core metadata: Name
VERSION = re.compile(  # PEP 440, appendix B, in its normal form
    r"([1-9][0-9]*!)?(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))*((a|b|rc)(0|[1-9][0-9]*))?"
    r"(\.post(0|[1-9][0-9]*))?(\.dev(0|[1-9][0-9]*))?(\+[a-z0-9]+(\.[a-z0-9]+)*)?"
)
REQUIRES_PYTHON = ">=3.9"  # what bpfloader needs


def wheel_name(name: str, version: str, arches: Sequence[Arch]) -> str:
    """The wheel's file name, such as `socket_tracker-1.0-py3-none-linux_aarch64.linux_x86_64.whl`.

    Raises PackageError for a name or version that no installer would take, and for no arch at all.
    """
    return f"{_distribution(name)}-{_version(version)}-py3-none-{'.'.join(_platforms(arches))}.whl"


def build_wheel(
    name: str, version: str, files: Mapping[str, bytes], arches: Sequence[Arch], summary: str = ""
) -> bytes:
    """The bytes of a wheel with `files`, paths as they are installed. Raises PackageError for a path that can't be."""
    _check_paths(files)
    info = f"{_distribution(name)}-{_version(version)}.dist-info"
    entries = dict(sorted(files.items()))
    entries[f"{info}/METADATA"] = _metadata(name, version, summary)
    entries[f"{info}/WHEEL"] = _wheel(_platforms(arches))
    entries[f"{info}/RECORD"] = _record(entries, f"{info}/RECORD")
    return _zipped(entries)


def _distribution(name: str) -> str:
    """The name as file names have it: PEP 503's normal form with `_` for `-`, as the wheel format asks."""
    if not NAME.fullmatch(name):
        raise PackageError(
            f"{name!r} is no name of a distribution", where="name", fix="use letters, digits, -, _ and ."
        )
    return re.sub(r"[-_.]+", "_", name).lower()


def _version(version: str) -> str:
    if not VERSION.fullmatch(version):
        raise PackageError(f"{version!r} is no version", where="version", fix="write it as PEP 440 does: 1.2, 1.2rc1")
    return version


def _platforms(arches: Iterable[Arch]) -> list[str]:
    if not arches:
        raise PackageError("a wheel is for at least one arch", where="arches", fix="name one, such as ARCH=x86_64")
    return sorted({f"linux_{arch.machine}" for arch in arches})


def _metadata(name: str, version: str, summary: str) -> bytes:
    if not summary.isprintable():
        raise PackageError("has more than one line", where="summary", fix="say it in one")
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Summary: {summary}"] if summary else []
    return "\n".join([*lines, f"Requires-Python: {REQUIRES_PYTHON}", ""]).encode()


def _wheel(platforms: list[str]) -> bytes:
    tags = [f"Tag: py3-none-{platform}" for platform in platforms]
    return "\n".join(["Wheel-Version: 1.0", "Generator: scons-bpf", "Root-Is-Purelib: false", *tags, ""]).encode()


def _record(entries: Mapping[str, bytes], itself: str) -> bytes:
    """PEP 376's list: path, digest without padding, size; its own line has neither."""
    import base64  # here and below: a null build, which asks for no more than the wheel's name, pays for none of them
    import csv

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for path, data in entries.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        writer.writerow([path, f"sha256={digest}", len(data)])
    writer.writerow([itself, "", ""])
    return out.getvalue().encode()


def _zipped(entries: Mapping[str, bytes]) -> bytes:
    import zipfile

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for path, data in entries.items():
            entry = zipfile.ZipInfo(path, EPOCH)
            entry.external_attr = MODE
            entry.create_system = 3  # Unix, on whichever system this runs
            archive.writestr(entry, data)
    return out.getvalue()


def _check_paths(paths: Iterable[str]) -> None:
    """Refuses what an installer would put outside of its folder, or put in one place twice where case doesn't count."""
    seen: dict[str, tuple[str, bool]] = {}
    for path in paths:
        parts = path.split("/")
        if not path.isprintable() or "\\" in path or ":" in path or any(part in ("", ".", "..") for part in parts):
            raise PackageError(f"{path!r} is no relative path", where="files", fix="write it as package/module.py")
        if parts[0].endswith((".dist-info", ".data")):
            raise PackageError(f"{path!r} lies in a folder that the wheel format keeps", where="files", fix="rename it")
        for depth in range(1, len(parts) + 1):
            part, is_file = "/".join(parts[:depth]), depth == len(parts)
            if seen.setdefault(part.casefold(), (part, is_file)) != (part, is_file):
                other = seen[part.casefold()][0]
                raise PackageError(f"{path!r} and {other!r} are one place", where="files", fix="rename one of them")
