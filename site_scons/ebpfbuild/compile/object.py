"""Compiles a BPF program to a BPF object, by one call of clang and one look at all that it read."""

import contextlib
import os
import re
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from ..errors import CompileError, UndeclaredInputError
from ..files import write_file
from ..header import check_registers
from ..host_tools import CLEAN_ENVIRONMENT
from ..scratch import scratch_folder
from .args import CompileArgs, with_header
from .depfile import check_inputs, read_depfile

_HIDDEN_NOTE = re.compile(r"<(?:command line|scratch space)>:")
_UNSEEN = re.compile(
    r"(\S+:\d+:\d+): warning: declaration of '((?:struct|union|enum) \w+)' will not be visible outside"
)
_STACK = re.compile(r"[Ll]ooks like the BPF stack limit.*")
STACK_TOO_LARGE = (
    "the function's stack is larger than the kernel's 512 bytes; put what is large into a map or a global variable"
)


class CompiledObject(NamedTuple):
    """An object's bytes, clang's warnings, and why it has the full header though nobody asked for that."""

    data: bytes
    warnings: str
    fallback: str = ""


def compile_object(
    args: CompileArgs,
    full: str,
    known: Iterable[str],
    root: str,
    notice: Callable[[str], None],
    accept: Callable[[CompiledObject], None] = lambda compiled: None,
) -> str:
    """Makes args.output, free of DWARF, and returns clang's warnings.

    `full` is the path of the full vmlinux.h, `known` are the paths that the graph knows, `notice` gets the text
    of a fallback: a program that only the minimized header breaks is compiled with the full one. `accept` sees the
    object before it is put in place, and raises where it may not be. Nothing is left behind when it fails. Raises
    CompileError (clang's diagnostics with the full header), UndeclaredInputError, HeaderError, ElfError.
    """
    made = _with_fallback(args, full, known, root)
    accept(made)
    if made.fallback:
        notice(f"{args.source} ({args.arch.name}): using the full header, since {made.fallback}")
    write_file(Path(root, args.output), made.data)
    return made.warnings


def _with_fallback(args: CompileArgs, full: str, known: Iterable[str], root: str) -> CompiledObject:
    """Compiles with the minimized header, or with the full one where clang takes only that.

    The minimized one is tried twice.
    """
    try:
        return compiled(args, known, root)
    except UndeclaredInputError:
        raise
    except CompileError:
        if args.vmlinux == full:
            raise
    whole = compiled(with_header(args, full), known, root)
    try:
        return compiled(args, known, root)  # somebody mended the source meanwhile
    except UndeclaredInputError:
        raise
    except CompileError as error:
        why = (
            f"the minimized one doesn't compile ({error.where}: {error.what}): that is a bug of the minimizer, please "
        )
        return whole._replace(fallback=f"{why}report it with {args.vmlinux}")


def compiled(args: CompileArgs, known: Iterable[str], root: str) -> CompiledObject:
    """Compiles once, into memory. Raises as compile_object does."""
    from ..btf.canonical import canonical_object  # not for a null build
    from .line_text import line_text

    if args.vmlinux:
        check_registers(Path(root, args.vmlinux).read_bytes(), args.arch, args.vmlinux)
    folder = Path(root, args.output).parent
    folder.mkdir(parents=True, exist_ok=True)
    with scratch_folder(folder) as scratch:
        place, inputs = scratch_path(args.output, scratch), [*known, args.source]
        action = ["-c", args.source, *dependencies_to(f"{place}/depfile"), "-o", f"{place}/object"]
        try:
            warnings = run_clang(args, action, root, inputs, place)
        except CompileError:
            _refuse_failed_assembly(args, inputs, root, place)
            raise
        read = read_depfile(os.fsdecode(Path(root, place, "depfile").read_bytes()))
        check_inputs(read, inputs, args.source, root)
        _check_assembly(args, read, inputs, root, place)
        data = canonical_object(Path(scratch, "object").read_bytes(), args.output, line_text(args.names, root))
        return CompiledObject(data, warnings)


def scratch_path(output: str, scratch: str) -> str:
    """Returns a scratch folder's path as clang is told it: relative to the root, so of one length in every checkout."""
    return os.path.join(os.path.dirname(output), os.path.basename(scratch))


def dependencies_to(path: str) -> list[str]:
    """Returns the options that have clang write what it read to a file.

    The file holds a make rule for a target without odd characters.
    """
    return ["-MD", "-MF", path, "-MT", "object"]


def _refuse_failed_assembly(args: CompileArgs, inputs: Iterable[str], root: str, place: str) -> None:
    """Refuses assembly as _check_assembly does where it may be why a compile failed.

    clang has noted all that it read by then.
    """
    with contextlib.suppress(FileNotFoundError):  # what failed came before any assembly
        read = read_depfile(os.fsdecode(Path(root, place, "depfile").read_bytes()))
        try:
            _check_assembly(args, read, inputs, root, place)
        except UndeclaredInputError:
            raise
        except CompileError:  # it fails without its assembler as well
            return


def _check_assembly(args: CompileArgs, read: Iterable[str], inputs: Iterable[str], root: str, place: str) -> None:
    """Refuses assembly that reads files.

    Only a program whose own files may hold assembly costs a second run of clang.
    """
    from .assembly import check_assembly, may_assemble  # no null build needs it

    pinned = (args.vmlinux or args.libbpf_dir, *(f"{folder}/" for folder in (args.libbpf_dir, *args.uapi_dirs)))
    own = (path for path in read if not path.startswith(pinned))
    if may_assemble(Path(root, path).read_text(encoding="latin-1") for path in own):
        output = f"{place}/assembly"
        action = ["-S", "-fno-integrated-as", "-fno-verbose-asm", "-w", args.source, "-o", output]
        run_clang(args, action, root, inputs, place)
        check_assembly(Path(root, output).read_text(encoding="latin-1"), args.source)


def run_clang(args: CompileArgs, action: list[str], root: str, inputs: Iterable[str] = (), scratch: str = "") -> str:
    """Runs clang with the compile's flags and `action` behind them; returns its stderr. Raises CompileError.

    In a sandbox, where there is one, it sees `inputs` alone and writes to the folder `scratch`; without such a folder
    it has none. Raises UndeclaredInputError there for another file that it asked for, SandboxError.

    clang sees nothing that differs between places: a name instead of the path that it lies at, from which it would
    make others. What it writes depends on its heap, see btf/order.py, and the heap on how long each path is.
    """
    binary, *words = args.clang
    command = ["clang", *words, "-no-canonical-prefixes", *args.flags(), *action]
    done = _sandboxed(args, command, root, inputs, scratch) or subprocess.run(
        command,
        executable=binary,
        cwd=root,
        env=CLEAN_ENVIRONMENT,
        capture_output=True,
        text=True,
        errors="replace",
    )
    if done.returncode:
        raise compile_error(args, done.stderr, done.returncode)
    return done.stderr


def _sandboxed(
    args: CompileArgs, command: list[str], root: str, inputs: Iterable[str], scratch: str
) -> subprocess.CompletedProcess[str] | None:
    if args.sandbox is None or not scratch:
        return None
    from .sandboxed import run_sandboxed  # not for a null build

    places = scratch, args.include_dirs, args.system_dirs, args.uapi_dirs, [folder for folder, _ in args.names]
    return run_sandboxed(args.sandbox, command, args.clang[0], root, inputs, *places, args.source)


def compile_error(args: CompileArgs, stderr: str, status: int) -> CompileError:
    """Returns the error with clang's first one as the line to read, the rest below it."""
    lines = _one_stack_error(_without_hidden_notes(stderr.splitlines()))
    first = next((line for line in lines if ": error:" in line or ": fatal error:" in line), "")
    if not first:
        return CompileError(f"clang ended with status {status}", where=args.source, details=tuple(lines))
    where, _, what = first.partition(": fatal error: " if ": fatal error:" in first else ": error: ")
    if what.startswith("conflicting types"):
        where, what = _unseen_argument(lines[: lines.index(first)], what) or _Diagnostic(where, what)
    rest = lines[lines.index(first) + 1 :]
    return CompileError(what, where=where, details=tuple(rest))


class _Diagnostic(NamedTuple):
    where: str
    what: str


def _unseen_argument(before: list[str], what: str) -> _Diagnostic | None:
    """Explains a conflict that a type made which only a function's arguments name, at the place of that type.

    clang takes it for another type each time: BPF_PROG declares its function and then defines it.
    """
    found = next((unseen for line in reversed(before) if (unseen := _UNSEEN.match(line))), None)
    function = what.partition("'")[2].partition("'")[0].lstrip("_")
    if not found:
        return None
    return _Diagnostic(
        found[1], f"incomplete type '{found[2]}' in the arguments of {function}: nothing declares it before"
    )


def _without_hidden_notes(lines: list[str]) -> list[str]:
    """Leaves out the notes, and the snippets below them, that show clang's options or what it made up itself."""
    kept, hidden = [], False
    for line in lines:
        hidden = bool(_HIDDEN_NOTE.match(line)) or (hidden and line.startswith(" "))
        if not hidden:
            kept.append(line)
    return kept


def _one_stack_error(lines: list[str]) -> list[str]:
    """Has clang's lines say once for a place that the stack is too small, and what to do in a kernel.

    clang says so for every instruction that touches the variable, with a blank line behind each, and names an option
    that no kernel heeds.
    """
    if not any(_STACK.search(line) for line in lines):
        return lines
    said = (_STACK.sub(STACK_TOO_LARGE, line) for line in lines if line)
    return list(dict.fromkeys(line for line in said if "errors generated" not in line))
