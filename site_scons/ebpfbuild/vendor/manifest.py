"""The manifest of a vendor folder, vendor.json: what it is for, and the digest of each of its files.

Read by set-up too, before any package is installed: the standard library alone.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ..errors import VendorError
from ..files import read_regular

MANIFEST_NAME = "vendor.json"
WHEELS = "wheels"
FORMAT = 1
MAX_MANIFEST_SIZE = 4 << 20  # bytes: a hundred per file, and there are a few hundred
_PATH = re.compile(r"(sha256|wheels)/[A-Za-z0-9][A-Za-z0-9._+-]*")


class VendorManifest(NamedTuple):
    """Says what a vendor folder has: `files` are sha256 digests by path, such as `wheels/idna-3.20-py3-none-any.whl`.

    hosts    the machines that set up from it, as `uname -m` names them
    pythons  the Pythons that do, such as "3.11"
    arches   the arches whose vmlinux.h it holds
    """

    hosts: tuple[str, ...]
    pythons: tuple[str, ...]
    arches: tuple[str, ...]
    files: Mapping[str, str]

    def as_json(self) -> bytes:
        """Returns the bytes of vendor.json."""
        facts = {"format": FORMAT, **self._asdict()}
        return (json.dumps(facts, indent=1, sort_keys=True) + "\n").encode()


def is_vendor_folder(folder: Path) -> bool:
    """Returns True for a folder with a manifest, which is then the only place to look at."""
    return (folder / MANIFEST_NAME).is_file()


def read_vendor_manifest(folder: Path) -> VendorManifest:
    """Reads the manifest of a vendor folder. Raises VendorError."""
    path = folder / MANIFEST_NAME
    try:
        facts = json.loads(read_regular(path, MAX_MANIFEST_SIZE))
        lists = [facts[name] for name in ("hosts", "pythons", "arches")]
        files = facts["files"]
        sound = (
            facts["format"] == FORMAT
            and all(isinstance(names, list) and all(isinstance(name, str) for name in names) for names in lists)
            and all(_PATH.fullmatch(name) and _is_digest(digest) for name, digest in files.items())
        )
    except OSError as error:
        raise VendorError(f"can't be read: {error.strerror}", where=str(path), fix="copy the folder again") from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        sound = False
    if not sound:
        fix = "make the folder anew: ./sconsw vendor FOLDER"
        raise VendorError("is no manifest that this version reads", where=str(path), fix=fix)
    hosts, pythons, arches = (tuple(names) for names in lists)
    return VendorManifest(hosts, pythons, arches, files)


def require_complete(folder: Path, lacking: list[str]) -> None:
    """Raises VendorError with all that a vendor folder lacks, if anything."""
    if lacking:
        fix = "make it anew where there is a network: ./sconsw vendor FOLDER"
        what = f"lacks {len(lacking)} of the pinned files, and nothing else is asked"
        raise VendorError(what, where=str(folder), fix=fix, details=tuple(lacking))


def _is_digest(text: object) -> bool:
    return isinstance(text, str) and re.fullmatch("[0-9a-f]{64}", text) is not None
