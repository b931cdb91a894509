"""Proves a linked object: links the objects that the full header gives as well, and compares the two.

It is no part of linker.py: a link depends on the code that it runs, and an edit of the prover is to link nothing anew.
"""

import hashlib
from collections.abc import Sequence

from ..prove.objects import PROVABLE_MODES, prove
from ..prove.proof import Proof, count_types
from .libraries import Linker
from .linker import linked_object
from .part import Part


def prove_linked(
    whole: Sequence[Part], data: bytes, proofs: Sequence[Proof], linker: Linker, where: str, prover: str
) -> Proof:
    """Returns the proof of a linked object, against the link of `whole`, its parts as the full header gives them.

    `proofs` are those of the parts: the object is compared in the most lenient of their modes. Raises as linked_object.
    """
    mode = max((proof.verdict.mode for proof in proofs), key=PROVABLE_MODES.index, default=PROVABLE_MODES[0])
    fallback = "; ".join(dict.fromkeys(proof.fallback for proof in proofs if proof.fallback))
    verdict = prove(linked_object(whole, linker, where), data, mode)
    return Proof(verdict, count_types(data), hashlib.sha256(data).hexdigest(), prover, fallback)
