"""The proof of one object: compiled again with the full header, and compared."""

from collections.abc import Iterable
from pathlib import Path

from .compile import CompileArgs, compiled, with_header
from .errors import ProofError
from .minimize.modes import facts_of
from .prove import Verdict, prove


def prove_object(args: CompileArgs, full: str, known: Iterable[str], root: str) -> Verdict:
    """The verdict on args.output, which was made with the minimized header args.vmlinux.

    Raises CompileError, ElfError, BtfError.
    """
    with_full, _ = compiled(with_header(args, full), known, root)
    mode = facts_of(Path(root, args.vmlinux).read_text(encoding="utf-8")).mode
    # A step that fell back to the full header has nothing to be lenient about.
    return prove(with_full, Path(root, args.output).read_bytes(), "exact" if mode == "off" else mode)


def check_verdict(verdict: Verdict, args: CompileArgs, written: str) -> None:
    """Refuses an object that isn't the full header's: raises ProofError, with the differences and the file of them."""
    if not verdict.equal:
        raise ProofError(
            f"is not what the full vmlinux.h gives (mode {verdict.mode}): {verdict.differences[0]}",
            where=args.output,
            fix=f"build it with MINIMIZE=off, and report {written}: it is a bug of the minimizer",
            details=verdict.differences[1:],
        )
