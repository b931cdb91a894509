"""What is kept for a set of names: whole, only declared, or not at all; and the header that is written of it."""

from pathlib import Path

import pytest
from ebpfbuild.errors import EbpfError
from ebpfbuild.minimize.index import index_header
from ebpfbuild.minimize.modes import minimize
from ebpfbuild.minimize.names import UsedNames

HEADER = (Path(__file__).parents[2] / "testdata" / "minimize" / "vmlinux.h").read_text()
INDEX = index_header(HEADER)


def run(mode="lean", tags="", members="", words="", index=INDEX):
    names = UsedNames(*(frozenset(part.split()) for part in (tags, members, words)))
    return minimize(index, names, mode, "p.bpf.c", "x86_64", "6.19", "ab12")


def whole(minimized) -> set[str]:
    return {kept.name for kept in minimized.kept if kept.whole}


def declared(minimized) -> set[str]:
    return {kept.name for kept in minimized.kept if not kept.whole}


def test_a_named_struct_is_whole_and_its_pointees_are_declared():
    found = run(tags="vm")
    assert whole(found) == {"struct vm", "typedef u64", "typedef __u64"}
    assert declared(found) == {"struct task"}


def test_a_named_member_completes_what_it_points_to():
    found = run(tags="vm", members="owner")
    assert "struct task" in whole(found)
    assert {"struct cred", "struct ns", "struct file"} <= declared(found) | whole(found)
    assert "struct cred" in declared(found)


def test_a_word_is_no_tag():
    assert whole(run(words="file task")) == set()


@pytest.mark.parametrize(
    "word, kept", [("RED", "enum color"), ("ANON_ONE", "enum { ANON_ONE, … }"), ("DENTRY_LIVE", "struct dentry")]
)
def test_an_enumerator_keeps_its_enum(word, kept):
    assert kept in whole(run(words=word))


@pytest.mark.parametrize(
    "tags, kept",
    [
        ("ns", "struct ns_part"),  # an anonymous tagged member, by -fms-extensions
        ("file", "struct bag"),
        ("bag", "struct flags"),  # a pointer to an array needs its element's size
        ("bag", "struct slot"),  # an array typedef does, too
        ("both", "struct list"),
        ("cred", "typedef kuid_t"),
    ],
)
def test_a_member_by_value_is_whole(tags, kept):
    assert kept in whole(run(tags=tags))


@pytest.mark.parametrize(
    "mode, tags, kept",
    [
        ("exact", "task", "struct file"),  # an array of pointers
        ("exact", "bag", "struct list"),
        ("exact", "inode_operations", "struct dentry"),  # parameters and returns of function pointers
        ("exact", "file", "struct inode"),  # the same behind a typedef
        ("exact", "task", "struct cred"),  # const struct x * twice
    ],
)
def test_exact_follows_what_btf_follows_and_lean_does_not(mode, tags, kept):
    assert kept in whole(run("exact", tags=tags))
    assert kept in declared(run("lean", tags=tags))


@pytest.mark.parametrize(
    "tags, kept", [("vm ns", "struct task"), ("bag", "struct pipe"), ("inode", "struct super_block")]
)
def test_exact_follows_no_plain_pointer(tags, kept):
    assert kept in declared(run("exact", tags=tags))


def test_exact_follows_a_const_pointer_only_when_it_meets_it_twice():
    assert "struct inode_operations" in declared(run("exact", tags="inode"))
    assert "struct buffer" in declared(run("exact", tags="bag"))
    text = HEADER.replace("\tbuffer_t *buffer;", "\tbuffer_t *buffer;\n\tbuffer_t *more;")
    assert "struct buffer" in whole(run("exact", tags="bag", index=index_header(text)))


def test_a_function_keeps_its_types_whole():
    assert {"struct task", "struct ns_ops"} <= whole(run(words="task_acquire"))


@pytest.mark.parametrize(
    "word, kept", [("pipe_t", "struct pipe"), ("secret_t", "struct secret"), ("opener_t", "struct inode")]
)
def test_a_typedef_that_the_program_names_is_looked_through(word, kept):
    assert kept in whole(run(words=word))


def test_nothing_is_kept_for_no_names():
    found = run()
    assert found.kept == () and found.total == INDEX.total
    assert "#pragma clang attribute pop" in found.text and "struct" not in found.text.split("*/", 1)[1]


def test_a_conditional_without_content_is_left_out():
    assert "KFUNC" not in run(tags="vm").text
    text = run(words="arena_alloc").text
    assert text.index("#ifndef BPF_NO_KFUNC") < text.index("arena_alloc") < text.index("#endif\n\n#ifndef BPF_NO_PRES")


def test_the_same_names_give_the_same_bytes():
    assert run("exact", tags="task file", members="mm").text == run("exact", tags="file task", members="mm").text


def test_the_text_is_the_headers_own_in_its_order():
    text = run("exact", tags="packed_one flags").text
    assert "} __attribute__((packed));" in text and "\tu32: 0;\n" in text
    assert text.index("typedef __u32 u32;") < text.index("struct packed_one {") < text.index("struct flags {")
    assert "{}" not in text


def test_the_first_comment_says_of_what_and_how_much():
    comment = run(tags="vm").text.split("*/")[0]
    for part in ("Linux 6.19, x86_64, sha256 ab12", "p.bpf.c", "lean", f"3 of {INDEX.total} declarations", "1 more"):
        assert part in comment


def test_off_is_the_header_itself():
    assert run("off").text == HEADER.replace("/* __VMLINUX_H__ */", "/* __VMLINUX_H__ */")


def test_an_unknown_mode_is_refused():
    with pytest.raises(EbpfError, match="exact, lean, fields"):
        run("tiny")
