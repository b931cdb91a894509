"""The libbpf.so.1 that a package carries for each arch: its place, its entry in the manifest, the module that names it.

bpfloader/libbpf/bundled.py reads the module, which is the first link of the chain of digests as a skeleton is.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..bundle.needs import library_needs
from ..bundle.targets import SONAME

MODULE = "bundled_libbpf.py"
_TEXT = '''"""The libbpf.so.1 of this package, for bpfloader/libbpf/bundled.py: its path, sha256 and size by arch."""

LIBRARIES: dict[str, tuple[str, str, int]] = {{
{rows}}}
'''


class PackedLibrary(NamedTuple):
    """An arch's library, and the version of the libbpf that it is."""

    data: bytes
    version: str

    def facts(self, arch: str) -> dict[str, Any]:
        """Returns the manifest's entry about it. Raises ElfError for what is no shared library."""
        needs = library_needs(self.data, library_path(arch))
        return {
            "glibc": ".".join(map(str, needs.glibc)),
            "libbpf": self.version,
            "path": library_path(arch),
            "sha256": hashlib.sha256(self.data).hexdigest(),
            "size": len(self.data),
        }


def library_path(arch: str) -> str:
    """Returns an arch's library's path below the package."""
    return f"{arch}/{SONAME}"


def module_text(facts: Mapping[str, Mapping[str, Any]]) -> bytes:
    """Returns the module's bytes for the manifest's entries by arch."""
    rows = [f'"{arch}": ("{each["path"]}", "{each["sha256"]}", {each["size"]})' for arch, each in sorted(facts.items())]
    return _TEXT.format(rows="".join(f"    {row},\n" for row in rows)).encode()
