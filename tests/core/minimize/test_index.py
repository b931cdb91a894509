"""The index of a header: what it finds, what it refuses, and that it comes back from the store unchanged."""

import os
import time
from array import array
from pathlib import Path

import pytest
from ebpfbuild.errors import HeaderError
from ebpfbuild.minimize.index_cache import IndexCache
from ebpfbuild.rebuild.ledger import Ledger
from ebpfbuild.minimize import index as indexes
from fuzzing import EDITS, mutate
from hypothesis import given, settings
from hypothesis import strategies as st

HEADER = (Path(__file__).parents[2] / "testdata" / "minimize" / "vmlinux.h").read_text()


@pytest.fixture(scope="module")
def index():
    return indexes.index_header(HEADER)


def text_of(index, name, table="ordinary"):
    return index.declaration(getattr(index, table)[name])


@pytest.mark.parametrize(
    "name, start",
    [
        ("ANON_TWO", "enum {"),
        ("GREEN", "enum color {"),
        ("DENTRY_DEAD", "struct dentry {"),
        ("u32", "typedef __u32 u32;"),
        ("tiny_t", "typedef int __attribute__((mode(byte))) tiny_t;"),
        ("words_t", "typedef u32 words_t[4];"),
        ("atomic_t", "typedef struct {\n"),
        ("kuid_t", "typedef struct kuid {\n"),
        ("opener_t", "typedef int (*opener_t)"),
        ("handler_t", "typedef int handler_t("),
        ("getter_t", "typedef void (*(*getter_t)"),
        ("names_t", "typedef const char (* const names_t)[32];"),
        ("task_acquire", "extern struct task *task_acquire("),
        ("arena_alloc", "extern void __attribute__"),
    ],
)
def test_a_name_leads_to_its_declaration(index, name, start):
    assert text_of(index, name).startswith(start)


@pytest.mark.parametrize("name", ["color", "kuid", "packed_one", "both", "name_text"])
def test_a_tag_leads_to_its_definition(index, name):
    text = text_of(index, name, "tags")
    assert name in text and text.endswith(";") and "{" in text


def test_forward_declarations_and_directives_are_no_declarations(index):
    assert {index.declaration(number) for number in index.forwards} >= {"struct inode;", "struct file;"}
    assert all(index.declaration(number).startswith("#") for number in index.lines)
    assert index.total == len(index.starts) - len(index.lines) - len(index.forwards)
    assert "struct got;" not in [index.declaration(number) for number in index.tags.values()]


def test_every_declaration_is_found_once_and_whole(index):
    pieces = "".join(index.declaration(number) for number in range(len(index.starts)))
    assert "".join(pieces.split()) == "".join(HEADER.replace("/* __VMLINUX_H__ */", "/* __VMLINUX_H__ */").split())


def test_a_windows_header_gives_the_same_index(index):
    other = indexes.index_header(HEADER.replace("\n", "\r\n"))
    assert other.text == index.text and other.tags == index.tags


def test_comments_and_one_line_structs_are_read():
    text = "/* by\n   hand */ typedef int z;\n#define X 1 /* one\n */\nstruct a { int b; /* }; */ struct c *d; };\n"
    text += "// struct no {\nstruct e {};\nenum f { G = 1, H };\n"
    found = indexes.index_header(text)
    assert list(found.tags) == ["a", "e", "f"] and list(found.ordinary) == ["z", "G", "H"]


def test_a_closing_brace_behind_padding_is_the_end():
    """bpftool of Linux 5.16 to 6.2 forgot a newline there: `\tlong: 64;};`."""
    text = "struct a {\n\tlong: 64;\n\tlong: 64;};\n\nstruct b {\n\tint c;\n};\n"
    text += "struct d {\n\tint e;\n\tlong: 0;} __attribute__((aligned(8)));\ntypedef struct {\n\tlong: 64;} f_t;\n"
    text += "struct g {\n\tstruct {\n\t\tlong: 64;};\n\tint h;\n};\nunion i {\n\tint j;\n};\n"
    found = indexes.index_header(text)
    assert list(found.tags) == ["a", "b", "d", "g", "i"] and list(found.ordinary) == ["f_t"]
    assert [text_of(found, name, "tags").count("}") for name in found.tags] == [1, 1, 1, 2, 1]


def test_a_stray_semicolon_is_no_declaration():
    text = "#pragma once\n;\n; // for an editor\nstruct a {\n\tint b;\n};\n"
    found = indexes.index_header(text)
    assert list(found.tags) == ["a"] and found.total == 1


@pytest.mark.parametrize(
    "text",
    ["/* kfuncs */\nstruct a {\n\tint b;\n};\n#endif /* GUARD */\n", "struct a { int b; };\n\t/* end */ struct c;\n"],
)
def test_comments_between_declarations_are_passed_over(text):
    assert list(indexes.index_header(text).tags) == ["a"]


def test_attributes_of_gcc_builds_are_read():
    found = indexes.index_header(
        "struct a {\n\tint b;\n} ATTR_PRESERVE_ACCESS_INDEX;\n\ntypedef struct {\n\tint c;\n} ATTR_X d;\n"
    )
    assert found.declaration(found.ordinary["d"]).endswith("} ATTR_X d;")


@pytest.mark.parametrize(
    "text, line",
    [
        ("<!DOCTYPE html>\n<p>404</p>\n", "line 1"),
        ("vmlinux_6.19.h", "line 1"),
        ("struct a {\n\tint b;\n", "line 1"),
        ("struct a {\n\tint b;\n};\n\n+ what\n", "line 5"),
    ],
)
def test_what_is_no_header_is_refused_with_its_line(text, line):
    with pytest.raises(HeaderError) as error:
        indexes.index_header(text)
    assert str(error.value).startswith(line) and "bpftool" in str(error.value)


@pytest.mark.parametrize("text", ["", "\n", "#define X\n", "typedef int u32;\n"])
def test_a_header_without_a_struct_is_refused(text):
    with pytest.raises(HeaderError, match="no struct"):
        indexes.index_header(text)


def test_an_index_comes_back_from_its_bytes(index):
    other = indexes.load_index(indexes.dump_index(index))
    for name in ("text", "starts", "ends", "lines", "forwards", "tags", "ordinary", "total"):
        assert getattr(other, name) == getattr(index, name)


def test_an_index_of_another_format_is_refused(index, monkeypatch):
    data = indexes.dump_index(index)
    monkeypatch.setattr(indexes, "INDEX_FORMAT", indexes.INDEX_FORMAT + 1)
    with pytest.raises(HeaderError, match="index the header again"):
        indexes.load_index(data)


def usable(index):
    """Looks at all that the closure looks at."""
    for number in (*index.lines, *index.forwards, *index.tags.values(), *index.ordinary.values()):
        assert isinstance(index.declaration(number), str)
    return index.total


@settings(max_examples=300, deadline=None)
@given(edits=EDITS)
def test_damaged_bytes_are_refused_or_an_index_all_the_same(edits):
    try:
        usable(indexes.load_index(mutate(indexes.dump_index(indexes.index_header(HEADER)), edits)))
    except HeaderError:
        return


NUMBERS = st.lists(st.integers(0, 2**32 - 1), max_size=4).map(lambda numbers: array("I", numbers).tobytes())
PARTS = st.tuples(*[NUMBERS | st.binary(max_size=9)] * 4, st.binary(max_size=9), NUMBERS, st.binary(max_size=9), NUMBERS, st.binary())


@settings(max_examples=300, deadline=None)
@given(parts=PARTS, sizes=st.none() | st.lists(st.integers(0, 2**64 - 1), min_size=9, max_size=9))
def test_bytes_that_somebody_composed_are_refused_or_an_index_all_the_same(parts, sizes):
    head = indexes._HEAD.pack(indexes._MAGIC, indexes.INDEX_FORMAT, *(sizes or map(len, parts)))
    try:
        usable(indexes.load_index(head + b"".join(parts)))
    except HeaderError:
        return


@given(data=st.binary())
def test_any_bytes_at_all_are_refused(data):
    with pytest.raises(HeaderError, match="no index of a vmlinux.h"):
        indexes.load_index(data)


@settings(max_examples=150, deadline=None)
@given(edits=EDITS)
def test_a_damaged_header_is_refused_or_indexed(edits):
    text = mutate(HEADER.encode(), edits).decode(errors="replace")
    try:
        found = indexes.index_header(text)
    except HeaderError:
        return
    for number in (*found.tags.values(), *found.ordinary.values()):
        assert found.declaration(number)


def test_the_real_header_is_indexed(vmlinux):
    text = vmlinux().read_text()
    found = indexes.index_header(text)
    assert found.total > 5000 and "task_struct" in found.tags and "TCP_ESTABLISHED" in found.ordinary
    assert found.declaration(found.tags["sock"]).startswith("struct sock {\n\tstruct sock_common __sk_common;")


def test_what_no_bpftool_writes_is_told_with_file_and_line(tmp_path):
    header = tmp_path / "vmlinux.h"
    header.write_text("struct a {\n\tint b;\n};\n\nconst int c = 4;\n")
    with pytest.raises(HeaderError) as caught:
        IndexCache(tmp_path / "cache", Ledger(tmp_path / "ledger").fact).get(header, "00")
    assert str(caught.value).startswith("vmlinux.h: line 5: 'const int c = 4;' is no declaration that bpftool writes")
    assert "MINIMIZE=off" in str(caught.value) and not (tmp_path / "cache").exists()


class Kept:
    """A store with a header's index, as builds of one project or another see it."""

    def __init__(self, folder):
        self.folder, self.header = folder, folder / "vmlinux.h"
        self.header.write_text(HEADER)
        self.get()

    @property
    def path(self):
        return self.folder / f"cache/index/00-{indexes.INDEX_FORMAT}"

    def get(self, project="one", code=""):
        """The index that the next build of a project gets, and whether it was made for that."""
        before = self.path.stat().st_ino if self.path.is_file() else 0
        index = IndexCache(self.folder / "cache", Ledger(self.folder / project).fact, code).get(self.header, "00")
        return index, not self.path.is_file() or self.path.stat().st_ino != before


@pytest.fixture
def kept(tmp_path):
    return Kept(tmp_path)


def test_an_index_is_made_once_for_a_project(kept):
    assert kept.get()[1] is False


def test_an_index_that_somebody_else_wrote_is_not_believed_however_well_formed(kept, index):
    fake = indexes.index_header(HEADER.replace("struct dentry {", "struct dentry {\n\tint planted;"))
    kept.path.write_bytes(indexes.dump_index(fake))
    for project in ("one", "another"):
        assert kept.get(project)[0].text == index.text
    assert kept.path.read_bytes() == indexes.dump_index(index)
    assert kept.get()[1] is kept.get("another")[1] is False


def test_what_made_an_index_counts(kept):
    assert kept.get(code="edited")[1] is True
    assert kept.get(code="edited")[1] is False


@pytest.mark.parametrize("stand_in", ["nothing", "empty", "folder", "pipe", "zeros", "loop", "deep"])
def test_whatever_lies_in_an_index_s_place_ends_no_build(kept, index, stand_in):
    kept.path.unlink()
    {
        "nothing": lambda: None,
        "empty": kept.path.touch,
        "folder": lambda: (kept.path / "full").mkdir(parents=True),
        "pipe": lambda: os.mkfifo(kept.path),
        "zeros": lambda: kept.path.symlink_to("/dev/zero"),
        "loop": lambda: kept.path.symlink_to(kept.path),
        "deep": lambda: kept.path.write_text("[" * 100_000),
    }[stand_in]()
    started = time.monotonic()
    assert kept.get()[0].text == index.text
    assert time.monotonic() - started < 5
    assert kept.get()[1] is (stand_in == "folder")


def test_a_header_that_is_no_utf_8_is_refused_in_one_line(kept):
    kept.header.write_bytes(HEADER.encode() + b"struct \xff {\n};\n")
    with pytest.raises(HeaderError, match="vmlinux.h: is no UTF-8 at byte [0-9]+; pin a header as bpftool writes it"):
        kept.get(code="edited")
