"""Picks the sources of a bundled libbpf, and their licences, out of the archives that toolchain.toml pins.

libelf and zlib become part of the library: libbpf.so.1 then needs the C library alone. zstd isn't needed, since the
loader hands libbpf no ELF file with sections that it compresses.
"""

import re
from collections.abc import Mapping

from ..archive.members import read_matching
from ..errors import ArchiveError, BundleError
from .licenses import LICENSES

# What is taken of each archive, by its name in toolchain.toml: paths below the archive's one folder.
SOURCES = {
    "libbpf": re.compile(r"src/\w+\.(?:[ch]|map)|include/[\w/]+\.h"),
    "elfutils": re.compile(r"libelf/[\w-]+\.[ch]|lib/[\w-]+\.[ch]|version\.h"),
    "zlib": re.compile(r"\w+\.[ch]"),
}
# In place of what elfutils' configure finds out, of glibc 2.17 and newer and this compiler (configure.ac of 0.188).
CONFIG_H = """#define PACKAGE_NAME "elfutils"
#define HAVE_ERR_H 1
#define HAVE_DECL_MEMPCPY 1
#define HAVE_DECL_MEMRCHR 1
#define HAVE_DECL_POWEROF2 1
#define HAVE_DECL_RAWMEMCHR 1
#define HAVE_DECL_REALLOCARRAY 1
#define HAVE_VISIBILITY 1
#define HAVE_FALLTHROUGH 1
#include <eu-config.h>
"""
MAX_SOURCE = 4 << 20  # bytes of one file


def source_files(archives: Mapping[str, bytes], where: Mapping[str, str]) -> dict[str, bytes]:
    """Returns the sources and licences of all archives by path, such as `libbpf/src/btf.c`.

    `where` names each archive in errors. Raises ArchiveError, and BundleError for an archive that holds other sources.
    """
    files = {"config.h": CONFIG_H.encode()}
    for name, pattern in SOURCES.items():
        wanted = {*LICENSES[name]}
        found = read_matching(archives[name], lambda path: _is_wanted(path, pattern, wanted), where[name], MAX_SOURCE)
        below = {path.partition("/")[2]: data for path, data in found.items()}
        if len({path.partition("/")[0] for path in found}) > 1:
            raise ArchiveError("holds sources in several folders, not in one", where=where[name])
        if lacking := sorted(wanted - below.keys()):
            fix = f"pin the sources of a release of {name}"
            raise BundleError(f"holds no {lacking[0]}", where=where[name], fix=fix)
        files |= {f"{name}/{path}": data for path, data in below.items()}
    return files


def _is_wanted(path: str, pattern: re.Pattern[str], wanted: set[str]) -> bool:
    below = path.partition("/")[2]
    return below in wanted or pattern.fullmatch(below) is not None
