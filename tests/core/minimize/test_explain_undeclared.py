"""What a compile that failed is told beside clang's words: what libbpf's headers declare, and what was meant."""

from pathlib import Path

import pytest
from ebpfbuild.arch import arch_named
from ebpfbuild.compile.args import CompileArgs
from ebpfbuild.compile.object import compile_error
from ebpfbuild.minimize.index_cache import explained
from ebpfbuild.minimize.libbpf_headers import LibbpfNames, libbpf_names
from ebpfbuild.minimize.explain import explain
from ebpfbuild.minimize.index import index_header

INDEX = index_header((Path(__file__).parents[2] / "testdata" / "minimize" / "vmlinux.h").read_text())
HEADERS = {
    "bpf_helper_defs.h": "/* bpf_fake() */\nstatic long (* const bpf_get_current_comm)(void *buf, __u32 size) = (void *) 16;\n",
    "bpf_helpers.h": '#include "bpf_helper_defs.h"\n#define SEC(name) \\\n\tx\n#define __uint(name, val) int (*name)[val]\n'
    "#define bpf_printk(fmt, args...) x\nextern int bpf_iter_num_new(struct bpf_iter_num *it, int start) __weak __ksym;\n",
    "bpf_core_read.h": '#include "bpf_helpers.h"\n# define BPF_CORE_READ(src, a, ...) x\n#define ___core_read(x)\n',
    "bpf_endian.h": "#define bpf_ntohs(x) x\n",
    "bpf_tracing.h": '#include "bpf_helpers.h"\n#define BPF_PROG(name, args...) x\n#define PT_REGS_PARM1(x) x\n',
    "usdt.bpf.h": "#include <bpf/bpf_tracing.h>\n__weak __hidden\nint bpf_usdt_arg(struct pt_regs *ctx, __u64 arg_num, long *res)\n{\n",
}
INCLUDED = '#include <bpf/bpf_helpers.h>\n#include "vmlinux.h"\n'
ALL = "".join(f"#include <bpf/{name}>\n" for name in HEADERS)


def told(*diagnostics, text=INCLUDED, index=INDEX):
    return explain(index, diagnostics, "6.19", "x86_64", libbpf_names(HEADERS, [text]))


def undeclared(name, source=""):
    return [
        f"p.bpf.c:7:3: error: call to undeclared function '{name}'; ISO C99 and later …",
        f"    7 |  {source or name + '(1)'}",
        "      |  ^",
    ]


@pytest.mark.parametrize(
    "name, header",
    [
        ("bpf_ntohs", "bpf_endian.h"),
        ("BPF_CORE_READ", "bpf_core_read.h"),
        ("PT_REGS_PARM1", "bpf_tracing.h"),
        ("bpf_usdt_arg", "usdt.bpf.h"),
    ],
)
def test_the_header_that_declares_a_name_is_told(name, header):
    assert told(*undeclared(name)) == [f"{name} is declared in <bpf/{header}>: include it"]
    assert header not in str(told(*undeclared(name), text=ALL))


@pytest.mark.parametrize("name", ["bpf_printk", "bpf_iter_num_new", "bpf_get_current_comm"])
def test_helpers_are_in_bpf_helpers(name):
    assert told(*undeclared(name), text="") == [f"{name} is declared in <bpf/bpf_helpers.h>: include it"]
    assert "include it" not in str(told(*undeclared(name), text="#include <bpf/bpf_core_read.h>\n"))


def test_an_argument_of_an_unknown_macro_is_no_cause_of_its_own():
    source = "int a = BPF_CORE_READ(t, tgid);"
    lines = [
        *undeclared("BPF_CORE_READ", source),
        "p.c:7:27: error: use of undeclared identifier 'tgid'",
        f"    7 | {source}",
    ]
    assert told(*lines) == ["BPF_CORE_READ is declared in <bpf/bpf_core_read.h>: include it"]


def test_an_unknown_macro_that_clang_does_not_name():
    lines = [
        "p.bpf.c:2:10: error: type name requires a specifier or qualifier",
        '    2 | struct { __uint(type, 1); } m SEC(".maps");',
        "p.bpf.c:2:29: error: unknown type name 'm'",
        '    2 | struct { __uint(type, 1); } m SEC(".maps");',
        "p.bpf.c:9:2: error: use of undeclared identifier 'm'",
    ]
    assert told(*lines, text="") == ["__uint and SEC are declared in <bpf/bpf_helpers.h>: include it"]
    source = '    3 | SEC("fentry/x") int BPF_PROG(foo, int x) {'
    assert told("p.c:3:35: error: expected identifier", source) == [
        "BPF_PROG is declared in <bpf/bpf_tracing.h>: include it"
    ]
    assert (
        told("p.c:3:35: error: expected identifier", source, text=INCLUDED + "#define BPF_PROG(name, args...) x\n")
        == []
    )
    assert told("p.c:3:35: warning: unused variable 'x'", source) == []


@pytest.mark.parametrize(
    "diagnostic, parts",
    [
        (undeclared("bpf_get_current_comn")[0], "declares no bpf_get_current_comn; did you mean bpf_get_current_comm? Otherwise a kfunc"),
        (undeclared("no_such_kfunc")[0], "declares no no_such_kfunc: a kfunc of another kernel"),
        ("error: call to undeclared library function 'printf' with type", "instead of printf take bpf_printk of <bpf/bpf_helpers.h>"),
        ("error: call to undeclared library function 'qsort' with type", "BPF programs have no C library: instead of qsort"),
        ("error: use of undeclared identifier 'AF_INET'", "has no AF_INET; a kernel #define is in no BTF: #define AF_INET 2"),
        ("error: use of undeclared identifier 'AF_FOO'", "has no AF_FOO; a kernel #define is in no BTF: #define it in your program"),
        ("error: use of undeclared identifier 'GREEM'", "has no GREEM; did you mean GREEN? A kernel #define"),
        ("error: variable has incomplete type 'struct super_blok'", "has no struct super_blok; did you mean super_block? Otherwise it comes"),
        ("error: variable has incomplete type 'struct request'", "has no struct request: it comes from a kernel built without it"),
    ],
)  # fmt: skip
def test_the_one_that_was_meant_comes_first_and_far_ones_not_at_all(diagnostic, parts):
    (line,) = told(diagnostic)
    assert parts in line


@pytest.mark.parametrize(
    "diagnostic",
    [
        "error: use of undeclared identifier 'nothing_alike'",
        "error: incomplete type 'const char[]'",
        "error: incomplete type 'void'",
    ],
)
def test_what_clang_has_said_already(diagnostic):
    assert told(diagnostic) == []


def test_members_of_a_type_that_is_declared_twice_are_no_other_kernels():
    member = "p.c:4: error: no member named 'number' in 'struct vm'"
    assert len(told(member)) == 1
    assert told("p.c:3:8: error: redefinition of 'vm'", member) == [
        "this header (6.19, x86_64) declares vm already: drop your own, or call it vm___local"
    ]


def test_macros_of_bcc_are_told_once_and_nothing_that_follows_from_them():
    lines = [
        "p.bpf.c:2:18: error: unexpected type name 'u32': expected identifier",
        "    2 | BPF_HASH(counts, u32);",
        "p.bpf.c:5:25: error: parameter 'sched_switch' was not declared, defaults to 'int'; ISO C99 …",
        "    5 | TRACEPOINT_PROBE(sched, sched_switch)",
        "p.bpf.c:7:2: error: use of undeclared identifier 'AF_INET'",
        "    7 | \tcounts.increment(AF_INET);",
    ]
    said = "are macros of bcc's: docs/from-bcc.md has what to write instead"
    assert told(*lines) == told(*lines, index=None) == [f"BPF_HASH and TRACEPOINT_PROBE {said}"]
    assert told(*lines[:2], text="") == ["BPF_HASH is a macro of bcc's: docs/from-bcc.md has what to write instead"]
    own = "p.bpf.c:1:30: note: expanded from macro 'BPF_HASH'"
    assert told(*lines[:2], own) == told(lines[0].replace("error", "warning"), lines[1]) == []


def test_a_hint_on_a_later_error_is_not_the_first_ones_fix():
    args = CompileArgs(("clang",), arch_named("x86_64"), "p.bpf.c", "p.o", "h", "l")
    syntax = "p.bpf.c:2:1: error: expected ';'\n    2 | int a\n      |     ^\n"
    error = compile_error(args, syntax + "\n".join(undeclared("bpf_ntohs")), 1)
    with_hint = explained(error, INDEX, "6.19", "x86_64", libbpf_names(HEADERS, [INCLUDED]))
    hint = "bpf_ntohs is declared in <bpf/bpf_endian.h>: include it"
    assert str(with_hint).startswith(f"p.bpf.c:2:1: expected ';'\n  {hint}\n")
    alone = explained(
        compile_error(args, "\n".join(undeclared("bpf_ntohs")), 1), INDEX, "6.19", "x86_64", libbpf_names(HEADERS, [""])
    )
    assert alone.fix == hint
    assert explained(error, INDEX, "6.19", "x86_64", LibbpfNames({}, frozenset())).fix == ""


def test_the_stack_is_too_small_once():
    said = (
        "Looks like the BPF stack limit is exceeded. Please move large … can be increased using -mllvm -bpf-stack-size."
    )
    source = "    3 | { char big[600]; }\n      |        ^"
    text = (
        f"p.bpf.c:3:47: error: {said}\n\n{source}\n"
        + f"p.bpf.c:3:47: error: {said}\n\n" * 12
        + "13 errors generated.\n"
    )
    args = CompileArgs(("clang",), arch_named("x86_64"), "p.bpf.c", "p.o", "h", "l")
    assert str(compile_error(args, text, 1)).splitlines() == [
        "p.bpf.c:3:47: the function's stack is larger than the kernel's 512 bytes; put what is large into a map or a global variable",
        "      3 | { char big[600]; }",
        "        |        ^",
    ]


FORWARD = [
    "p.bpf.c:4:9: error: incomplete definition of type 'struct vm'",
    "    4 | \treturn p->pid;",
    "p.bpf.c:3:9: note: forward declaration of 'struct vm'",
]


def test_a_type_that_the_program_declares_anew_is_told_by_its_place():
    assert told(*FORWARD, "    3 | \tstruct vm; // hides it") == [
        "this header (6.19, x86_64) has struct vm, but p.bpf.c:3 declares one without members: drop that, and include "
        "vmlinux.h instead"
    ]


@pytest.mark.parametrize("source", ["    3 | \tstruct vm *p = get();", "    3 | \tDECLARE(vm);", "", "odd"])
def test_a_mere_use_is_no_declaration(source):
    """clang's note is the same where nothing declares the type, because vmlinux.h isn't included."""
    assert told(*FORWARD, source) == [
        "this header (6.19, x86_64) has struct vm: include vmlinux.h before its first use"
    ]


def test_a_member_that_the_header_has_is_missed_in_a_type_of_the_programs_own():
    assert told("error: no member named 'pgd' in 'struct vm'") == [
        "this header (6.19, x86_64) has pgd in struct vm, and the program defines another struct vm: drop that, "
        "or call it vm___local"
    ]
