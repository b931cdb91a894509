"""Types that no compiler writes: an error or a class, in bounded time and memory: without bounds, some would not end."""

import pytest
from btfwriter import assemble, info
from ebpfbuild.btf.reader import Btf
from ebpfbuild.btf.types import Kind
from ebpfbuild.errors import EbpfError
from ebpfbuild.skeleton.types import PyTypes

INT = (0, info(Kind.INT), 4, 32)
LETTERS = ("", "a", "b", "c", "n" * 600)
MANY = 2000


def used(types, strings=LETTERS):
    """The last type as it is used by value."""
    return PyTypes(Btf.parse(assemble(types, strings))).use(len(types), "place")


def struct(name, size, *members, kind=Kind.STRUCT):
    """A record, of members as (which of the one-letter names, type, offset in bits)."""
    rows = ((2 * number - 1 if number else 0, of, bits) for number, of, bits in members)
    return (name, info(kind, len(members)), size, *(word for row in rows for word in row))


def array(of, count):
    return (0, info(Kind.ARRAY), 0, of, 1, count)


@pytest.mark.parametrize("types, said", [
    ([(1, info(Kind.TYPEDEF), 2), (2, info(Kind.TYPEDEF), 1)], "more than 64 typedefs"),
    ([(0, info(Kind.CONST), 1)], "more than 64 typedefs"),
    ([INT, struct(1, 4, (1, 2, 0))], "A contains itself"),
    ([INT, struct(1, 4, (1, 3, 0)), struct(2, 4, (1, 2, 0))], "B contains itself|A contains itself"),
    ([INT, array(2, 2)], "type"),
    ([INT, array(3, 2), array(2, 2)], "type"),
    ([INT, array(1, 0xFFFFFFFF)], "17179869180 bytes"),
    ([INT, array(1, 65536), array(2, 65536)], "17179869184 bytes"),
    ([INT, struct(1, 0), array(2, 0xFFFFFFFF), struct(2, 4, (1, 3, 0), (2, 1, 0), (3, 1, 999))], "lie outside"),
    ([INT, (1, info(Kind.FWD), 0)], "no size in this object"),
    ([INT, (0, info(Kind.FUNC_PROTO), 1)], "no size in this object"),
    ([INT, (1, info(Kind.ENUM, 1), 3, 1, 0)], "enum of 3 bytes"),
])  # fmt: skip
def test_what_is_no_type_of_c_is_refused(types, said):
    with pytest.raises((EbpfError, RecursionError), match=f"{said}|recursion"):
        used(types)


def test_anonymous_structs_that_double_are_refused():
    """Forty of them, each twice in the next one, would be a million million members."""
    types = [INT] + [struct(0, 4, (0, number, 0), (0, number, 0)) for number in range(1, 41)]
    with pytest.raises(EbpfError, match="more than 100000 members"):
        used([*types, struct(1, 4, (0, len(types), 0))])


def test_a_union_that_is_a_part_of_many_structs_is_refused():
    rows = (word for number in range(MANY) for word in (1 + 6 * number, 1, 0))
    union = (0, info(Kind.UNION, MANY), 4, *rows)
    structs = [struct(number, 4, (0, 2, 0)) for number in range(1, 101)]
    rows = (word for number in range(100) for word in (1 + 6 * number, 3 + number, 32 * number))
    owner = (200, info(Kind.STRUCT, 100), 400, *rows)
    with pytest.raises(EbpfError, match="more than 100000 members"):
        used([INT, union, *structs, owner], ("", *(f"m{number:04}" for number in range(MANY))))


def test_nothing_is_read_of_an_array_of_nothings():
    kind = used([INT, struct(1, 0), array(2, 0xFFFFFFFF)])
    assert (kind.hint, kind.codec, kind.size) == ("bytes", "c.raw(0)", 0)


def test_a_name_that_no_kernel_takes_is_refused():
    pointer = [INT, struct(4, 4), (0, info(Kind.PTR), 2), struct(1, 8, (1, 3, 0))]
    for types in ([INT, struct(1, 4, (4, 1, 0))], [INT, struct(4, 4, (1, 1, 0))], pointer):
        with pytest.raises(EbpfError, match="'nnn.*has no C name|a name of 600 characters"):
            used(types)
