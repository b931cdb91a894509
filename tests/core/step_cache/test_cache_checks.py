"""A proof that came from a cache: such as a prover writes it, or none."""

import hashlib
import json

import pytest

from ebpfbuild.prove.objects import Verdict
from ebpfbuild.prove.proof import Proof
from ebpfbuild.step_cache.checks import OBJECT, PROOF, check_proof

DATA = b"an object"
FOUND = Proof(Verdict("exact", True), 24, hashlib.sha256(DATA).hexdigest(), "prover", "")
ODD = [None, 1, -1, 0.5, True, False, "x", "\ud800", [], ["x"], {}, {"a": 1}, [[]]]


def checked(text):
    check_proof({OBJECT: DATA, PROOF: text.encode()}, "prover")


@pytest.mark.parametrize("proof", [FOUND, FOUND._replace(types=0, fallback="the header is too old"), FOUND._replace(verdict=Verdict("fields", True))])
def test_a_proof_is_taken_as_it_was_written(proof):
    checked(proof.to_json())


@pytest.mark.parametrize("field", [*json.loads(FOUND.to_json()), "new"])
def test_a_field_that_no_prover_writes_is_refused(field):
    """A link would fail by it, and a summary print it."""
    right = {"compared": int, "fallback": str}.get(field)
    for value in ODD:
        text = json.dumps(json.loads(FOUND.to_json()) | {field: value}, sort_keys=True, indent=1) + "\n"
        if text == FOUND.to_json() or (right and type(value) is right and value != -1):
            checked(text)
        else:
            with pytest.raises(ValueError):
                checked(text)


@pytest.mark.parametrize("text", ["", "[]", "1", "[" * 100_000, FOUND.to_json() + " ", json.dumps(json.loads(FOUND.to_json()))])
def test_other_text_is_refused(text):
    with pytest.raises(ValueError):
        checked(text)
