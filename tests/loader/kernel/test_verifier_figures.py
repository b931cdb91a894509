"""The figures at the end of verifiers' logs of all ages."""

import pytest
from bpfloader.kernel.verifier_figures import VerifierFigures, read_figures
from hypothesis import given
from hypothesis import strategies as st

NEW = """0: (b7) r0 = 0 ; processed 9 insns
; processed 5 insns (limit 1)
verification time 836 usec
stack depth 0+24
processed 464 insns (limit 1000000) max_states_per_insn 4 total_states 38 peak_states 32 mark_read 1
"""


@pytest.mark.parametrize(
    "log, figures",
    [
        (NEW, VerifierFigures(464, 38, 32, 4, 1, 24, 836)),
        (NEW * 2, VerifierFigures(464, 38, 32, 4, 1, 24, 836)),
        (NEW.replace("0+24", "8+16+512"), VerifierFigures(464, 38, 32, 4, 1, 536, 836)),
        ("processed 74 insns (limit 131072), stack depth 48\n", VerifierFigures(74, stack_depth=48)),  # Linux 4.20
        ("processed 74 insns\n", VerifierFigures(74)),  # Linux 4.3
        ("processed 7 insns (limit 9) total_states 2 hairs 5 stack depth 8", VerifierFigures(7, total_states=2)),
        ("R0 invalid mem access 'scalar'\n", None),
        ("", None),
    ],
)
def test_the_last_ones_are_read(log, figures):
    assert read_figures(log) == figures


WORDS = st.sampled_from(["processed ", "7", " insns", "\n", "stack depth ", "+", "0+8", " total_states ", "verification time ", " usec", "; ", "٣"])


@given(st.lists(WORDS, max_size=20).map("".join))
def test_any_text_is_read(log):
    figures = read_figures(log)
    assert figures is None or all(number >= 0 for number in figures)
