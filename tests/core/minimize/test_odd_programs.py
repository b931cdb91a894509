"""Programs that use C in every way that could hide a name, each mode against the full header, compared without prove.py."""

from pathlib import Path

import pytest
from raw_object import differences
from step_lab import StepLab
from slow import slow_after

PROGRAMS = sorted((Path(__file__).parents[2] / "testdata" / "minimize" / "programs").glob("*.bpf.c"))
# The full header is right for this one: a pragma brings a macro back that rewrites the header.
FULL = {"push_macro.bpf.c"}
# Types that `fields` keeps whole, after a proof, since their size or layout shows: that is told, and no other step back.
TOLD = ("minimize=fields: keeping", "minimize=fields doesn't hold")


@pytest.fixture(scope="module")
def lab(clang, tmp_path_factory, pinned):
    text = pinned.vmlinux("x86_64").read_text()
    return StepLab(clang, tmp_path_factory.mktemp("programs"), text, pinned.libbpf())


@pytest.mark.parametrize("number, path", slow_after(6, enumerate(PROGRAMS)), ids=[path.name.partition(".")[0] for path in PROGRAMS])
def test_a_program_gets_the_full_headers_object(lab, number, path):
    program = path.read_text()
    full = lab.build(program, "off")
    for mode in ("exact", ("lean", "fields")[number % 2]):  # all modes of all programs would take minutes
        made = lab.build(program, mode)
        assert differences(full.object, made.object, mode) == []
        if path.name not in FULL:
            assert all(any(told in notice for told in TOLD) and mode == "fields" for notice in made.notices)
