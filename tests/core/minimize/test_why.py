"""Chains from a program to what is kept, and the lines that explain clang's diagnostics."""

from pathlib import Path

import pytest
from ebpfbuild.minimize.libbpf_headers import libbpf_names
from ebpfbuild.minimize.explain import explain
from ebpfbuild.minimize.index import index_header
from ebpfbuild.minimize.modes import minimize
from ebpfbuild.minimize.names import UsedNames
from ebpfbuild.minimize.refs import member_names
from ebpfbuild.minimize.why import why

INDEX = index_header((Path(__file__).parents[2] / "testdata" / "minimize" / "vmlinux.h").read_text())
NAMES = UsedNames(frozenset({"task"}), frozenset({"mm", "pgd"}), frozenset({"RED", "kuid_t"}))
MADE = minimize(INDEX, NAMES, "lean", "p.bpf.c", "x86_64", "6.19", "00")
PLACES = {"task": "p.bpf.c:3", "mm": "p.bpf.c:9", "RED": "p.bpf.c:5"}


def ask(name: str) -> list[str]:
    return why(MADE, name, lambda name: PLACES.get(name, ""))


@pytest.mark.parametrize(
    "name, lines",
    [
        ("task", ["struct task: named by the program as task (p.bpf.c:3)"]),
        ("struct vm", ["struct task: named by the program as task (p.bpf.c:3)", "  .mm (p.bpf.c:9): struct vm"]),
        ("mm", ["struct task: named by the program as task (p.bpf.c:3)", "  .mm (p.bpf.c:9): struct vm"]),
        ("cred", ["struct task: named by the program as task (p.bpf.c:3)", "  .cred: struct cred, only declared"]),
        ("pid", ["struct task: named by the program as task (p.bpf.c:3)", "  .pid"]),
        ("task.mm", ["struct task: named by the program as task (p.bpf.c:3)", "  .mm (p.bpf.c:9)"]),
        ("task.parnt", ["the full header has no task with a member parnt; nearest: parent"]),
        ("nothere.pid", ["the full header has no nothere with a member pid"]),
        ("task.nosuch", ["the full header has no task with a member nosuch"]),
        ("GREEN", ["enum color: named by the program as RED (p.bpf.c:5)"]),
        ("super_block", ["struct super_block is in the full header, but nothing that the program names leads to it"]),
    ],
)
def test_a_chain_starts_at_the_program(name, lines):
    assert ask(name) == lines


def test_a_name_of_nothing_gets_its_nearest_ones():
    assert ask("inodes") == [
        "nothing called inodes is kept, and the full header has no such type or member; nearest: inode, wide"
    ]
    assert len(ask("")) == 1


@pytest.mark.parametrize("name, struct", [("inum", "ns_part"), ("struct ns.inum", "ns")])
def test_a_member_of_what_is_not_kept_is_told_with_its_struct(name, struct):
    assert ask(name) == [f"inum is a member of struct {struct}, to which nothing that the program names leads"]


def test_a_member_that_fields_drops_is_not_told_as_kept():
    made = minimize(INDEX, NAMES, "fields", "p.bpf.c", "x86_64", "6.19", "00")
    assert why(made, "task.mm") == ["struct task: named by the program", "  .mm"]
    assert why(made, "task.parent") == ["parent is a member of struct task, of which the program doesn't name it"]
    assert why(made, "files") == ["files is a member of struct task, of which the program doesn't name it"]


def test_every_declaration_kept_has_a_chain():
    for name in {**INDEX.tags, **INDEX.ordinary}:
        assert ask(name)
    for number in MADE.closure.whole:
        assert number in MADE.closure.reasons


@pytest.mark.parametrize(
    "diagnostic, parts",
    [
        (
            "p.c:1:1: error: unknown type name 'u65'; did you mean 'u64'?",
            ("no type u65", "did you mean u64?", "another pin"),
        ),
        (
            "p.c:1: error: variable has incomplete type 'struct request'",
            ("no struct request", "struct request___local"),
        ),
        ("p.c:1:1: error: unknown type name 'u65'", ("no type u65", "or typedef it in your program")),
        (
            "p.c:1: error: use of undeclared identifier 'kgid_t'",
            ("no type kgid_t", "did you mean kuid_t?", "typedef it"),
        ),
        ("p.c:1: error: incomplete definition of type 'struct tasks'", ("no struct tasks", "did you mean task?")),
        ("p.c:1: error: invalid application of 'sizeof' to an incomplete type 'struct cgrp'", ("no struct cgrp",)),
        (
            "p.c:1: warning: declaration of 'struct mine' will not be visible outside of this function",
            ("no struct mine",),
        ),
        ("p.c:1:1: error: unknown type name 'task'", ("struct task: write struct",)),
        ("p.c:1: error: variable has incomplete type 'struct u64'", ("as a typedef: write u64 without struct",)),
        (
            "p.c:1: error: no member named 'pidd' in 'struct task'",
            ("no member pidd in struct task", "nearest: pid", "struct task___local"),
        ),
        ("p.c:1: error: no member named 'value' in 'kuid_t'", ("no member value in kuid_t", "nearest: val")),
        ("p.c:1: error: use of undeclared identifier 'ETH_P_IP'", ("no ETH_P_IP", "include <linux/if_ether.h> behind vmlinux.h")),
        (
            "p.c:1: error: call to undeclared function 'task_acquired'; ISO C99",
            ("declares no task_acquired", "did you mean task_acquire?", "__ksym"),
        ),
        ("p.c:1: error: redefinition of 'vm'", ("declares vm already", "vm___local")),
        ("p.c:1: error: conflicting types for 'vm'", ("declares vm already", "vm___local")),
        ("p.c:1:10: fatal error: 'linux/ptrace.h' file not found", ("<linux/ptrace.h>", "write uapi=True")),
    ],
)
def test_a_diagnostic_is_explained(diagnostic, parts):
    lines = explain(INDEX, [diagnostic, "  1 | some source", diagnostic], "6.19", "x86_64", libbpf_names({}, []))
    assert len(lines) == 1 and all(part in lines[0] for part in parts), lines
    if "has" in lines[0]:
        assert lines[0].startswith("this header (6.19, x86_64)")


@pytest.mark.parametrize(
    "diagnostic",
    [
        "p.c:1: error: expected ';'",
        "",
        "p.c:2: error: redefinition of 'own'",
        "p.c:1: error: no member named 'a' in 'struct own'",
    ],
)
def test_what_is_no_fault_of_the_header_is_left_alone(diagnostic):
    assert explain(INDEX, [diagnostic], "6.19", "x86_64", libbpf_names({}, [])) == []


def test_members_of_nested_and_anonymous_tagged_ones_count():
    assert member_names(INDEX, INDEX.tags["ns"]) == ["inum", "ops", "level"]
    assert member_names(INDEX, INDEX.tags["bag"]) == [
        "arr",
        "matrix",
        "by_pointer",
        "buffer",
        "aligned",
        "pipe",
        "slots",
        "items",
    ]
    assert member_names(INDEX, INDEX.tags["dentry"]) == ["d_inode", "hash", "d_name", "d_state"]
    assert member_names(INDEX, INDEX.tags["flags"]) == ["before", "low", "high", "last"]


def test_a_circle_of_anonymous_members_ends():
    index = index_header("struct a {\n\tstruct b;\n\tint x;\n};\nstruct b {\n\tstruct a;\n\tint y;\n};\n")
    assert member_names(index, index.tags["a"]) == ["y", "x"]
