"""A vmlinux.h out of BTF: laid out as the BTF says, by clang's own word, and with the types that bpftool writes."""

import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from btfwriter import assemble, info
from c_header_assertions import check
from ebpfbuild.btf.reader import Btf
from ebpfbuild.btf.types import Kind
from ebpfbuild.c_header.header import header_of
from ebpfbuild.elf.reader import Elf
from ebpfbuild.errors import BtfError
from fuzzing import EDITS, mutate
from hypothesis import given, settings
from hypothesis import strategies as st

KERNEL = Path("/sys/kernel/btf/vmlinux")
needs_kernel = pytest.mark.skipif(not KERNEL.exists(), reason="this kernel shows no BTF")

SHAPES = """
typedef unsigned char u8; typedef unsigned int u32; typedef unsigned long long u64;
typedef int (*callback_t)(struct late *, const char *const *, ...);
struct late { struct late *next; callback_t call; };
typedef struct node_s node_t;
struct node_s { node_t *left, *right; void (*walk)(node_t *(*)(node_t *, int [3]), void *); };
typedef struct { struct { u8 x; } *inside; } nameless_t;
struct __attribute__((packed)) wire { u8 kind; u32 size; u64 when; u8 tail[]; };
struct holds_wire { u8 first; struct wire wire; };
struct line { u32 a; u32 b __attribute__((aligned(64))); u8 c; } __attribute__((aligned(64)));
struct holds_line { u8 first; struct line line; u32 last; };
struct bits { u32 a : 3; u32 : 5; u32 b : 8; u32 : 0; u32 c : 1; u64 d : 40; u8 e : 2; u8 f; u32 g : 31; };
struct __attribute__((packed)) odd_bits { u8 a : 3; u32 b : 17; u64 c : 33; u8 d; u32 e : 9; };
union mixed { u32 word; struct { u8 low, high; }; struct late *other; u64 wide[3]; };
struct deep { int x; union { struct { u8 p, q; }; u32 r; struct { u32 s : 4, t : 28; } u; }; struct { u64 v; } w[2][3]; };
enum __attribute__((packed)) small { SMALL_A, SMALL_B = 200 };
enum __attribute__((packed)) smaller { SMALLER_A, SMALLER_B = 100 };
enum __attribute__((mode(HI))) half { HALF_A, HALF_B = 300 };
enum __attribute__((packed)) halves { HALVES_A, HALVES_B = 0xfffe };
enum wide { WIDE_A = 1, WIDE_B = 0x1234567890ULL };
enum __attribute__((mode(word))) word { WORD_A = 1 };
enum minus { MINUS = -5, PLUS = 5 };
struct enums { enum small s; enum smaller t; enum half h; enum halves g; enum wide w; enum word x; enum minus m; enum { INNER_A, INNER_B } i; };
struct empty {};
struct holds_empty { struct empty e; u32 x; struct empty f[0]; };
struct pointers { const volatile char *const *restrict a; u32 (*b)[4]; u32 (*(*c)(u32))[2][3]; u32 *d[2][3]; };
struct __attribute__((aligned(16))) wider { u8 x; };
struct holds_wider { u8 a; struct wider w; u8 b; };
"""
NAMES = [*re.findall(r"^struct (?:__attribute__\S+ )?(\w+) {", SHAPES, re.MULTILINE), "node_s"]


def btf_of(clang, folder, text, variables, *flags):
    """The BTF that clang makes of C, whose types are in it by variables."""
    (folder / "in.c").write_text(text + "\n".join(variables))
    subprocess.run([*clang, "-target", "bpf", "-g", "-c", "-w", *flags, "in.c", "-o", "in.o"], cwd=folder, check=True)
    return Btf.parse(Elf.parse((folder / "in.o").read_bytes()).section(".BTF").data)


def test_each_shape_is_laid_out_as_the_btf_says(clang, tmp_path):
    variables = [f"struct {name} v_{name} __attribute__((weak));" for name in dict.fromkeys(NAMES)]
    variables += ["union mixed v_mixed __attribute__((weak));", "nameless_t v_nameless __attribute__((weak));"]
    btf = btf_of(clang, tmp_path, SHAPES, variables)
    wrong, count = check(btf, clang, tmp_path)
    assert (wrong, count > 60) == ([], True)
    text = header_of(btf)
    assert "struct pointers {\n\tvolatile const char * const * restrict a;\n\tu32 (*b)[4];\n" in text
    assert "\tu32 (* (*c)(u32))[2][3];\n\tu32 *d[2][3];\n};" in text
    assert "struct wire {\n\tu8 kind;\n\tu32 size;\n\tu64 when;\n\tu8 tail[0];\n} __attribute__((packed));" in text
    assert "enum smaller {\n\tSMALLER_A = 0,\n\tSMALLER_B = 100,\n} __attribute__((mode(byte)));" in text
    assert "\tWIDE_B = 78187493520ULL,\n};" in text and "MINUS = -5," in text


def test_a_struct_that_is_embedded_without_a_name_has_its_size(clang, tmp_path):
    """Linux 6.19 is compiled with -fms-extensions; the header must do without."""
    text = "struct tree { int id; void *node; };\nstruct common { char a; struct tree; int last; };\n"
    btf = btf_of(clang, tmp_path, text, ["struct common v __attribute__((weak));"], "-fms-extensions")
    assert check(btf, clang, tmp_path)[0] == []
    assert "\tstruct {\n\t\tint id;\n\t\tvoid *node;\n\t};\n" in header_of(btf)


def random_structs(seed, count):
    """Structs of members, bitfields and earlier structs, some packed, some aligned to more than they need."""
    pick = random.Random(seed)
    types = ["char", "short", "int", "long", "unsigned long long", "_Bool", "void *", "float"]
    lines = []
    for number in range(count):
        members = []
        for place in range(pick.randrange(1, 9)):
            kind = pick.choice(types if pick.random() < 0.8 or not number else [f"struct s{pick.randrange(number)}"])
            if kind in types[:5] and pick.random() < 0.35:
                width = {"char": 8, "short": 16, "int": 32}.get(kind, 64)
                members.append(f"{kind} m{place} : {pick.randrange(1, width + 1)};")
                continue
            array = pick.choice(["", "", "", "[3]", "[2][2]"])
            aligned = pick.choice([""] * 8 + [" __attribute__((aligned(8)))", " __attribute__((aligned(32)))"])
            members.append(f"{kind} m{place}{array}{aligned};")
        attribute = pick.choice(["", "", "", " __attribute__((packed))", " __attribute__((packed, aligned(2)))"])
        keyword = "union" if pick.random() < 0.1 else "struct"
        lines.append(f"struct s{number} {{ {keyword} {{ {' '.join(members)} }}{attribute}; }};"
                     if keyword == "union" else f"struct s{number} {{ {' '.join(members)} }}{attribute};")  # fmt: skip
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("seed", [1, 2])
def test_any_struct_is_laid_out_as_the_btf_says(clang, tmp_path, seed):
    variables = [f"struct s{number} v{number} __attribute__((weak));" for number in range(250)]
    btf = btf_of(clang, tmp_path, random_structs(seed, 250), variables)
    assert check(btf, clang, tmp_path)[0] == []


def read_header(btf):
    """The header of any BTF, or the error that it is."""
    try:
        return header_of(btf)
    except BtfError as error:
        assert "\n" not in error.what
        return ""


@pytest.mark.parametrize("gap, told", [(1 << 26, ""), ((1 << 32) - 32, "has structs with more than 8 MiB of padding")])
def test_a_struct_with_half_a_gigabyte_of_padding_is_refused_soon(gap, told):
    """Each word of padding is a line."""
    types = [(1, info(Kind.INT), 4, 32), (2, info(Kind.STRUCT, 2), gap // 8 + 4, 3, 1, 0, 4, 1, gap)]
    btf = Btf.parse(assemble(types, ("", "int", "far", "first", "last")))
    if told:
        with pytest.raises(BtfError, match=told):
            header_of(btf)
    else:
        assert header_of(btf).count("\tlong: 64;\n") == gap // 64 - 1


@given(edits=EDITS)
@settings(max_examples=150, deadline=None)
def test_damaged_btf_gives_a_header_or_an_error(sample, edits):
    try:
        btf = Btf.parse(mutate(Elf.parse(sample("bpfel")).section(".BTF").data, edits))
    except BtfError:
        return
    read_header(btf)


TYPES = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 3), st.sampled_from([Kind.PTR, Kind.TYPEDEF, Kind.CONST]).map(info), st.integers(0, 9)),
        st.tuples(st.integers(0, 3), st.just(info(Kind.STRUCT, 2)), st.integers(0, 64), st.integers(0, 9), st.integers(0, 9),
                  st.integers(0, 99), st.integers(0, 9), st.integers(0, 9), st.integers(0, 99)),
        st.tuples(st.just(0), st.just(info(Kind.FUNC_PROTO, 2)), st.integers(0, 9), *[st.integers(0, 9)] * 4),
        st.tuples(st.just(0), st.just(info(Kind.ARRAY)), st.just(0), st.integers(0, 9), st.integers(0, 9), st.integers(0, 3)),
        st.tuples(st.integers(0, 3), st.just(info(Kind.ENUM, 1)), st.sampled_from([1, 2, 4, 8]), st.integers(0, 9), st.integers(0, 300)),
    ),
    min_size=9, max_size=9,
)  # fmt: skip


@given(TYPES)
@settings(max_examples=100, deadline=None)
def test_types_in_any_tangle_give_a_header_or_an_error(types):
    read_header(Btf.parse(assemble([(*row,) for row in types], ("", "a", "b", "longer"))))


@pytest.mark.parametrize("width", [40, 400])
def test_types_that_are_shared_in_many_ways_end_soon(width):
    """A prototype that takes the next one twice, and so on, is 2^40 declarations; structs without names likewise."""
    chain = [(0, info(Kind.FUNC_PROTO, 2), 0, 0, 2 * at + 4, 0, 2 * at + 4) if not each else (0, info(Kind.PTR), 2 * at + 1)
             for at in range(width) for each in (0, 1)]  # fmt: skip
    chain = [*chain[:-2], (0, info(Kind.FUNC_PROTO), 0), (1, info(Kind.TYPEDEF), 1)]
    with pytest.raises(BtfError, match="too many parts to be written as C|too deeply|in too many ways"):
        header_of(Btf.parse(assemble(chain, ("", "deep"))))
    structs = [(0, info(Kind.STRUCT, 2), 8, 0, at + 2, 0, 0, at + 2, 0) for at in range(width)]
    structs = [*structs, (0, info(Kind.STRUCT), 0), (1, info(Kind.STRUCT, 1), 8, 0, 1, 0)]
    with pytest.raises(BtfError, match="too many parts to be written as C|too deeply|in too many ways"):
        header_of(Btf.parse(assemble(structs, ("", "deep"))))


def test_a_struct_that_contains_itself_is_refused():
    with pytest.raises(BtfError, match=r"has type \[1\] loop, which contains itself"):
        header_of(Btf.parse(assemble([(1, info(Kind.STRUCT, 1), 8, 1, 1, 0)], ("", "loop"))))


def test_a_module_s_header_has_its_types_and_its_kernel_s(clang, tmp_path):
    kernel = btf_of(clang, tmp_path, SHAPES, ["struct wire v __attribute__((weak));", "node_t n __attribute__((weak));"])
    at = kernel.strings_end
    rows = [(0, info(Kind.STRUCT, 2), 24, at + 4, kernel.find("wire").id, 0, at + 9, len(kernel) + 1, 128),
            (None, info(Kind.PTR), kernel.find("node_s").id)]  # fmt: skip
    module = Btf.parse(assemble(rows, ("mod", "wire", "node"), at=at), base=kernel)
    wrong, _count = check(module, clang, tmp_path)
    assert wrong == []
    assert "struct mod {\n\tstruct wire wire;\n\tstruct node_s *node;\n};" in header_of(module)


@pytest.mark.slow
@needs_kernel
def test_this_kernel_s_header(clang, tmp_path):
    """Each struct and union of the running kernel; the same declarations as bpftool's, where that is installed."""
    btf = Btf.parse(KERNEL.read_bytes(), pointer=None)
    wrong, count = check(btf, clang, tmp_path, step=100)
    assert (wrong, count > 20_000) == ([], True)
    if tool := shutil.which("bpftool"):
        command = [tool, "btf", "dump", "file", str(KERNEL), "format", "c"]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        assert declared(said) - declared((tmp_path / "vmlinux.h").read_text()) == set()


def declared(header):
    """The names of the structs, unions, enums and typedefs that a header defines."""
    ends = [line for line in header.splitlines() if line.startswith(("typedef", "} ")) and line.endswith(";")]
    names = [re.search(r"\(\*(\w+)\)\(|(\w+)(?:\[\d+\])*;$", line) for line in ends]
    tags = re.findall(r"^(struct|union|enum) (\w+) {", header, re.MULTILINE)
    return {*tags, *(("typedef", each[1] or each[2]) for each in names if each)}
