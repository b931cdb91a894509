"""Has pahole make BTF of a kernel's DWARF, where it is installed (dwarves' man page: pahole(1))."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from ..errors import KernelImageError
from ..host_tools import CLEAN_ENVIRONMENT
from .find_btf import DwarfOnlyError

SECONDS = 900  # a distribution's kernel takes a minute or two
INSTALL = "install pahole (Debian's and Fedora's package dwarves), or take a kernel with CONFIG_DEBUG_INFO_BTF=y"


def encoded(vmlinux: bytes, error: DwarfOnlyError) -> bytes:
    """Returns the BTF that pahole makes of a vmlinux's DWARF. Raises KernelImageError, with `error`'s place."""
    pahole = shutil.which("pahole", path=CLEAN_ENVIRONMENT["PATH"])
    if not pahole:
        raise KernelImageError(error.what, where=error.where, fix=INSTALL)
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder, "vmlinux"), Path(folder, "vmlinux.btf")
        source.write_bytes(vmlinux)
        command = [pahole, "-J", f"--btf_encode_detached={out}", os.fspath(source)]
        try:
            run = subprocess.run(command, env=CLEAN_ENVIRONMENT, capture_output=True, text=True, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            raise KernelImageError(f"pahole took more than {SECONDS} s for its DWARF", where=error.where) from None
        if run.returncode or not out.exists():
            said = (run.stderr or run.stdout).strip().splitlines() or [f"it ended with {run.returncode}"]
            raise KernelImageError(f"pahole made no BTF of its DWARF: {said[0]}", where=error.where, fix=INSTALL)
        return out.read_bytes()
