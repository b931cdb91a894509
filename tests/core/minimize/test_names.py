"""What a program names, from the output of `clang -E -dD`."""

import subprocess
from pathlib import Path

import pytest
from ebpfbuild.minimize.emit import stub
from ebpfbuild.minimize.index import index_header
from ebpfbuild.minimize.names import MARKER, conflicts, names_of, where
from hypothesis import given, settings
from hypothesis import strategies as st

HEADER = (Path(__file__).parents[2] / "testdata" / "minimize" / "vmlinux.h").read_text()
INDEX = index_header(HEADER)


def names(code: str, before: str = ""):
    return names_of(f'# 1 "<command line>" 1\n{before}\n# 1 "./vmlinux.h" 1\n{MARKER}\n# 2 "p.c" 2\n{code}\n')


@pytest.fixture(scope="module")
def preprocess(clang, tmp_path_factory):
    """A function (source, other headers) -> the text after `clang -E -dD` with a stub as vmlinux.h."""

    def run(source: str, **headers: str) -> str:
        folder = tmp_path_factory.mktemp("names")
        (folder / "vmlinux.h").write_text(stub(INDEX))
        (folder / "p.c").write_text(source)
        for name, text in headers.items():
            (folder / f"{name}.h").write_text(text)
        command = [*clang, "-target", "bpfel", "-E", "-dD", "-I.", "p.c"]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout

    return run


@pytest.mark.parametrize(
    "code, tags, members, words",
    [
        ("struct file *f;", {"file"}, set(), {"f"}),
        ("int file;", set(), set(), {"int", "file"}),
        ("x = t->mm . pgd;", set(), {"mm", "pgd"}, {"x", "t"}),
        ("f(a\n->\n b);", set(), {"b"}, {"f", "a"}),
        ("enum color c = RED;", {"color"}, set(), {"c", "RED"}),
        ("__builtin_offsetof(struct file, f_bag.pipe)", {"file"}, {"f_bag", "pipe"}, {"__builtin_offsetof"}),
        ('s = "a->b struct c";', set(), set(), {"s"}),
        ("struct outer { struct file; };", {"outer", "file"}, set(), set()),  # a member, by -fms-extensions
        ("int f(int a, ...);", set(), set(), {"int", "f", "a"}),
        ("struct __attribute__((packed)) mine { int a; };", {"mine", "packed"}, set(), {"int", "a"}),
        ("u32 v = { .first = 1 };", set(), {"first"}, {"u32", "v"}),
    ],
)
def test_tags_members_and_words_are_told_apart(code, tags, members, words):
    found = names(code)
    assert found.tags == tags
    assert members <= found.members <= members | {"struct", "file"}  # all of offsetof's arguments count
    assert words <= found.words


PROTOTYPES = """static void *(* const bpf_sk)(struct bpf_sock *sk, __u32 a) = (void *) 1;
static long (*bpf_old)(struct pt_regs *ctx,
  be16_t port) = (void *)2;
"""


@pytest.mark.parametrize(
    "text", [PROTOTYPES, f'# 1 "bpf/bpf_helper_defs.h" 1\nstruct pt_regs;\n{PROTOTYPES}# 9 "p.c" 2\n']
)
def test_only_the_helpers_used_give_their_tags(text):
    assert names(text).tags == set()
    assert {"__u32", "be16_t"} <= names(text).words  # clang reads the prototypes, used or not
    assert names(text + "int x = bpf_sk(0, 1);").tags == {"bpf_sock"}
    assert names(text + "int x = bpf_old(0);").tags == {"pt_regs"}


def test_a_name_is_found_where_the_program_has_it(preprocess):
    text = preprocess(
        '#include "vmlinux.h"\n#include "common.h"\n\nint f(struct vm *v) { return v->pgd; }\n',
        common="struct ns *n;\n",
    )
    assert (
        where(text, "vm").endswith("p.c:4") and where(text, "ns").endswith("common.h:1") and where(text, "absent") == ""
    )
    assert where('# 7 "include/bpf/helpers.h"\nx\n# 3 "p.c"\n\nx\n', "x") == "p.c:4"


def test_equal_names_have_equal_digests():
    first, second = names("a->b; struct c *d;"), names("struct c *d;\n\na ->b;")
    assert first.digest() == second.digest() and first == second
    assert first.digest() != names("a->b; struct d *c;").digest()
    assert (names("a;") | names("b->c;")).members == {"c"}


def test_a_macro_is_expanded_before_names_are_taken(preprocess):
    found = names_of(
        preprocess('#include "vmlinux.h"\n#define GET(x, f) ((struct task *)(x))->f\nint a = GET(p, mm);\n')
    )
    assert found.included and "task" in found.tags and "mm" in found.members and "GET" not in found.words


def test_a_wrapper_of_the_header_is_looked_through(preprocess):
    found = names_of(preprocess('#include "common.h"\nkuid_t u;\n', common='#pragma once\n#include "vmlinux.h"\n'))
    assert found.included and "kuid_t" in found.words


def test_a_program_without_the_header_says_so(preprocess):
    assert not names_of(preprocess("int x;\n")).included


@pytest.mark.parametrize(
    "before, found",
    [
        ("#define parent ancestor", ["parent"]),
        ("#define task task___old", []),  # a declaration's other name
        ("#define task file", ["task"]),
        ("#define task same\n#define file same", ["file", "task"]),
        ("#define task next\n#define next other", ["next", "task"]),
        ("#define task task___old\n#define task (x)", ["task"]),
        ("#define RED 7", ["RED"]),
        ("#define parent x\n#undef parent", []),
        ("#define create(a) a", []),
        ("#define task_acquire(a) a", ["task_acquire"]),
        ("#define BPF_NO_KFUNC_PROTOTYPES", []),
        ("#define __weak __attribute__((weak))", []),
        ("#define FOO_H", []),
    ],
)
def test_a_macro_that_would_rewrite_the_header_is_found(preprocess, before, found):
    text = preprocess(f'{before}\n#include "vmlinux.h"\n#define first second\nint x;\n')
    assert conflicts(INDEX, names_of(text)) == found


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet=st.sampled_from("ab_->.(){};*\"'\\ \n#=structenum,"), max_size=120))
def test_any_text_has_names(text):
    found = names(text)
    assert all(name.isidentifier() for name in found.tags | found.members | found.words)
