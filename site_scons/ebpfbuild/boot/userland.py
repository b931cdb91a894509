"""Makes the guests' userland out of pinned .debs: a Python and what libbpf needs, with Debian's merged /usr."""

import re
from collections.abc import Iterable, Mapping

from ..archive.deb_tree import deb_entries
from .cpio import Device, File, Symlink

# Of a package, what no guest needs: documents, locales, Python's tests and tools with windows, and its test modules.
UNNEEDED = re.compile(
    r"usr/share/(doc|man|lintian|locale|bug|binfmts|info|pixmaps|applications)/|usr/lib/\w+-linux-\w+/gconv/"
    r"|usr/lib/python3\.\d+/(test|idlelib|tkinter|turtledemo|turtle\.py|ensurepip|lib2to3|pydoc_data|_pyrepl|venv)(/|$)"
    r"|usr/lib/python3\.\d+/lib-dynload/(_test|_codecs_|_ctypes_test|xx|_xx|_curses|_dbm|_sqlite|_ssl|_hashlib|readline)"
    r"|usr/lib/python3\.\d+/(config-|pydoc\.py|mailbox\.py|_py(decimal|datetime|io)\.py)"
    r"|usr/share/(python3|zoneinfo)/|usr/lib/\w+-linux-\w+/lib(mvec\.so|expatw\.so)"
)
OWN = {  # what each system has, and no package
    "etc/passwd": b"root:x:0:0:root:/tmp:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "etc/group": b"root:x:0:\nnogroup:x:65534:\n",
    "etc/hosts": b"127.0.0.1 localhost guest\n::1 localhost\n",
}
MERGED = ("bin", "lib", "lib64", "sbin")  # each of them a symlink into /usr


def userland(packages: Iterable[tuple[str, bytes]]) -> dict[str, File | Symlink | Device]:
    """Returns the files of packages, each (where, its bytes), by path; with OWN, /dev/console and the links into /usr.

    Raises ArchiveError for a package that can't be read.
    """
    tree: dict[str, File | Symlink | Device] = {name: Symlink(f"usr/{name}") for name in MERGED}
    tree["dev/console"] = Device(5, 1)
    tree |= {path: File(data) for path, data in OWN.items()}
    for where, data in packages:
        for entry in deb_entries(data, lambda path: not UNNEEDED.match(_merged(path)), where):
            path = _merged(entry.path)
            tree[path] = Symlink(entry.target) if entry.target else File(entry.data, entry.mode)
    return tree


def python_of(tree: Mapping[str, object]) -> str:
    """Returns the interpreter's path in a userland, such as `usr/bin/python3.13`; empty where there is none."""
    return next((path for path in sorted(tree) if re.fullmatch(r"usr/bin/python3\.\d+", path)), "")


def _merged(path: str) -> str:
    return f"usr/{path}" if path.split("/")[0] in MERGED else path
