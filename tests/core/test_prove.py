"""prove: twenty planted differences and more are told by name; what only looks different is not one."""

import itertools
import json
import random
import re
import struct
import time
from pathlib import Path

import pytest
from ebpfbuild.btf import Btf
from ebpfbuild.btf_types import LAYOUTS, REFERS, Kind
from ebpfbuild.btfext import CoreKind
from ebpfbuild.elf import Elf
from ebpfbuild.elf_strip import strip_dwarf
from ebpfbuild.errors import BtfError, ElfError
from ebpfbuild.prove import MODES, Verdict, prove
from fuzzing import EDITS, mutate
from hypothesis import assume, given, settings
from hypothesis import strategies as st

TESTDATA = Path(__file__).parents[1] / "testdata" / "prove"
HEADER = (TESTDATA / "kernel.h").read_text()
PROGRAM = (TESTDATA / "prog.bpf.c").read_text()


@pytest.fixture(scope="session")
def built(compile_bpf):
    """A function (edits of the header, edits of the program, target, flags) -> the object."""

    def build(header=(), program=(), target="bpfel", flags=()):
        texts = []
        for text, edits in ((HEADER, header), (PROGRAM, program)):
            for old, new in edits:
                assert text.count(old) == 1, old
                text = text.replace(old, new)
            texts.append(text)
        return compile_bpf(texts[1], target, flags, headers={"kernel.h": texts[0]})

    return build


# name: (header edits, program edits, flags, {mode: what its verdict says}, or None for a mode that may not mind)
EVERY = MODES
PLANTED = {
    "dropped member": ([("\tint family;\n", "\tint family;\n\tint more;\n")], [], (), {
        "exact": "struct sock: member more is in the minimized object only",
        "lean": "struct sock: member more is in the minimized object only",
        "fields": "struct sock: member more is in the minimized object only",
    }),
    "dropped member of a map's value": ([("\tchar names[2][8];\n", "")], [], (), dict.fromkeys(
        EVERY, "map flows: value size 48 != 32")),
    "wrong arch": ([], [], ("-D__TARGET_ARCH_arm64",), dict.fromkeys(
        EVERY, "field_byte_offset of struct pt_regs: di != +0x28: field_byte_offset of struct pt_regs: si")),
    "resized array": ([("backlog[4]", "backlog[5]")], [], (), dict.fromkeys(
        EVERY, "struct sock.backlog: length 4 != 5")),
    "missing enumerator": ([("\tSTATE_OPEN = 1,\n", "")], [], (), dict.fromkeys(
        EVERY, "enum state: enumerator STATE_OPEN = 1 != STATE_CLOSED = 7")),
    "changed enumerator": ([("STATE_CLOSED = 7", "STATE_CLOSED = 6")], [], (), dict.fromkeys(
        EVERY, "enum state: enumerator STATE_CLOSED = 7 != STATE_CLOSED = 6")),
    "wrong signedness": ([("\tint family;", "\tunsigned int family;")], [], (), dict.fromkeys(
        EVERY, "struct sock.family: int != unsigned int")),
    "bitfield width": ([("ipv6only : 1", "ipv6only : 2")], [], (), dict.fromkeys(
        EVERY, "struct sock: member ipv6only has 1 bits != 2")),
    "changed typedef": ([("typedef long count_t", "typedef unsigned long count_t")], [], (), dict.fromkeys(
        EVERY, "count_t: long != unsigned long")),
    "dropped const": ([("const volatile struct net *net", "volatile struct net *net")], [], (), dict.fromkeys(
        EVERY, "struct sock.net: const volatile struct net != volatile struct net")),
    "changed pointee": ([("struct proto *proto", "struct net *proto")], [("sk->proto->inuse", "sk->proto->ifindex")], (),
        dict.fromkeys(EVERY, "struct sock.proto: struct proto != struct net")),
    "packed attribute missing": ([(" __attribute__((packed))", "")], [], (), dict.fromkeys(
        EVERY, "struct tuple: size 7 != 8")),
    "reordered members": ([("\tint ifindex;\n\tstruct proto *first;", "\tstruct proto *first;\n\tint ifindex;")], [], (), {
        "exact": "struct net: its members are in another order",
        "lean": "struct net: its members are in another order",
        "fields": None,  # CO-RE finds them by name
    }),
    "union instead of struct": ([("\t\tstruct {\n", "\t\tunion {\n")], [], (), dict.fromkeys(
        EVERY, "struct lock: struct {...} != union {...}") | {
        "fields": "struct lock: member pending lies in an anonymous struct in a union != an anonymous union in a union"}),
    "changed function prototype": ([("sock_check(struct sock *sk, unsigned int", "sock_check(struct sock *sk, long")], [],
        (), dict.fromkeys(EVERY, "bpf_sock_check argument 2: unsigned int != long")),
    "renamed type": ([("struct lock {", "struct look {"), ("struct lock lock", "struct look lock")], [], (), dict.fromkeys(
        EVERY, "struct sock.lock: struct lock != struct look")),
    "map's max_entries": ([], [("max_entries, 1024", "max_entries, 2048")], (), dict.fromkeys(
        EVERY, "map flows: max_entries 1024 != 2048")),
    "map's type": ([], [("type, BPF_MAP_TYPE_ARRAY", "type, BPF_MAP_TYPE_HASH")], (), dict.fromkeys(
        EVERY, "map totals: type 2 != 1")),
    "map's value": ([], [("__type(value, long)", "__type(value, int)")], (), dict.fromkeys(
        EVERY, "map totals: value size 8 != 4")),
    "map's value of the same size": ([], [("__type(value, long)", "__type(value, unsigned long)")], (), dict.fromkeys(
        EVERY, "map totals: value: long != unsigned long")),
    "section name": ([], [("kprobe/tcp_connect", "kprobe/tcp_v4_connect")], (), dict.fromkeys(
        EVERY, "section kprobe/tcp_connect is missing in the minimized object")),
    "global initialiser": ([], [("limit = 5", "limit = 6")], (), dict.fromkeys(
        EVERY, "section .rodata: byte 0 (limit) differs: 05000000 != 06000000")),
    "global's type": ([], [("const volatile int limit", "const volatile unsigned limit")], (), dict.fromkeys(
        EVERY, "variable limit: int != unsigned int")),
    "CO-RE kind": ([], [("(sk->family, 2)", "(sk->family, 3)")], (), dict.fromkeys(
        EVERY, "field_exists of struct sock: family != +0x128: field_signed of struct sock: family")),
    "CO-RE path": ([], [("sk->backlog[2]", "sk->backlog[3]")], (), dict.fromkeys(
        EVERY, "field_byte_offset of struct sock: backlog[2] != +0xf0: field_byte_offset of struct sock: backlog[3]")),
    "type that an id names": ([], [("btf_type_id(*(struct flow *)0", "btf_type_id(*(struct lock *)0")], (), dict.fromkeys(
        EVERY, "type_id_local of struct flow != +0x2b8: type_id_local of struct lock")),
    "line moved": ([], [("SEC(\"kprobe", "\nSEC(\"kprobe")], (), dict.fromkeys(
        EVERY, "section kprobe/tcp_connect: line of +0x0 differs: ./prog.bpf.c:41:0")),
    "constant in the code": ([], [("bpf_sock_check(sk, limit)", "bpf_sock_check(sk, 9)")], (), dict.fromkeys(
        EVERY, "section kprobe/tcp_connect: instruction")),
    "static function made global": ([], [("static __noinline int weigh", "__noinline int weigh")], (), dict.fromkeys(
        EVERY, "weigh: linkage 0 != 1")),
    "declared only": ([("struct untouched {\n\tint one;\n\tint two;\n};\n", "")], [], (), {
        "exact": "struct untouched != a declared struct untouched", "lean": None, "fields": None}),
    "type that CO-RE asks for is declared only": (
        [("struct net {\n\tint ifindex;\n\tstruct proto *first;\n};\n", "struct net;\n")], [], (), dict.fromkeys(
            EVERY, "struct net != a declared struct net")),
}  # fmt: skip


@pytest.mark.parametrize(("name", "mode"), list(itertools.product(PLANTED, MODES)))
def test_a_planted_difference_is_told_by_name(built, name, mode):
    header, program, flags, expected = PLANTED[name]
    verdict = prove(built(), built(header, program, flags=flags), mode)
    if expected[mode] is None:
        assert verdict == Verdict(mode, True)
        return
    assert not verdict.equal
    texts = [re.sub(r" \([0-9:]+\)", "", text) for text in verdict.differences]  # exact shows accesses in numbers, too
    assert any(expected[mode] in text for text in texts), texts


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("target", ["bpfel", "bpfeb"])
def test_an_object_equals_itself_with_or_without_dwarf(built, sample, target, mode):
    for data in (built(target=target), sample(target)):
        assert prove(data, strip_dwarf(data), mode) == Verdict(mode, True)


def test_objects_of_two_byte_orders_differ(built):
    assert "the objects are of different targets" in prove(built(), built(target="bpfeb"), "lean").differences


def renumbered(data, seed):
    """The object with its BTF types in another order, and every number of a type changed to match."""
    elf = Elf.parse(data)
    section, ext = elf.section(".BTF"), elf.section(".BTF.ext")
    btf, out = Btf.parse(section.data), bytearray(data)
    order = random.Random(seed).sample(range(1, len(btf)), len(btf) - 1)
    place = {old: new for new, old in enumerate(order, 1)} | {0: 0}
    starts = [kind.at - 3 for kind in btf] + [len(btf.words)]
    words = []
    for old in order:
        row = list(btf.words[starts[old - 1] : starts[old]])
        layout, kind = LAYOUTS[btf[old].kind], btf[old].kind
        for index in [2] * (kind in REFERS) + [
            at for column in layout.types for at in range(3 + column, len(row), layout.each or layout.fixed)
        ]:
            row[index] = place[row[index]]
        words += row
    struct.pack_into(f"{elf.order}{len(words)}I", out, section.offset + 24, *words)
    _, funcs, _, _, _, cores, size = struct.unpack_from(elf.order + "7I", ext.data, 4)
    assert size
    for start, width, field in ((funcs, 8, 1), (cores, 16, 1)):
        at = 32 + start + 4
        end = 32 + (cores + size if start == cores else funcs + struct.unpack_from(elf.order + "I", ext.data, 12)[0])
        while at < end:
            name, count = struct.unpack_from(elf.order + "II", ext.data, at)
            at += 8
            for row in range(at, at + count * width, width):
                offset, number = struct.unpack_from(elf.order + "II", ext.data, row)
                struct.pack_into(elf.order + "I", out, ext.offset + row + 4 * field, place[number])
                kind = struct.unpack_from(elf.order + "I", ext.data, row + 12)[0] if width == 16 else 0
                if kind in (CoreKind.TYPE_ID_LOCAL, CoreKind.TYPE_ID_TARGET):
                    code = elf.section(btf.string(name)).offset + offset + 4
                    struct.pack_into(elf.order + "I", out, code, place[number])
            at += count * width
    return bytes(out)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("target", ["bpfel", "bpfeb"])
def test_the_numbers_of_the_types_do_not_count(built, sample, target, seed, mode):
    for data in (strip_dwarf(built(target=target)), strip_dwarf(sample(target))):
        other = renumbered(data, seed)
        assert other != data
        assert prove(data, other, mode) == Verdict(mode, True)
        assert prove(other, renumbered(data, seed + 100), mode).equal


# Members that the program never names, and that fields may therefore drop.
DROPPED = [
    ("\t__be32 saddr;\n", ""),
    ("\tunsigned short dport;\n", ""),
    ("\tconst volatile struct net *net;\n\tenum", "\tenum"),
    ("\tint (*connect)(struct sock *sk, const char *address, int length);\n", ""),
    ("\tunsigned long si;\n\tunsigned long ax;\n", ""),
]


def test_fields_may_lack_what_only_core_looks_at(built):
    full, small = built(), built(DROPPED)
    assert prove(full, small, "fields") == Verdict("fields", True)
    for mode in ("exact", "lean"):
        verdict = prove(full, small, mode)
        assert "struct sock: member net is missing in the minimized object" in verdict.differences
        assert {"sock", "common", "proto"} <= set(verdict.types)


def test_lean_may_declare_what_nobody_looks_into(built):
    untouched = ("struct untouched {\n\tint one;\n\tint two;\n};\n", "")
    assert prove(built(), built([untouched]), "lean").equal
    assert prove(built([untouched]), built(), "lean").differences == (
        "variable never: a declared struct untouched != struct untouched",
    )


# What `fields` risks: each reads sock or net as a whole, so that dropping a member of it changes code or meaning.
TRAPS = {
    "bitfield after a dropped one": "last.bytes += sk->ipv6only;",
    "pointer arithmetic": "struct sock *next = sk + 1; last.bytes += next->family;",
    "pointer difference": "last.bytes += (struct sock *)last.bytes - sk;",
    "sizeof": "last.bytes += sizeof(struct sock);",
    "typeof a member": "typeof(sk->common) copy; bpf_probe_read_kernel(&copy, sizeof(copy), sk); last.bytes = copy.num;",
    "variable index": "last.bytes += sk->loads[last.bytes & 7].inverse;",
    "struct copied": "struct common copy = sk->common; last.bytes += copy.num + copy.daddr;",
    "type matches": "last.bytes += __builtin_preserve_type_info(*(struct sock *)0, 2);",
    "local type id": "last.bytes += __builtin_btf_type_id(*(struct sock *)0, 0);",
    "offsetof": "last.bytes += __builtin_offsetof(struct sock, family);",
}


@pytest.mark.parametrize("name", TRAPS)
def test_fields_tells_a_use_that_needs_the_whole_struct(built, name):
    use = [("\tif (bpf_sock_check)\n", f"\t{TRAPS[name]}\n\tif (bpf_sock_check)\n")]
    more = [("\tunsigned long weight;\n", "\tunsigned long weight;\n\tlong more;\n")]
    verdict = prove(built(more, use), built([*DROPPED, ("\tunsigned int reuse : 4;\n", "")], use), "fields")
    assert not verdict.equal
    assert "sock" in verdict.types or "common" in verdict.types, verdict


def test_a_kfuncs_pointer_must_point_to_what_the_full_header_defines(compile_bpf):
    text = """#include "mini_bpf.h"
    struct task { int pid; };
    extern void check(struct task *task) __ksym;
    SEC("tp_btf/x") int f(void *ctx) { check(ctx); return 0; }
    char LICENSE[] SEC("license") = "GPL";"""
    full, small = compile_bpf(text), compile_bpf(text.replace("struct task { int pid; };", "struct task;"))
    assert prove(full, small, "lean").differences == ("check argument 1: struct task != a declared struct task",)


GRAPH = """#include "mini_bpf.h"
struct node { long rank; struct node *next; };
struct task { int pid; };
struct holder {
	struct task __attribute__((btf_type_tag("kptr"))) *task;
	long head __attribute__((btf_decl_tag("contains:node:next")));
};
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 1); __type(key, int); __type(value, struct holder); } m SEC(".maps");
struct node *first;
SEC("tp_btf/x") int f(void *ctx) { return bpf_map_lookup_elem(&m, ctx) == first; }
char LICENSE[] SEC("license") = "GPL";
"""


@pytest.mark.parametrize(
    ("edit", "difference"),
    [
        (("struct task { int pid; };", "struct task;"), "struct holder.task: struct task != a declared struct task"),
        (("{ long rank; struct", "{ int rank; struct"), "struct node.rank: long != int"),
        (
            ("contains:node:next", "contains:node:rank"),
            "struct holder: tag 'contains:node:next' of head is in one object only",
        ),
    ],
)
@pytest.mark.parametrize("mode", MODES)
def test_what_the_kernel_reads_in_a_maps_value(compile_bpf, mode, edit, difference):
    verdict = prove(compile_bpf(GRAPH), compile_bpf(GRAPH.replace(*edit)), mode)
    assert difference in verdict.differences


def test_a_verdict_is_small_sorted_json_that_reads_back(built):
    verdict = prove(built(), built(DROPPED), "exact")
    text = verdict.to_json()
    assert Verdict.from_json(text) == verdict
    assert list(json.loads(text)) == sorted(json.loads(text))
    assert text == prove(built(), built(DROPPED), "exact").to_json()
    for broken in ("", "{}", "[]", '{"mode": 1, "equal": 2, "differences": 3, "types": 4}'):
        with pytest.raises(ValueError):
            Verdict.from_json(broken)


def test_many_differences_are_counted(compile_bpf):
    def program(size):
        globals_ = "\n".join(f"char value_{index}[{size}];" for index in range(80))
        return f'#include "mini_bpf.h"\n{globals_}\nchar LICENSE[] SEC("license") = "GPL";'

    verdict = prove(compile_bpf(program(4)), compile_bpf(program(5)), "lean")
    assert len(verdict.differences) == 51
    assert re.fullmatch("and [0-9]+ more", verdict.differences[-1])


def test_a_mode_that_there_is_not(built):
    with pytest.raises(ValueError, match="'off' is none of exact, lean, fields"):
        prove(built(), built(), "off")


def test_an_object_without_btf_is_told(compile_bpf):
    data = compile_bpf('#include "mini_bpf.h"\nSEC("xdp") int f(void *ctx) { return 2; }', flags=("-g0",))
    with pytest.raises(ElfError, match="full: has no BTF"):
        prove(data, data, "exact")


@given(word=st.integers(0, 10**6), bit=st.integers(0, 31))
@settings(max_examples=150, deadline=None)
def test_a_flipped_bit_of_a_type_is_a_difference_or_an_error(built, word, bit):
    """Any word that BTF gives a meaning; ARRAY's third has none, nor have an integer's highest bits."""
    data = strip_dwarf(built())
    section = Elf.parse(data).section(".BTF")
    btf = Btf.parse(section.data)
    meant = [
        index
        for kind in btf
        for index in range(kind.at - 1, kind.at + LAYOUTS[kind.kind].fixed + LAYOUTS[kind.kind].each * kind.count)
        if not (kind.kind == Kind.ARRAY and index == kind.at - 1) and not (kind.kind == Kind.INT and index == kind.at)
    ]
    out, chosen = bytearray(data), meant[word % len(meant)]
    new = btf.words[chosen] ^ 1 << bit
    assume(btf.words[chosen] or btf.strings[new : new + 1] != b"\0")  # from one empty name to another
    struct.pack_into("<I", out, section.offset + 24 + 4 * chosen, new)
    try:
        assert not prove(data, bytes(out), "exact").equal
    except BtfError:
        pass


@given(edits=EDITS, part=st.sampled_from(("all", ".BTF", ".BTF.ext", ".symtab")), mode=st.sampled_from(MODES))
@settings(max_examples=250, deadline=None)
def test_a_damaged_object_gives_an_error_or_a_verdict(built, edits, part, mode):
    data = strip_dwarf(built())
    section = Elf.parse(data).section(part)
    start, size = (section.offset, section.size) if section else (0, len(data))
    damaged = mutate(data[start : start + size], edits)
    damaged = damaged[:size].ljust(size, b"\0") if section else damaged
    started = time.monotonic()
    for pair in ((data, damaged), (damaged, data)):
        other = [data[:start] + each + data[start + size :] if each is damaged else each for each in pair]
        try:
            prove(*other, mode).to_json()
        except (ElfError, BtfError):
            pass
    assert time.monotonic() - started < 2
