"""Holds the BTF that an object's CO-RE relocations are resolved against: the kernel's own, a file, or a package's."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO

from ..btf.path import KERNEL_BTF

if TYPE_CHECKING:
    from ..package.kernel_btf import StandIn


class BtfFile:
    """The BTF for libbpf: its `path`, None for the kernel's own; `shown` is what it is called.

    `kernels` are those that the package has BTF for, where none of it is for this kernel, which has none either.
    """

    def __init__(self, path: str | None = None, shown: str = "", kernels: tuple[str, ...] = ()):
        self.path, self.shown, self.kernels = path, shown or path or KERNEL_BTF, kernels
        self._file: BinaryIO | None = None

    @classmethod
    def packed(cls, folder: str, file: str, manifest: str) -> BtfFile:
        """Returns what a program's package has for a kernel without BTF; for one with BTF, that.

        Raises ObjectError, DigestError.
        """
        if os.path.exists(KERNEL_BTF):
            return cls()
        from ..package.kernel_btf import NoStandIn, kernel_btf

        found = kernel_btf(folder, file, manifest)
        if isinstance(found, NoStandIn):
            return cls(kernels=found.kernels)
        return cls._in_memory(file, found)

    @classmethod
    def _in_memory(cls, file: str, found: StandIn) -> BtfFile:
        """Returns the BTF's bytes, whose digest was checked, as a file that nobody else can change."""
        import logging  # only a kernel without BTF pays for it

        shown = f"{found.path} of the package (for {found.kernel})"
        made = cls(shown=shown)
        if hasattr(os, "memfd_create"):  # not in a Python that was built with an old libc
            made._file = os.fdopen(os.memfd_create("kernel.btf"), "w+b")
        else:
            import tempfile

            made._file = tempfile.TemporaryFile()
        made._file.write(found.data)
        made._file.flush()
        made.path = f"/proc/self/fd/{made._file.fileno()}"
        logging.getLogger(__name__).info("%s: this kernel has no BTF of its own; taken is %s", file, shown)
        return made

    def close(self) -> None:
        """Lets go of the bytes, which libbpf has read when it has loaded the object."""
        if self._file:
            self._file.close()
            self._file = self.path = None
