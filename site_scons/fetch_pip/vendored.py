"""Checks that a vendor folder holds all wheels that set-up is about to ask it for."""

import os
import sys
from pathlib import Path

from ebpfbuild.errors import VendorError
from ebpfbuild.python_lock import lacking_wheels, read_lock
from ebpfbuild.vendor.manifest import VendorManifest, read_vendor_manifest, require_complete


def require_vendored(folder: Path, locks: list[Path]) -> None:
    """Raises VendorError for a vendor folder of other machines or Pythons, or without a wheel of the locks."""
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    manifest = read_vendor_manifest(folder)
    _require_machine(folder, manifest, os.uname().machine, python)
    wheels = {path: digest for path, digest in manifest.files.items() if path.startswith("wheels/")}
    gone = [path for path in wheels if not (folder / path).is_file()]
    there = [digest for path, digest in wheels.items() if path not in gone]
    require_complete(folder, [*lacking_wheels(map(read_lock, locks), python, there), *gone])


def _require_machine(folder: Path, manifest: VendorManifest, machine: str, python: str) -> None:
    if machine in manifest.hosts and python in manifest.pythons:
        return
    what = (
        f"is for {', '.join(manifest.hosts)} with Python {', '.join(manifest.pythons)}; this is {machine} with {python}"
    )
    fix = f"make it anew with HOSTS={machine} PYTHONS={python}, or name a Python by PYTHON=/path/to/python3"
    raise VendorError(what, where=str(folder), fix=fix)
