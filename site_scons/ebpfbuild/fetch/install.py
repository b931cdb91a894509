"""Puts verified artifacts from the store into the build folder, whole or not at all."""

import hashlib
import json
import os
from pathlib import Path

from ..arch import Arch
from ..console import Reporter
from ..errors import MismatchError
from ..files import write_file
from ..header import check_header
from ..pins.pins import HeaderPin, TreePin
from . import obtain as artifacts
from .mirror import checked_mirror
from .options import FetchOptions
from .places import mirror_places
from .store import sha256sums


def install_header(
    pin: HeaderPin, arch: Arch, options: FetchOptions, report: Reporter, header: Path, record: Path
) -> None:
    """Writes an arch's vmlinux.h, and beside it the record of where its bytes came from.

    `pin`, `options` and `report` are those of artifacts.obtain_header. Raises FetchError, and HeaderError for a header
    that does not fit the arch.
    """
    got = artifacts.obtain_header(pin, options, report)
    data = Path(got.path).read_bytes()
    if _sha256(data) != got.sha256:
        raise _moved(got.path)
    check_header(data, arch, pin.where)
    write_file(header, data)
    facts = {
        "alternate": got.alternate,
        "arch": arch.name,
        "kernel": got.kernel,
        "sha256": got.sha256,
        "size": len(data),
    }
    write_file(record, (json.dumps({**facts, "source": got.source}, indent=1, sort_keys=True) + "\n").encode())


def pinned_is_near(pin: HeaderPin, options: FetchOptions) -> bool:
    """Returns True if the pinned header, for which an alternate stands in, can be had without asking its origin."""
    if pin.sha256 and (options.cache / "sha256" / pin.sha256).exists():
        return True
    places = mirror_places(pin.source, pin.sha256, checked_mirror(options.mirror), options.offline)
    return any(not isinstance(place.at, Path) or place.at.exists() for place in places)


def install_tree(pin: TreePin, options: FetchOptions, report: Reporter, folder: Path, manifest: Path) -> None:
    """Writes a tree's files into `folder`, and a manifest of them that `sha256sum -c` reads.

    Raises FetchError."""
    got = artifacts.obtain_tree(pin, options, report)
    found = {name: Path(path).read_bytes() for name, path in sorted(got.files.items())}
    digests = {name: _sha256(data) for name, data in found.items()}
    if _sha256(sha256sums(digests)) != got.sha256:
        raise _moved(options.cache)
    for name, data in found.items():
        write_file(folder / name, data)
    inside = {os.path.relpath(folder / name, manifest.parent): digest for name, digest in digests.items()}
    write_file(manifest, sha256sums(inside))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _moved(path: Path) -> MismatchError:
    """Returns the refusal of bytes that somebody replaced in the store between its check and their use."""
    return MismatchError("the cache was changed while it was read", where=str(path), fix="build again")
