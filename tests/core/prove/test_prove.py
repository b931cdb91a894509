"""prove: planted differences are told by name, and an object equals itself."""

import json
import re

import pytest
from ebpfbuild.elf.strip import strip_dwarf
from ebpfbuild.prove.objects import PROVABLE_MODES, Verdict, prove


def planted(says, header=(), program=(), flags=(), **modes):
    """An edit of kernel.h and of prog.bpf.c and what the verdict says of it; None for a mode that may not mind."""
    return header, program, flags, dict.fromkeys(PROVABLE_MODES, says) | modes


SOCK_PROTO = [("struct proto *proto", "struct net *proto")]
NET = "struct net {\n\tint ifindex;\n\tstruct proto *first;\n};\n"
UNTOUCHED = "struct untouched {\n\tint one;\n\tint two;\n};\n"
BY_NAME = "an anonymous struct in a union != an anonymous union in a union"
REUSE, IPV6ONLY = "\tunsigned int reuse : 4;\n", "\tunsigned int ipv6only : 1;\n"
KSYM = ' __attribute__((section(".ksyms"), weak))'
PLANTED = {
    "dropped member": planted(
        "struct sock: member more is in the minimized object only",
        [("\tint family;\n", "\tint family;\n\tint more;\n")],
    ),
    "dropped member of a map's value": planted("map flows: value size 48 != 32", [("\tchar names[2][8];\n", "")]),
    "wrong arch": planted(
        "field_byte_offset of struct pt_regs: di != +0x28: field_byte_offset of struct pt_regs: si",
        flags=["-D__TARGET_ARCH_arm64"],
    ),
    "resized array": planted("struct sock.backlog: length 4 != 5", [("backlog[4]", "backlog[5]")]),
    "missing enumerator": planted(
        "enum state: enumerator STATE_OPEN = 1 != STATE_CLOSED = 7", [("\tSTATE_OPEN = 1,\n", "")]
    ),
    "changed enumerator": planted(
        "enum state: enumerator STATE_CLOSED = 7 != STATE_CLOSED = 6", [("STATE_CLOSED = 7", "STATE_CLOSED = 6")]
    ),
    "wrong signedness": planted(
        "struct sock.family: int != unsigned int", [("\tint family;", "\tunsigned int family;")]
    ),
    "bitfield width": planted("struct sock: member ipv6only has 1 bits != 2", [("ipv6only : 1", "ipv6only : 2")]),
    "changed typedef": planted(
        "count_t: long != unsigned long", [("typedef long count_t", "typedef unsigned long count_t")]
    ),
    "dropped const": planted(
        "struct sock.net: const volatile struct net != volatile struct net",
        [("const volatile struct net *net", "volatile struct net *net")],
    ),
    "dropped volatile": planted(
        "struct sock.net: volatile struct net != struct net",
        [("const volatile struct net *net", "const struct net *net")],
        exact="struct sock.net: const volatile struct net * and const struct net * are one type: const struct net *",
    ),
    "changed pointee": planted(
        "struct sock.proto: struct proto != struct net", SOCK_PROTO, [("sk->proto->inuse", "sk->proto->ifindex")]
    ),
    "packed attribute missing": planted("struct tuple: size 7 != 8", [(" __attribute__((packed))", "")]),
    "reordered members": planted(
        "struct net: its members are in another order",
        [("\tint ifindex;\n\tstruct proto *first;", "\tstruct proto *first;\n\tint ifindex;")],
        fields=None,
    ),
    "union instead of struct": planted(
        "struct lock: struct {...} != union {...}",
        [("\t\tstruct {\n", "\t\tunion {\n")],
        fields=f"struct lock: member pending lies in {BY_NAME}",
    ),
    "changed function prototype": planted(
        "bpf_sock_check argument 2: unsigned int != long",
        [("sock_check(struct sock *sk, unsigned int", "sock_check(struct sock *sk, long")],
    ),
    "renamed type": planted(
        "struct sock.lock: struct lock != struct look",
        [("struct lock {", "struct look {"), ("struct lock lock", "struct look lock")],
    ),
    "map's max_entries": planted(
        "map flows: max_entries 1024 != 2048", program=[("max_entries, 1024", "max_entries, 2048")]
    ),
    "map's type": planted("map totals: type 2 != 1", program=[("type, BPF_MAP_TYPE_ARRAY", "type, BPF_MAP_TYPE_HASH")]),
    "map's value": planted("map totals: value size 8 != 4", program=[("__type(value, long)", "__type(value, int)")]),
    "map's value of the same size": planted(
        "map totals: value: long != unsigned long", program=[("__type(value, long)", "__type(value, unsigned long)")]
    ),
    "section name": planted(
        "section kprobe/tcp_connect is missing in the minimized object",
        program=[("kprobe/tcp_connect", "kprobe/tcp_v4_connect")],
    ),
    "global initialiser": planted(
        "section .rodata: byte 0 (limit) differs: 05000000 != 06000000", program=[("limit = 5", "limit = 6")]
    ),
    "global's type": planted(
        "variable limit: int != unsigned int", program=[("const volatile int limit", "const volatile unsigned limit")]
    ),
    "CO-RE kind": planted(
        "field_exists of struct sock: family != +0x128: field_signed of struct sock: family",
        program=[("(sk->family, 2)", "(sk->family, 3)")],
    ),
    "CO-RE path": planted(
        "field_byte_offset of struct sock: backlog[2] != +0xf0: field_byte_offset of struct sock: backlog[3]",
        program=[("sk->backlog[2]", "sk->backlog[3]")],
    ),
    "type that an id names": planted(
        "type_id_local of struct flow != +0x2b8: type_id_local of struct lock",
        program=[("btf_type_id(*(struct flow *)0", "btf_type_id(*(struct lock *)0")],
    ),
    "line moved": planted(
        "section kprobe/tcp_connect: line of +0x0 differs: ./prog.bpf.c:41:0",
        program=[('SEC("kprobe', '\nSEC("kprobe')],
    ),
    "constant in the code": planted(
        "section kprobe/tcp_connect: instruction", program=[("bpf_sock_check(sk, limit)", "bpf_sock_check(sk, 9)")]
    ),
    "static function made global": planted(
        "weigh: linkage 0 != 1", program=[("static __noinline int weigh", "__noinline int weigh")]
    ),
    "aligned attribute": planted(
        "struct load: size 16 != 32",
        [("\tunsigned int inverse;\n};", "\tunsigned int inverse;\n} __attribute__((aligned(32)));")],
        fields=None,  # only CO-RE looks into load
    ),
    "aligned attribute of a map's value": planted(
        "map flows: value size 48 != 64",
        [("\tconst struct net *net;\n};", "\tconst struct net *net;\n} __attribute__((aligned(32)));")],
    ),
    "bitfield moved": planted(
        "struct sock: member ipv6only lies at bit 132 != 128",
        [(f"{REUSE}{IPV6ONLY}", f"{IPV6ONLY}{REUSE}")],
        fields="section kprobe/tcp_connect: instruction",  # its shifts are computed from the local struct
    ),
    "bitfield moved in a map's value": planted(
        "struct flow: member kind lies at bit 256 != 258", [("\tint kind : 5;", "\tint : 2;\n\tint kind : 5;")]
    ),
    "union's members in another order": planted(
        "struct lock: its members are in another order",
        [("\t\tint slock;\n", ""), ("\t\t};\n\t};\n};", "\t\t};\n\t\tint slock;\n\t};\n};")],
        fields=None,  # CO-RE finds them by name
    ),
    "pointer instead of value": planted(
        "struct sock.lock: struct lock != struct lock *",
        [("\tstruct lock lock;", "\tstruct lock *lock;")],
        [("sk->lock.pending", "sk->lock->pending")],
    ),
    "value instead of pointer": planted(
        "struct net.first: struct proto * != long", [("\tstruct proto *first;", "\tlong first;")]
    ),
    "typedef of another width": planted("count_t: long != int", [("typedef long count_t", "typedef int count_t")]),
    "kfunc's result": planted(
        "bpf_sock_check result: int != long", [("extern int bpf_sock_check", "extern long bpf_sock_check")]
    ),
    "kfunc's pointee": planted(
        "bpf_sock_check argument 1: struct sock != struct net",
        [("check(struct sock *sk,", "check(struct net *sk,")],
        [("bpf_sock_check(sk, limit)", "bpf_sock_check((void *)sk, limit)")],
    ),
    "dropped __ksym": planted(
        "BTF of section .ksyms (bpf_sock_check) is missing in the minimized object", [(KSYM, " __attribute__((weak))")]
    ),
    "function pointer's parameter": planted(
        "struct proto.connect argument 3: int != long", [("address, int length", "address, long length")]
    ),
    "enum of another width": planted(
        "enum state != enum state", [("\tSTATE_LAST = 8,", "\tSTATE_LAST = 8,\n\tSTATE_HUGE = 0x100000000,")]
    ),
    "bool instead of a byte": planted(
        "struct tuple.kind: unsigned char != _Bool", [("\tunsigned char kind;", "\t_Bool kind;")]
    ),
    "member without CO-RE": planted(
        "CO-RE: .text +0x10: field_byte_offset of struct tuple: port != nothing",
        [
            ("#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)\n", ""),
            ("#pragma clang attribute pop\n", ""),
        ],
    ),
    "map dropped": planted(
        "section .maps: totals: 32 bytes at 0 != nothing", program=[('totals SEC(".maps")', 'totals SEC(".bss")')]
    ),
    "map's key": planted(
        "map flows: key: struct tuple != struct load",
        program=[("__type(key, struct tuple)", "__type(key, struct load)")],
    ),
    "map's new property": planted(
        "map totals: member pinning is in the minimized object only",
        program=[("\t__uint(max_entries, 1);", "\t__uint(max_entries, 1);\n\t__uint(pinning, 1);")],
    ),
    "licence": planted("section license: byte 0 (LICENSE) differs", program=[('"GPL"', '"BSD"')]),
    "const of a global": planted(
        "section .rodata is missing in the minimized object",
        program=[("const volatile int limit", "volatile int limit")],
    ),
    "kind of a type id": planted(
        "type_id_local of struct flow != +0x2b8: type_id_target of struct flow",
        program=[("btf_type_id(*(struct flow *)0, 0)", "btf_type_id(*(struct flow *)0, 1)")],
    ),
    "CO-RE kind of a type": planted(
        "type_exists of struct net != +0x2e0: type_size of struct net",
        program=[("type_info(*(struct net *)0, 0)", "type_info(*(struct net *)0, 1)")],
    ),
    "CO-RE kind of an enumerator": planted(
        "enumval_value of enum state: STATE_LAST != +0x2c8: enumval_exists of enum state: STATE_LAST",
        program=[("STATE_LAST, 1)", "STATE_LAST, 0)")],
    ),
    "function's name": planted(
        "function on_connect in section kprobe/tcp_connect: starts at 0x0 != nowhere",
        program=[("int on_connect", "int at_connect")],
    ),
    "parameter's name": planted(
        "on_connect: parameter names ['regs'] != ['context']",
        program=[("pt_regs *regs)", "pt_regs *context)"), ("regs->FIRST", "context->FIRST")],
    ),
    "declared only": planted(
        "struct untouched != a declared struct untouched", [(UNTOUCHED, "")], lean=None, fields=None
    ),
    "declared only, but CO-RE asks for it": planted("struct net != a declared struct net", [(NET, "struct net;\n")]),
}


@pytest.mark.parametrize("mode", PROVABLE_MODES)
@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_difference_is_told_by_name(prove_object, name, mode):
    header, program, flags, expected = PLANTED[name]
    verdict = prove(prove_object(), prove_object(header, program, flags=flags), mode)
    if expected[mode] is None:
        assert verdict == Verdict(mode, True)
        return
    assert not verdict.equal
    texts = [re.sub(r" \([0-9:]+\)", "", text) for text in verdict.differences]  # exact shows accesses in numbers, too
    assert any(expected[mode] in text for text in texts), texts


@pytest.mark.parametrize("mode", PROVABLE_MODES)
@pytest.mark.parametrize("target", ["bpfel", "bpfeb"])
def test_an_object_equals_itself_with_or_without_dwarf(prove_object, sample, target, mode):
    for data in (prove_object(target=target), sample(target)):
        assert prove(data, strip_dwarf(data), mode) == Verdict(mode, True)


def test_objects_of_two_byte_orders_differ(prove_object):
    verdict = prove(prove_object(), prove_object(target="bpfeb"), "lean")
    assert "the objects are of different targets" in verdict.differences


def test_a_verdict_is_small_sorted_json_that_reads_back(prove_object):
    verdict = prove(prove_object(), prove_object([(UNTOUCHED, "")]), "exact")
    text = verdict.to_json()
    assert Verdict.from_json(text) == verdict
    assert list(json.loads(text)) == sorted(json.loads(text))
    assert text == prove(prove_object(), prove_object([(UNTOUCHED, "")]), "exact").to_json()
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


def test_a_mode_that_there_is_not(prove_object):
    with pytest.raises(ValueError, match="'off' is none of exact, lean, fields"):
        prove(prove_object(), prove_object(), "off")


@pytest.mark.parametrize("mode", PROVABLE_MODES)
def test_objects_without_btf_are_compared_by_the_rest(compile_bpf, mode):
    sources = (f'#include "mini_bpf.h"\nSEC("xdp") int f(void *ctx) {{ return {number}; }}' for number in (2, 3))
    two, three = (compile_bpf(source, flags=("-g0",)) for source in sources)
    with_btf = compile_bpf('#include "mini_bpf.h"\nSEC("xdp") int f(void *ctx) { return 2; }')
    assert prove(two, two, mode) == Verdict(mode, True)
    assert "instruction 0 differs" in prove(two, three, mode).differences[0]
    assert "BTF is in the full object only" in prove(with_btf, two, mode).differences
    assert "BTF is in the minimized object only" in prove(two, with_btf, mode).differences


@pytest.mark.parametrize("target", ["bpfel", "bpfeb"])
@pytest.mark.parametrize("mode", PROVABLE_MODES)
def test_an_object_with_nothing_in_it_is_proven(compile_bpf, mode, target):
    """clang drops what is static and unused, and without it writes no BTF."""
    static = '#include "mini_bpf.h"\n'
    static += '__attribute__((unused)) static inline int unused_(int a) { return a; }\n'
    data = [compile_bpf(source, target) for source in (static, '#include "mini_bpf.h"\n')]
    for one in data:
        for other in data:
            assert prove(one, other, mode) == Verdict(mode, True)
    assert not prove(data[0], compile_bpf(static + "int a;\n", target), mode).equal
