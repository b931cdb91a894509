"""Writes a vendor folder, whole or not at all, or a tar of one whose bytes depend on nothing but its files."""

import hashlib
import os
import shutil
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from ..errors import VendorError
from ..fetch.store import BLOBS
from ..files import write_file
from ..package.tar import MTIME
from ..scratch import scratch_folder
from .manifest import MANIFEST_NAME, WHEELS, VendorManifest, is_vendor_folder
from .wheels import index_page

INDEX = "index.html"


class VendorContent(NamedTuple):
    """What goes into a vendor folder: `digests` of files that the store has, and how a folder is filled with wheels."""

    hosts: tuple[str, ...]
    pythons: tuple[str, ...]
    arches: tuple[str, ...]
    digests: tuple[str, ...]
    add_wheels: Callable[[Path], None]


def write_vendor(target: Path, content: VendorContent, blobs: Path) -> VendorManifest:
    """Makes the folder, or the tar where `target` ends in .tar, and returns its manifest.

    `blobs` is the store's folder of files by digest. An older vendor folder there is replaced at the end, and any other
    is refused. Raises VendorError, and OSError.
    """
    require_room(target)
    with scratch_folder(target.parent) as scratch:
        made = Path(scratch, target.name.removesuffix(".tar"))
        manifest = _fill(made, content, blobs)
        if target.suffix == ".tar":
            packed = Path(scratch, "packed")
            _pack(made, packed)
            os.replace(packed, target)
        else:
            if target.exists():
                os.rename(target, Path(scratch, "former"))
            os.rename(made, target)
    return manifest


def require_room(target: Path) -> None:
    """Makes the folder that `target` is to lie in. Raises VendorError where it can't be written or has other files."""
    if target.suffix == ".tar":
        if target.is_dir():
            raise VendorError("is a folder", where=str(target), fix="name another file")
    elif os.path.lexists(target) and not is_vendor_folder(target):
        if not target.is_dir() or target.is_symlink() or any(target.iterdir()):
            fix = "name a new folder, or one that an earlier `vendor` made"
            raise VendorError("is there, and no vendor folder", where=str(target), fix=fix)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with scratch_folder(target.parent):
            pass  # not all that a folder's mode allows can be done: below /proc, say
    except OSError as error:
        fix = "name one in a folder where you may write"
        raise VendorError(f"can't be written: {error.strerror}", where=str(target), fix=fix) from None


def _fill(folder: Path, content: VendorContent, blobs: Path) -> VendorManifest:
    wheels = folder / WHEELS
    wheels.mkdir(parents=True)
    (folder / BLOBS).mkdir()
    for digest in content.digests:
        shutil.copyfile(blobs / digest, folder / BLOBS / digest)
    content.add_wheels(wheels)
    write_file(wheels / INDEX, index_page({path.name: _digest(path) for path in wheels.iterdir()}))
    paths = sorted([*wheels.iterdir(), *(folder / BLOBS).iterdir()])
    for path in paths:
        path.chmod(0o644)
    files = {str(path.relative_to(folder)): _digest(path) for path in paths}
    _require_intact(files)
    manifest = VendorManifest(content.hosts, content.pythons, content.arches, files)
    write_file(folder / MANIFEST_NAME, manifest.as_json())
    return manifest


def _require_intact(files: dict[str, str]) -> None:
    """The store's entries were verified when they were had; one that changed since must not get out."""
    for path, digest in files.items():
        if path.startswith(f"{BLOBS}/") and path != f"{BLOBS}/{digest}":
            raise VendorError(f"{path} changed in the store while it was copied", fix="run vendor again")


def _pack(folder: Path, target: Path) -> None:
    """Writes a folder's tar. A wheel's name may be longer than the 100 bytes of ustar; all tars read GNU's form."""
    names: Iterable[Path] = sorted(path for path in folder.rglob("*") if path.is_file())
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as archive:
        for path in names:
            entry = tarfile.TarInfo(f"{folder.name}/{path.relative_to(folder)}")
            entry.mode, entry.mtime, entry.size = 0o644, MTIME, path.stat().st_size
            with path.open("rb") as file:
                archive.addfile(entry, file)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
