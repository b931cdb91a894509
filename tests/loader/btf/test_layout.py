"""The difference of two layouts, of types that clang made BTF of, and of damaged BTF."""

import bpfloader
import pytest
from bpfloader.btf.layout import difference
from bpfloader.btf.reader import STRUCT, Btf
from bpfloader.elf import Elf
from compiling import compile_text
from hypothesis import given
from hypothesis import strategies as st

# The members of two structs, and what is said of the second one as a program's, where the first is pinned.
PAIRS = {
    "nothing": ("int a; char b[8];", "int a; char b[8];", ""),
    "a typedef": ("unsigned int a;", "typedef_u32 a;", ""),
    "a qualifier": ("unsigned int a;", "volatile unsigned int a;", ""),
    "an enum for its number": ("unsigned int a;", "enum verdict a;", ""),
    "the name of a struct": ("struct pair a;", "struct other_pair a;", ""),
    "an anonymous struct": ("int a; int b;", "struct { int a; int b; };", ""),
    "two that changed places": ("int a; int b;", "int b; int a;", "int a at byte 0 where the program has int b at byte 0"),
    "a name": ("int a;", "int b;", "int a at byte 0 where the program has int b at byte 0"),
    "a sign": ("int a;", "unsigned int a;", "int a at byte 0 where the program has unsigned int a at byte 0"),
    "widths": ("short a; short b;", "char a; char c; short b;", "short a at byte 0 where the program has char a at byte 0"),
    "bytes for a number": ("char a[4];", "int a;", "char a[4] at byte 0 where the program has int a at byte 0"),
    "an array of two": ("int a[2];", "int a; int b;", "int a[2] at byte 0 where the program has int a at byte 0"),
    "a pointer": ("long a;", "void *a;", "long a at byte 0 where the program has void *a at byte 0"),
    "a float": ("long a;", "double a;", "long a at byte 0 where the program has double a at byte 0"),
    "bits": ("int a: 3; int b: 5;", "int a: 5; int b: 3;", "int a: 3 at byte 0 where the program has int a: 5 at byte 0"),
    "bits further on": ("int a: 3; int b: 5;", "int a: 3; int c: 5;",
                        "int b: 5 at byte 0, bit 3 where the program has int c: 5 at byte 0, bit 3"),
    "one within": ("struct pair a;", "struct third_pair a;", "int a.y at byte 4 where the program has int a.z at byte 4"),
    "one within an array": ("struct pair a[2];", "struct third_pair a[2];",
                            "int a[0].y at byte 4 where the program has int a[0].z at byte 4"),
    "one of a union": ("union { int a; int b; } u;", "union { int a; } u;", "int u.b at byte 0 where the program has nothing"),
    "one that padding was": ("char a; int b;", "char a; char c; int b;", "nothing where the program has char c at byte 1"),
}  # fmt: skip
TYPES = """typedef unsigned int typedef_u32;
enum verdict { PASS, DROP };
struct pair { int x; int y; };
struct other_pair { int x; int y; };
struct third_pair { int x; int z; };
"""


@pytest.fixture(scope="module")
def btf(clang):
    rows = [f"struct pinned{at} {{ {pinned} }} p{at};\nstruct wanted{at} {{ {wanted} }} w{at};"
            for at, (pinned, wanted, _) in enumerate(PAIRS.values())]  # fmt: skip
    return Elf(compile_text(clang, TYPES + "\n".join(rows)), "types.bpf.o").data(".BTF")


@pytest.mark.parametrize("name", PAIRS)
def test_the_first_difference_is_named(btf, name):
    types, at = Btf(btf, "types.bpf.o"), list(PAIRS).index(name)
    pinned, wanted = (next(each.id for each in types if (each.kind, each.name) == (STRUCT, f"{which}{at}"))
                      for which in ("pinned", "wanted"))  # fmt: skip
    assert difference(types, wanted, types, pinned) == PAIRS[name][2]
    assert bool(difference(types, pinned, types, wanted)) is bool(PAIRS[name][2])
    assert difference(types, pinned, types, pinned) == ""


def test_a_type_of_too_many_members_is_an_error(clang):
    data = Elf(compile_text(clang, "struct none {};\nstruct none many[1 << 30];\nstruct all { struct none rows[1 << 30]; } all;"), "x").data(".BTF")
    types = Btf(data, "many.bpf.o")
    number = next(each.id for each in types if each.name == "all" and each.kind == STRUCT)
    with pytest.raises(bpfloader.ObjectError, match="of more than 100000 members"):
        difference(types, number, types, number)


@given(at=st.integers(0, 1 << 16), value=st.binary(min_size=1, max_size=8))
def test_damaged_btf_is_an_error(btf, at, value):
    """BTF of a pinned map is any program's: it ends in a difference or an ObjectError, and soon."""
    at %= len(btf)
    whole = Btf(btf, "types.bpf.o")
    last = max(each.id for each in whole if each.kind == STRUCT)
    try:
        difference(whole, last, Btf((btf[:at] + value + btf[at + len(value) :])[: len(btf)], "damaged"), last)
    except bpfloader.ObjectError:
        pass
