"""Split BTF, distilled bases, kinds of tomorrow, and the index with which a kernel's BTF opens at once."""

import time
from pathlib import Path

import pytest
from btfwriter import assemble, info
from ebpfbuild.btf.c_text import declaration, definition
from ebpfbuild.btf.distilled import relocated
from ebpfbuild.btf.index import dump_index, load_index
from ebpfbuild.btf.reader import Btf
from ebpfbuild.btf.types import Kind, Member
from ebpfbuild.errors import BtfError
from fuzzing import EDITS, mutate
from hypothesis import given, settings

KERNEL = Path("/sys/kernel/btf/vmlinux")
INT = (1, info(Kind.INT), 4, 1 << 24 | 32)
BASE_STRINGS = ("", "int", "list", "next", "page", "flags")  # at 0, 1, 5, 10, 15 and 20
BASE_TYPES = [
    INT,
    (2, info(Kind.STRUCT, 1), 8, 10, 3, 0),
    (0, info(Kind.PTR), 2),
    (4, info(Kind.STRUCT, 1), 4, 20, 1, 0),
]


def base(order="<"):
    """A kernel's: int, struct list { struct list *next; }, struct page { int flags; }."""
    return assemble(BASE_TYPES, BASE_STRINGS, order)


def split(of, order="<"):
    """A module's: struct mod { struct list list; struct page *page; }, and a tag on the kernel's struct list."""
    at = of.strings_end
    rows = [
        (0, info(Kind.STRUCT, 2), 16, at + 4, 2, 0, at + 9, 6, 64),
        (None, info(Kind.PTR), 4),
        (3, info(Kind.DECL_TAG), 2, 0xFFFFFFFF),
    ]
    return assemble(rows, ("mod", "list", "page", "hot"), order, at)


@pytest.mark.parametrize("order", "<>")
def test_split_btf_goes_on_where_its_base_ends(order):
    kernel = Btf.parse(base(order))
    module = Btf.parse(split(kernel, order), base=kernel)
    mod = module.find("mod")
    assert (mod.id, len(module), module.first) == (5, 8, 5)
    assert mod.members == (Member("list", 2, 0, 0), Member("page", 6, 64, 0))
    assert definition(module, 5) == "struct mod {\n\tstruct list list;\n\tstruct page *page;\n};"
    assert module.find("list") is kernel.find("list")
    assert [tag.name for tag in module.tags(2)] == ["hot"] and kernel.tags(2) == []
    assert [kind.id for kind in module] == list(range(1, 8))
    assert module.size_of(5) == 16


def test_split_btf_without_its_base_says_so():
    with pytest.raises(BtfError, match="split BTF, as a module's is, without its base; give its kernel's"):
        Btf.parse(split(Btf.parse(base())))


def test_a_base_of_the_other_byte_order_is_refused():
    kernel = Btf.parse(base())
    with pytest.raises(BtfError, match="of another byte order than its base"):
        Btf.parse(split(kernel, ">"), base=kernel)


def distilled(list_size=8, page_size=4):
    rows = [INT, (2, info(Kind.STRUCT), list_size), (3, info(Kind.STRUCT), page_size)]
    return assemble(rows, ("", "int", "list", "page"))


def out_of_tree(of):
    """struct mod { struct list list; struct page *page; int count; }, split from a distilled base."""
    at = of.strings_end
    rows = [
        (0, info(Kind.STRUCT, 3), 24, at + 4, 2, 0, at + 9, 5, 64, at + 14, 1, 128),
        (None, info(Kind.PTR), 3),
    ]
    return assemble(rows, ("mod", "list", "page", "count"), at=at)


def test_a_module_with_a_distilled_base_is_put_onto_a_kernel():
    own = Btf.parse(distilled(page_size=64))  # behind a pointer, so its size may have changed
    module = Btf.parse(out_of_tree(own), "mod.ko", base=own)
    kernel = Btf.parse(base())
    moved = relocated(module, kernel)
    mod = moved.find("mod", Kind.STRUCT)
    assert definition(moved, mod.id) == "struct mod {\n\tstruct list list;\n\tstruct page *page;\n\tint count;\n};"
    assert moved[mod.members[0].type] is kernel.find("list")
    assert moved.resolve(moved[mod.members[1].type].type) is kernel.find("page")


def test_a_distilled_type_that_the_kernel_lacks():
    own = Btf.parse(distilled(list_size=16))
    with pytest.raises(BtfError, match="needs STRUCT list of 16 bytes, and the kernel has no such type"):
        relocated(Btf.parse(out_of_tree(own), base=own), Btf.parse(base()))


def test_a_kind_of_tomorrow_is_passed_over_by_the_layout_that_the_btf_has():
    sizes = [(0, 0)] * 20 + [(4, 8)]
    rows = [INT, (0, info(20, 2), 0, 7, 1, 2, 3, 4), (2, info(Kind.TYPEDEF), 1)]
    btf = Btf.parse(assemble(rows, ("", "int", "number"), layouts=sizes))
    assert [kind.kind for kind in btf] == [Kind.INT, Kind.UNKNOWN, Kind.TYPEDEF]
    assert declaration(btf, 3, "x") == "number x"
    with pytest.raises(BtfError, match=r"type \[2\] of kind 20, which this reader doesn't know, at byte 40"):
        Btf.parse(assemble(rows, ("", "int", "number")))


def test_an_attribute_is_a_tag_with_a_flag():
    rows = [INT, (2, info(Kind.TYPE_TAG, 0, 1), 1), (0, info(Kind.PTR), 2), (2, info(Kind.TYPE_TAG), 1)]
    btf = Btf.parse(assemble(rows, ("", "int", "noderef")))
    assert declaration(btf, 3, "x") == "__attribute__((noderef)) int *x"
    assert declaration(btf, 4, "x") == '__attribute__((btf_type_tag("noderef"))) int x'


@pytest.mark.parametrize("order", "<>")
def test_an_index_gives_the_same_types(order):
    data = base(order)
    btf = Btf.parse(data)
    again = load_index(dump_index(btf, data), "x")
    assert [definition(again, kind.id) for kind in again] == [definition(btf, kind.id) for kind in btf]
    assert [again.find(name).id for name in ("int", "list", "page")] == [1, 2, 4]
    assert again.find("lis") is None and again.named("zzz") == [] and again.named("") == []


@given(edits=EDITS)
@settings(max_examples=100, deadline=None)
def test_a_damaged_index_is_an_error_or_read(edits):
    data = base()
    try:
        load_index(mutate(dump_index(Btf.parse(data), data), edits))
    except BtfError:
        pass


@given(edits=EDITS)
@settings(max_examples=150, deadline=None)
def test_damaged_split_btf_is_an_error_or_read(edits):
    kernel = Btf.parse(base())
    own = Btf.parse(distilled())
    for data, under in ((split(kernel), kernel), (out_of_tree(own), own)):
        try:
            btf = Btf.parse(mutate(data, edits), base=under)
            for kind in btf:
                assert len(kind.members) <= kind.count
                kind.name, btf.tags(kind.id)
            if under is own:
                relocated(btf, kernel)
        except BtfError:
            pass


def test_an_error_in_the_types_names_its_byte():
    rows = [INT, (0, info(Kind.PTR), 1), (0, info(Kind.TYPEDEF), 9)]
    with pytest.raises(BtfError, match=r"refers to type \[9\] of 4 in type \[3\] at byte 52"):
        Btf.parse(assemble(rows, ("", "int")))


@pytest.mark.skipif(not KERNEL.exists(), reason="this kernel shows no BTF")
def test_this_kernel_s_btf_opens_at_once_and_is_looked_up_by_name_in_microseconds():
    data = KERNEL.read_bytes()
    started = time.process_time()
    btf = Btf.parse(data, pointer=None)
    btf.find("task_struct")
    assert time.process_time() - started < 2
    index = dump_index(btf, data)
    started = time.process_time()
    again = load_index(index)
    assert time.process_time() - started < 0.2
    names = [kind.name for kind in btf.named("sock")] + [btf[number].name for number in btf.by_name[::97]]
    started = time.process_time()
    found = [again.find(name) for name in names]
    assert (time.process_time() - started) / len(names) < 300e-6
    assert [kind.name for kind in found] == names
    assert {kind.name for kind in again.named("task_struct")} == {"task_struct"}
