"""docs/from-libbpf.md names what the loader has."""

import inspect
import re

import bpfloader
from pages import ROOT

PAGE = ROOT / "docs" / "from-libbpf.md"
ROWS = [line.strip("|").split("|") for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")][
    1:
]
HERE = [code for row in ROWS for code in re.findall(r"`([^`]+)`", row[-1])]


def test_each_row_says_what_to_write():
    assert len(ROWS) > 25 and all(len(row) == 3 for row in ROWS)
    assert all(re.search("`", row[-1]) or "the same loop" in row[-1] for row in ROWS)


def test_each_name_is_one_of_the_loaders():
    kinds = [each for each in (getattr(bpfloader, name) for name in bpfloader.__all__) if inspect.isclass(each)]
    members = {name for kind in kinds for name in dir(kind)}
    for code in HERE:
        for name in re.findall(r"bpfloader\.(\w+)", code):
            assert hasattr(bpfloader, name), code
        for name in re.findall(r"(?:maps|progs)\.\w+\.(\w+)|\.(\w+)\(", code):
            assert {*name} & {*members, *dir(bpfloader)} - {""}, code


def test_each_keyword_is_one_of_a_calls():
    kinds = [each for each in (getattr(bpfloader, name) for name in bpfloader.__all__) if inspect.isclass(each)]
    own = {base for kind in kinds for base in kind.__mro__ if base.__module__.startswith("bpfloader.")}
    taken = set()
    for name, function in [pair for kind in own for pair in vars(kind).items()]:
        plain = getattr(function, "__func__", getattr(function, "_function", function))  # AttachMethod, too
        if inspect.isfunction(plain):
            taken |= {(name, parameter) for parameter in inspect.signature(plain).parameters}
    for code in HERE:
        for name, arguments in re.findall(r"\.(\w+)\(([^()]*)\)", code):
            for keyword in re.findall(r"(\w+)=", arguments):
                assert (name, keyword) in taken, code
