"""The order of sections in BTF.ext is clang's own affair."""

from types import SimpleNamespace

from ebpfbuild.btf.ext import LineInfo
from ebpfbuild.prove.code import compare_lines


def parsed(*sections, line=1):
    rows = tuple(
        LineInfo(**{**dict.fromkeys(LineInfo._fields, 0), "section": name, "file": "p.c", "text": "x", "line": line})
        for name in sections
    )
    return SimpleNamespace(ext=SimpleNamespace(lines=rows), elf=SimpleNamespace(section=lambda name: None))


def test_sections_in_another_order_are_no_difference():
    assert list(compare_lines(parsed("kprobe/x", "socket"), parsed("socket", "kprobe/x"))) == []


def test_a_line_that_moved_or_went_is_one():
    assert len(list(compare_lines(parsed("socket"), parsed("socket", line=2)))) == 1
    assert len(list(compare_lines(parsed("socket"), parsed()))) == 1
