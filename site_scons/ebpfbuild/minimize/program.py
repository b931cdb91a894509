"""Makes the header that holds just what a program names, found by clang -E: the step between full header and object."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, reduce
from operator import or_
from pathlib import Path

from ..compile.args import CompileArgs, with_header
from ..compile.depfile import check_inputs, read_depfile
from ..compile.object import compiled, dependencies_to, run_clang, scratch_path
from ..errors import CompileError
from ..files import read_regular
from ..header import with_fallback_reason
from ..prove.objects import Verdict, prove
from ..prove.proof import require_repeatable
from ..scratch import scratch_folder
from .emit import stub
from .explain_uapi import VMLINUX_FIRST
from .fallback import Settled, settle
from .index import Index
from .index_cache import IndexCache
from .modes import Minimized, minimize
from .names import HELPER_DEFS, MARKER, POPPED, UsedNames, conflicts, names_of, segments, where
from .why import why


@dataclass(frozen=True)
class MinimizeArgs:
    """A minimized header: the compiles that will include it (their header_dir holds the full one) and the mode.

    `program` is what the header calls itself the header of; `sha256` and `kernel` are the full header's.
    """

    compiles: tuple[CompileArgs, ...]
    program: str
    mode: str
    sha256: str
    kernel: str


def preprocessed(args: CompileArgs, index: Index, known: Iterable[str], root: str) -> str:
    """Returns a program's text after clang -E -dD, with a stub in vmlinux.h's place.

    Raises CompileError and UndeclaredInputError.
    """
    with scratch_folder(Path(root, args.output).parent) as scratch:
        folder = scratch_path(args.output, scratch)
        Path(scratch, "vmlinux.h").write_text(stub(index))
        command = ["-E", "-dD", "-w", args.source, *dependencies_to(f"{folder}/depfile"), "-o", f"{folder}/text"]
        declared = [*known, args.source, f"{folder}/vmlinux.h"]
        run_clang(args._replace(header_dir=folder), command, root, declared, folder)
        inputs = read_depfile(os.fsdecode(Path(scratch, "depfile").read_bytes()))
        check_inputs(inputs, declared, args.source, root)
        popped = any(b"pop_macro" in read_regular(Path(root, path)) for path in inputs)
        text = Path(scratch, "text").read_text(encoding="utf-8", errors="replace")
        _check_order(args, text)
        return text + (f"\n{POPPED}\n" if popped else "")


def _check_order(args: CompileArgs, text: str) -> None:
    """Refuses UAPI headers before vmlinux.h that declare something, as it has the same types. Raises CompileError."""
    before, marker, _ = text.partition(MARKER)
    if not marker or not args.uapi_dirs:
        return
    folders = tuple(f"{folder}/" for folder in args.uapi_dirs)
    entered = ""
    for path, _, piece in segments(before):
        if not path.startswith(folders):
            entered = ""
            continue
        entered = entered or min((path.removeprefix(folder) for folder in folders), key=len)
        if path.endswith("/stdbool.h") or _declares(path, piece):
            what = f"<{entered}> comes before vmlinux.h, which declares the same types"
            raise CompileError(what, where=args.source, fix=VMLINUX_FIRST)


def _declares(path: str, piece: str) -> bool:
    """Returns True if a piece of a header declares what a vmlinux.h might declare otherwise, unlike <stddef.h>."""
    lines = (line.strip() for line in piece.splitlines())
    return "/__std" not in path and any(line and not line.startswith("#") for line in lines)


def _names(args: CompileArgs, text: str) -> UsedNames:
    return names_of(text, os.path.join(args.libbpf_dir, HELPER_DEFS))


def used_names(args: CompileArgs, index: Index, known: Iterable[str], root: str) -> UsedNames:
    """Returns the names that a program uses, by clang -E with `index`'s header. Raises as preprocessed does."""
    return _names(args, preprocessed(args, index, known, root))


def minimize_programs(
    args: MinimizeArgs, indexes: IndexCache, known: Iterable[str], root: str, notice: Callable[[str], None]
) -> str:
    """Returns the minimized header for all of a step's programs.

    `fields` comes out proven, or as another mode; `notice` gets each step back. A header that is the full
    one says why, see header.fallback_reason. Raises what preprocessed raises, HeaderError, and ProofError for a program
    that gives other objects each time.
    """
    index = indexes.get(Path(root, args.compiles[0].vmlinux), args.sha256)
    names = reduce(or_, (used_names(each, index, known, root) for each in args.compiles))

    def made_in(mode: str, keep_whole: Iterable[str] = ()) -> Minimized:
        """Returns the header of one mode."""
        return minimize(
            index, names, mode, args.program, args.compiles[0].arch.name, args.kernel, args.sha256, keep_whole
        )

    def named_notice(text: str) -> None:
        notice(f"{args.program} ({args.compiles[0].arch.name}): {text}")

    if macros := conflicts(index, names):
        why = f"the program defines {', '.join(macros)} before it and vmlinux.h has that name"
        named_notice(f"using the full header, since {why}")
        return with_fallback_reason(made_in("off").text, why)
    if args.mode != "fields":
        return made_in(args.mode).text
    settled = _proven(args, made_in, known, root, named_notice)
    why = "; ".join(text for text in settled.notices if " doesn't hold: " in text)
    text = settled.minimized.text
    return with_fallback_reason(text, why) if settled.minimized.mode == "off" else text


def why_kept(args: MinimizeArgs, indexes: IndexCache, known: Iterable[str], root: str, name: str) -> list[str]:
    """Returns the lines that say by which chain a step's programs keep a declaration or a member.

    Raises as minimize_programs does.
    """
    index = indexes.get(Path(root, args.compiles[0].vmlinux), args.sha256)
    texts = [preprocessed(each, index, known, root) for each in args.compiles]
    mode = args.mode if args.mode != "off" else "exact"
    names = reduce(or_, map(_names, args.compiles, texts))
    made = minimize(index, names, mode, args.program, args.compiles[0].arch.name, args.kernel, args.sha256)
    return why(made, name, lambda used: next(filter(None, (where(text, used) for text in texts)), ""))


def _proven(
    args: MinimizeArgs,
    made_in: Callable[[str, frozenset[str]], Minimized],
    known: Iterable[str],
    root: str,
    notice: Callable[[str], None],
) -> Settled[tuple[bytes, ...]]:
    """Returns the header of the first mode from `fields` on whose objects are all proven."""

    def objects(made: Minimized) -> tuple[bytes, ...]:
        """Returns the programs' objects with that header."""
        folder = Path(root, args.compiles[0].output).parent
        with scratch_folder(folder) as scratch:
            Path(scratch, "vmlinux.h").write_text(made.text)
            paths = [*known, f"{scratch_path(args.compiles[0].output, scratch)}/vmlinux.h"]
            return tuple(compiled(with_header(each, paths[-1]), paths, root).data for each in args.compiles)

    @cache
    def full() -> tuple[bytes, ...]:
        return tuple(compiled(each, known, root).data for each in args.compiles)

    def verdict(made: tuple[bytes, ...], mode: str) -> Verdict:
        """Compares objects with those of the full header, all programs in one Verdict."""
        verdicts = [prove(*pair, mode) for pair in zip(full(), made)]
        for each, first, found in zip(args.compiles, full(), verdicts):
            if not found.equal:
                require_repeatable(each, first, known, root)
        differences, types = (
            tuple(sorted({part for each in verdicts for part in getattr(each, kind)}))
            for kind in ("differences", "types")
        )
        return Verdict(mode, all(each.equal for each in verdicts), differences, types)

    return settle(args.mode, made_in, objects, verdict, notice)
