"""Links objects into one, by libbpf's own linker: what `bpftool gen object` writes, in this project's canonical form.

The linker runs in a process of its own, in an empty environment: it prints what it likes, and may crash.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ..btf.canonical import canonical_object
from ..errors import LinkError
from ..files import read_regular
from ..host_tools import CLEAN_ENVIRONMENT, Action, loaded
from ..scratch import scratch_folder
from . import child
from .libraries import Linker
from .part import Part, require_defined
from .refusal import refusal

OUTPUT = "linked.o"
_PYTHON = os.path.realpath(sys.executable)  # without a venv: the child imports the standard library alone
SECONDS = 120  # for a link, which takes a tenth of one
MAX_OBJECT_SIZE = 64 << 20  # bytes of a linked object


def linked_object(parts: Sequence[Part], linker: Linker, where: str) -> bytes:
    """Returns the object of several, in their order, its BTF in canonical form. `where` names it in errors.

    Raises LinkError for what libbpf refuses and for what no part defines, ElfError, BtfError.
    """
    data = canonical_object(linked(parts, linker, where), where)
    require_defined(data, parts, where)
    return data


def linked(parts: Sequence[Part], linker: Linker, where: str) -> bytes:
    """Returns the object as libbpf's linker writes it, which is what `bpftool gen object` writes. Raises LinkError."""
    with scratch_folder(linker.scratch or tempfile.gettempdir()) as scratch:
        names = [f"{number}.o" for number in range(len(parts))]
        for name, part in zip(names, parts):
            Path(scratch, name).write_bytes(part.data)
        done = _run(linker, names, scratch, where)
        if done.returncode:
            said = done.stderr.splitlines()
            raise refusal(said, done.returncode, dict(zip(names, parts)), where)
        return read_regular(Path(scratch, OUTPUT), MAX_OBJECT_SIZE)


def _command(linker: Linker) -> list[str]:
    """Returns the words that start the child, by the program loader of another C library where the linker has one."""
    loader = (
        [linker.program_loader, "--library-path", os.path.dirname(linker.program_loader)]
        if linker.program_loader
        else []
    )
    return [*loader, _PYTHON, "-I", "-S", "-B", child.__file__, *linker.libraries]


def _run(linker: Linker, names: list[str], folder: str, where: str) -> subprocess.CompletedProcess[str]:
    command = [*_command(linker), "--", OUTPUT, *names]
    if linker.sandbox and (done := linker.sandbox.run(_action(linker, command, names, folder))):
        return done
    fix = "build again; if it stays so, report it with the objects"
    try:
        return subprocess.run(
            command,
            cwd=folder,
            env=CLEAN_ENVIRONMENT,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
        )
    except OSError as error:
        raise LinkError(f"libbpf's linker does not run ({error.strerror})", where=where, fix=fix) from None
    except subprocess.TimeoutExpired:
        raise LinkError(f"libbpf's linker did not end within {SECONDS} s", where=where, fix=fix) from None


def _action(linker: Linker, command: list[str], names: list[str], folder: str) -> Action:
    """Returns a link as a sandbox runs it: Python and its standard library, the pinned libraries, the objects."""
    import _ctypes

    own = [
        path for path in (linker.program_loader and os.path.dirname(linker.program_loader), *linker.libraries) if path
    ]
    python = [_PYTHON, os.path.dirname(os.__file__), *loaded(_PYTHON), *loaded(getattr(_ctypes, "__file__", _PYTHON))]
    mounts = [os.path.abspath(path) for path in (*python, *own, child.__file__)]
    return Action(command, command[0], folder, names, "", mounts=list(dict.fromkeys(mounts)), seconds=SECONDS)
