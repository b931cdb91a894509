"""Reads and checks a file for `inspect`: a BPF object, a wheel, or a tar of objects with their manifest.

Nothing is unpacked to disk. Names and links that point outside of an archive and wrong digests are errors, as are
archives larger than a package of objects can be.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import posixpath
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import NamedTuple

try:
    from lzma import LZMAError
except ImportError:  # such a Python can't read .xz, and tarfile says so
    LZMAError = EOFError  # type: ignore[misc,assignment]

from ..errors import REINSTALL, DigestError, ObjectError
from ..files import MAX_BYTES
from .manifest import NAME, Manifest, Packed, PackedBtf, parse

OBJECT_SUFFIX = ".bpf.o"
UNSIGNED = ".dist-info/RECORD", ".dist-info/RECORD.jws", ".dist-info/RECORD.p7s"  # RECORD can't list them (PEP 427)
# zipfile and tarfile document their own errors only, but pass on those of other modules on malformed streams.
MALFORMED = (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError, ValueError, ArithmeticError, LookupError,
             RuntimeError, struct.error, zlib.error, LZMAError)  # fmt: skip


class Bundle(NamedTuple):
    """The content of a file. `kind` is "object", "wheel" or "tar"; `objects` are by path, "" if the file is an object.

    `arches` are those of each object by the manifest, or the object's folder; `recorded` is the number of files that a
    wheel's RECORD lists, None without one.
    """

    kind: str
    objects: dict[str, bytes]
    arches: dict[str, tuple[str, ...]]
    manifest: Manifest | None
    recorded: int | None


def read_bundle(data: bytes, where: str) -> Bundle:
    """Reads a file's content; `where` names it. Raises ObjectError, DigestError if RECORD or manifest contradict it."""
    kind = "wheel" if data[:2] == b"PK" else "tar" if data[:2] in (b"\x1f\x8b", b"\xfd7", b"BZ") else ""
    if not kind and data[257:262] != b"ustar":
        return Bundle("object", {"": data}, {"": ()}, None, None)
    try:
        files = dict(_zip_files(data, where) if kind == "wheel" else _tar_files(data, where))
    except MALFORMED as error:
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ObjectError(f"{where} is no whole archive ({text})", fix="copy it again") from None
    recorded = _check_record(files, where) if kind == "wheel" else None
    manifest, arches = _check_manifest(files, where)
    for path in files:
        if path.endswith(OBJECT_SUFFIX):
            arches.setdefault(path, (posixpath.basename(posixpath.dirname(path)),))
    objects = {path: files[path] for path in sorted(arches)}
    if not objects:
        raise ObjectError(f"{where} holds no BPF object (*{OBJECT_SUFFIX})", fix="take a package that BpfPackage made")
    return Bundle(kind or "tar", objects, arches, manifest, recorded)


def _safe_name(name: str, where: str) -> str:
    """Returns the normalized name. Raises ObjectError for a name that points outside of the archive."""
    parts = name.split("/")
    if not name or name.startswith("/") or "\\" in name or "\0" in name or ".." in parts or ":" in parts[0]:
        raise ObjectError(f"{where} holds {name!r}, which points outside of it", fix="don't unpack it")
    return posixpath.normpath(name)


def _subtract(left: int, size: int, where: str) -> int:
    """Returns the bytes left of MAX_BYTES after a file. Raises ObjectError if the file exceeds them."""
    if size < 0 or size > left:
        raise ObjectError(f"{where} unpacks to more than {MAX_BYTES >> 20} MiB", fix="take a package of objects alone")
    return left - size


def _zip_files(data: bytes, where: str) -> Iterator[tuple[str, bytes]]:
    left, seen = MAX_BYTES, set()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for entry in archive.infolist():
            name = _safe_name(entry.filename, where)
            if entry.is_dir():
                continue
            if name in seen:
                raise ObjectError(f"{where} holds {name} twice", fix="don't unpack it")
            seen.add(name)
            left = _subtract(left, entry.file_size, where)
            with archive.open(entry) as file:
                content = file.read(entry.file_size + 1)
            yield name, content


def _tar_files(data: bytes, where: str) -> Iterator[tuple[str, bytes]]:
    left, files = MAX_BYTES, dict[str, bytes]()
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for entry in archive:
            name = _safe_name(entry.name, where)
            if entry.isdir():
                continue
            if name in files:
                raise ObjectError(f"{where} holds {name} twice", fix="don't unpack it")
            if entry.islnk():  # a hard link: the bytes of a file before it
                content = files.get(_safe_name(entry.linkname, where))
            else:
                left = _subtract(left, entry.size, where)
                opened = archive.extractfile(entry) if entry.isreg() else None
                content = opened.read() if opened else None
            if content is None:
                raise ObjectError(f"{where} holds {name}, which is no file", fix="take a package that BpfPackage made")
            files[name] = content
            yield name, content


def _check_record(files: dict[str, bytes], where: str) -> int | None:
    """Checks files against RECORD (PEP 376, PEP 427); returns how many it lists, None without one.

    Raises ObjectError, DigestError.
    """
    place = next((name for name in files if name.endswith(UNSIGNED[0]) and name.count("/") == 1), None)
    if place is None:
        return None
    listed = {}
    try:
        rows = list(csv.reader(io.StringIO(files[place].decode("utf-8", "backslashreplace"))))
    except csv.Error as error:
        raise ObjectError(f"{where}: {place} is no list of files ({error})", fix=REINSTALL) from None
    for row in rows:
        if len(row) == 3 and row[1].startswith("sha256="):
            listed[posixpath.normpath(row[0])] = row[1].removeprefix("sha256=")
    for name, content in files.items():
        if name.endswith(UNSIGNED):
            continue
        found = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        if listed.get(name) != found:
            what = "isn't in its RECORD" if name not in listed else "has another sha256 than its RECORD says"
            raise DigestError(f"{where}: {name} {what}", fix=REINSTALL)
    missing = sorted(listed.keys() - files.keys())
    if missing:
        raise DigestError(f"{where}: its RECORD has {missing[0]}, which it lacks", fix=REINSTALL)
    return len(listed)


class CheckedManifest(NamedTuple):
    """A package's manifest, None without one, and the arches of its objects by path."""

    manifest: Manifest | None
    arches: dict[str, tuple[str, ...]]


def _check_manifest(files: dict[str, bytes], where: str) -> CheckedManifest:
    """Checks objects against the manifest.

    Raises ObjectError, DigestError.
    """
    places = sorted((name for name in files if posixpath.basename(name) == NAME), key=lambda name: name.count("/"))
    if not places:
        return CheckedManifest(None, {})
    manifest, folder = parse(files[places[0]], f"{where}: {places[0]}"), posixpath.dirname(places[0])
    arches: dict[str, tuple[str, ...]] = {}
    for arch, packed in manifest.packed():
        _check_packed(packed, files, folder, where)
        for btf in packed.btfs:
            _check_packed(btf, files, folder, where)
        path = posixpath.join(folder, packed.path)
        arches[path] = (*arches.get(path, ()), arch)
    return CheckedManifest(manifest, arches)


def _check_packed(packed: Packed | PackedBtf, files: dict[str, bytes], folder: str, where: str) -> None:
    """Checks a file that a manifest lists. Raises ObjectError, DigestError."""
    path = posixpath.join(folder, packed.path)
    if path not in files:
        raise ObjectError(f"{where}: its manifest has {path}, which it lacks", fix=REINSTALL)
    found = hashlib.sha256(files[path]).hexdigest()
    if (found, len(files[path])) != (packed.sha256, packed.size):
        raise DigestError(f"{where}: {path} has sha256 {found}, its manifest says {packed.sha256}", fix=REINSTALL)
