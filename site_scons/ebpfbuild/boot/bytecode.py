"""Compiles Python for the guests by their own interpreter, run here: emulated, compiling takes longest of all.

Bytecode is the same for all arches, so the pinned interpreter of this machine's arch serves every guest. It is written
as unchecked-hash .pyc (PEP 552). Its bytes are the same whatever else is compiled before: since Python 3.12 interned
strings are immortal, so that what marshal makes of reference counts depends on the file alone.
"""

import posixpath
import struct
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ..errors import BootError
from .cpio import Device, File, Symlink
from .userland import python_of

TIMEOUT = 300  # seconds

# Reads (size of name, size of source, name, source)*, writes (size, bytes)*: of what can't be compiled, nothing.
SCRIPT = """\
import importlib.util, marshal, struct, sys
source, sink = sys.stdin.buffer, sys.stdout.buffer
magic = importlib.util.MAGIC_NUMBER
while head := source.read(8):
    names, size = struct.unpack("<II", head)
    name, text = source.read(names).decode(), source.read(size)
    try:
        code = compile(text, name, "exec", dont_inherit=True, optimize=0)
        made = magic + struct.pack("<I", 1) + importlib.util.source_hash(text) + marshal.dumps(code)
    except (SyntaxError, ValueError):
        made = b""
    sink.write(struct.pack("<I", len(made)) + made)
"""


class Interpreter:
    """A userland's Python, laid out in a temporary folder of this machine to be run here; a context manager."""

    def __init__(self, tree: Mapping[str, File | Symlink | Device]):
        self._python = python_of(tree)
        self._folder = tempfile.TemporaryDirectory(prefix="ebpf-guest-python-")
        for path, entry in tree.items():
            if isinstance(entry, File):
                place = Path(self._folder.name, path)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(entry.data)
                place.chmod(0o700)
        for path, entry in tree.items():
            place = Path(self._folder.name, path)
            if isinstance(entry, Symlink) and not entry.target.startswith("/"):
                place.parent.mkdir(parents=True, exist_ok=True)
                place.symlink_to(entry.target)

    def __enter__(self) -> "Interpreter":
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def compiled(self, sources: Mapping[str, bytes]) -> dict[str, bytes]:
        """Returns the .pyc of each source that can be compiled, by the source's path. Raises BootError."""
        sources = {path: text for path, text in sources.items() if path.endswith(".py")}
        request = b"".join(
            struct.pack("<II", len(name := f"/{path}".encode()), len(text)) + name + text
            for path, text in sources.items()
        )
        answer = self._run(request)
        found, at = {}, 0
        for path in sources:
            size = int.from_bytes(answer[at : at + 4], "little")
            if size:
                found[path] = answer[at + 4 : at + 4 + size]
            at += 4 + size
        if at != len(answer):
            raise BootError("the guests' Python gave less bytecode than it was asked for", where="boot")
        return found

    def cached(self, path: str) -> str:
        """Returns the path at which Python looks for the .pyc of a source."""
        tag = posixpath.basename(self._python).removeprefix("python").replace(".", "")
        folder, name = posixpath.split(path)
        return posixpath.join(folder, "__pycache__", f"{name.removesuffix('.py')}.cpython-{tag}.pyc")

    def _run(self, request: bytes) -> bytes:
        root = self._folder.name
        loader = next(iter(sorted(Path(root, "usr").glob("lib*/ld-*.so*"))), None)
        libraries = ":".join(sorted({str(path.parent) for path in Path(root, "usr/lib").glob("*-linux-*/lib*.so*")}))
        if loader is None or not self._python:
            raise BootError("the packages of this machine's guest hold no Python or no C library", where="boot")
        command = [str(loader), "--library-path", libraries, f"{root}/{self._python}", "-ISB", "-c", SCRIPT]
        environment = {"PYTHONHOME": f"{root}/usr", "PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"}
        try:
            done = subprocess.run(command, input=request, env=environment, capture_output=True, timeout=TIMEOUT)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BootError(f"the guests' Python doesn't run here: {error}", where="boot") from None
        if done.returncode:
            details = tuple(done.stderr.decode("utf-8", "replace").splitlines()[-5:])
            raise BootError("the guests' Python doesn't run here", where="boot", details=details)
        return done.stdout


def with_bytecode(
    tree: Mapping[str, File | Symlink | Device], interpreter: Interpreter
) -> dict[str, File | Symlink | Device]:
    """Returns a tree with the .pyc of each of its Python files. Raises BootError."""
    made = interpreter.compiled(_sources(tree))
    return {**tree, **{interpreter.cached(path): File(data) for path, data in made.items()}}


def as_bytecode(
    tree: Mapping[str, File | Symlink | Device], interpreter: Interpreter
) -> dict[str, File | Symlink | Device]:
    """Returns a tree with a .pyc in the place of each Python file, from where Python imports it without a source.

    Emulated, unpacking an initramfs takes a second for each 20 MB. Raises BootError.
    """
    made = interpreter.compiled(_sources(tree))
    kept = {path: entry for path, entry in tree.items() if path not in made}
    return {**kept, **{f"{path}c": File(data) for path, data in made.items()}}


def _sources(tree: Mapping[str, File | Symlink | Device]) -> dict[str, bytes]:
    return {path: entry.data for path, entry in tree.items() if isinstance(entry, File)}
