"""Proves an object: compiles it again with the full header, compares the two, and puts the result on record."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ..btf.reader import Btf
from ..compile.args import CompileArgs, with_header
from ..compile.object import CompiledObject, compiled
from ..elf.reader import Elf
from ..errors import ProofError
from ..files import read_regular
from ..header import fallback_reason, read_comment
from .objects import Verdict, prove

FULL_HEADER = "full header, nothing to prove"
NO_HEADER = "no vmlinux.h, nothing to prove"


class Proof(NamedTuple):
    """An object's record: the verdict, the number of types compared, the object's sha256, and who compared.

    `fallback` says why the program got the full header without having asked for it. `prover` is the digest of the code
    that compared.
    """

    verdict: Verdict
    types: int
    object: str
    prover: str
    fallback: str = ""

    def to_json(self) -> str:
        """Returns the record as one sorted JSON object, ending in a newline; the same proof gives the same bytes."""
        more = {"compared": self.types, "object": self.object, "prover": self.prover, "fallback": self.fallback}
        return json.dumps({**self.verdict.__dict__, **more}, sort_keys=True, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> "Proof":
        """Returns the proof that `to_json` wrote. Raises ValueError for anything else."""
        try:
            fields = json.loads(text)
            more = (fields[key] for key in ("compared", "object", "prover", "fallback"))
            return cls(Verdict.from_json(text), *more)
        except (KeyError, TypeError, RecursionError) as error:
            raise ValueError(f"is no proof: {error}") from None

    def __str__(self) -> str:
        """Returns the proof in a few words, as `prove` prints it behind an object's path."""
        if self.fallback:
            return f"full header, since {self.fallback}"
        equal = "equal" if self.verdict.equal else "NOT EQUAL"
        if not self.types:
            return f"{equal}, {self.verdict.mode}, without BTF"
        return f"{equal}, {self.verdict.mode}, {self.types} {'type' if self.types == 1 else 'types'}"


def read_proof(path: str | Path) -> Proof | None:
    """Returns the proof in a file, or None where there is none."""
    try:
        return Proof.from_json(read_regular(path, 1 << 20))
    except (OSError, ValueError):
        return None


def fallback_of(args: CompileArgs, made: CompiledObject, root: str) -> str:
    """Says why an object was made with the full header unasked; empty if it wasn't.

    The reason is the compile's, or its header's.
    """
    return made.fallback or fallback_reason(_header(args, root))


def check_fallback(args: CompileArgs, fallback: str) -> None:
    """Refuses the full header in a release where nobody asked for it. Raises ProofError."""
    if fallback:
        raise ProofError(
            f"gets the full vmlinux.h for {args.arch.name}, since {fallback}",
            where=args.source,
            fix='a release takes it only where it is asked for: minimize="off" on the program, or MINIMIZE=off',
        )


def prove_object(
    args: CompileArgs, made: CompiledObject, full: str, known: Iterable[str], root: str, prover: str = ""
) -> Proof:
    """Proves an object that was just made with the minimized header args.vmlinux, or with the full one instead.

    Raises CompileError, ElfError, BtfError, and ProofError where the same compile gives another object each time: then
    nothing can be proven, and the minimizer isn't at fault.
    """
    whole, fallback = with_header(args, full), fallback_of(args, made, root)
    first = compiled(whole, known, root).data
    mode = read_comment(_header(args, root)).mode
    # What fell back to the full header has nothing to be lenient about.
    verdict = prove(first, made.data, "exact" if mode == "off" or fallback else mode)
    if not verdict.equal:
        require_repeatable(whole, first, known, root)
        require_repeatable(whole if made.fallback else args, made.data, known, root)
    return Proof(verdict, count_types(made.data), hashlib.sha256(made.data).hexdigest(), prover, fallback)


def require_repeatable(args: CompileArgs, first: bytes, known: Iterable[str], root: str) -> None:
    """Raises ProofError where a compile now gives another object than `first`: an edit, a clock, an odd compiler."""
    again = prove(first, compiled(args, known, root).data, "exact")
    if not again.equal:
        raise ProofError(
            f"gives another object each time, with the same {args.vmlinux}: {again.differences[0]}",
            where=args.source,
            fix="take out what changes by itself, such as __TIME__, or build again if a file was just edited: the "
            "minimizer isn't at fault",
            details=again.differences[1:],
        )


def check_verdict(verdict: Verdict, output: str, written: str) -> None:
    """Refuses an object that isn't the full header's: raises ProofError, with the differences and the file of them."""
    if not verdict.equal:
        raise ProofError(
            f"is not what the full vmlinux.h gives (mode {verdict.mode}): {verdict.differences[0]}",
            where=output,
            fix=f"build it with MINIMIZE=off, and report {written}: it is a bug of the minimizer",
            details=verdict.differences[1:],
        )


def count(proofs: Iterable[Proof | None], unmade: int = 0, plain: int = 0) -> str:
    """Writes the line at the end of `prove`: how many objects there are, and what is known of them.

    None is the full header's. `plain` objects more have no vmlinux.h, and `unmade` ones aren't made.
    """
    proofs = list(proofs)
    full = sum(proof is None or bool(proof.fallback) for proof in proofs)
    total = len(proofs) + unmade + plain
    parts = [f"{len(proofs) - full} proven"]
    parts += [f"{full} with the full header"] if full else []
    parts += [f"{plain} without vmlinux.h"] if plain else []
    parts += [f"{unmade} not proven"] if unmade else []
    return f"{total} {'object' if total == 1 else 'objects'}: {', '.join(parts)}"


def _header(args: CompileArgs, root: str) -> str:
    return Path(root, args.vmlinux).read_text(encoding="utf-8", errors="replace")


def count_types(data: bytes) -> int:
    """Counts the types of an object's BTF. Raises ElfError and BtfError."""
    section = Elf.parse(data).section(".BTF")
    return len(Btf.parse(section.data)) - 1 if section else 0
