"""Looks at what came from a cache: if an object, a header and a proof are such as the step would have made.

This tells nothing of an object's code: whoever may write into a cache is trusted with that.
"""

import hashlib
from collections.abc import Mapping

from ..arch import Arch
from ..elf.reader import Elf
from ..errors import ElfError
from ..header import fallback_reason

OBJECT, HEADER, PROOF = "object.o", "vmlinux.h", "proof.json"  # the files of a result, wherever a build has them
_COMMENT_SIZE = 4096  # characters in which a minimized header's first comment ends


def check_object(files: Mapping[str, bytes], arch: Arch) -> None:
    """Raises ValueError for what is no BPF object of the arch's byte order."""
    try:
        elf = Elf.parse(files[OBJECT])
    except ElfError as error:
        raise ValueError(f"is no object: {error.what}") from None
    if elf.little != (arch.target == "bpfel"):
        raise ValueError(f"is an object of the other byte order than {arch.name}'s")


def check_header(files: Mapping[str, bytes], full_sha256: str, program: str) -> None:
    """Raises ValueError for a header that wasn't cut out of the full one with this digest, for this program."""
    text = files[HEADER].decode()
    if fallback_reason(text):
        whole = text.partition("*/\n")[2]
        fits = hashlib.sha256(whole.encode()).hexdigest() == full_sha256
    else:
        comment = text[:_COMMENT_SIZE].partition("*/")[0]
        stated = f", sha256 {full_sha256}\n", f"\n * program: {program}\n".replace("*/", "* /")
        fits = all(line in comment for line in stated)
    if not fits:
        raise ValueError("is a header of another vmlinux.h or program")


def check_proof(files: Mapping[str, bytes], prover: str) -> None:
    """Raises ValueError for a proof that isn't of the object beside it, by this prover, or finds a difference.

    What else it holds must be such as a prover writes: a link, a summary and a release read it.
    """
    from ..prove.objects import PROVABLE_MODES, Verdict  # what comes without a proof needs no prover
    from ..prove.proof import Proof

    proof = Proof.from_json(files[PROOF])
    if not proof.verdict.equal or proof.prover != prover:
        raise ValueError("is no proof of an equal object by this prover")
    if proof.object != hashlib.sha256(files[OBJECT]).hexdigest():
        raise ValueError("is a proof of another object")
    mode, types, fallback = proof.verdict.mode, proof.types, proof.fallback
    fits = mode in PROVABLE_MODES and type(types) is int and types >= 0 and isinstance(fallback, str)
    if not fits or proof._replace(verdict=Verdict(mode, True)).to_json().encode() != files[PROOF]:
        raise ValueError("is no proof as a prover writes it")
