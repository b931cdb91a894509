"""Two vmlinux.h held against each other: what differs type by type, and what of it a program uses."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ebpfbuild.minimize.header_changes import ADDED, CHANGED, REMOVED, FieldChange, TypeChange, header_changes, used_changes
from ebpfbuild.minimize.index import index_header
from ebpfbuild.minimize.names import UsedNames

OLD = """
#ifndef __VMLINUX_H__
#define __VMLINUX_H__

struct spin {
};

typedef struct {
	int counter;
} atomic_t;

enum state {
	FIRST = 0,
	SECOND = 1,
};

enum {
	ONE = 1,
	TWO = 2,
};

struct forward;

struct task {
	struct spin lock;
	int pid;
	union {
		int inner;
		struct {
			long deep;
		};
	};
	struct {
		int x;
	} named[2];
	void (*call)(int);
	unsigned int bit: 1;
	long: 0;
	struct forward *next;
};

struct gone {
	int a;
};

typedef int size_s;

extern int kfunc(struct task *task);
"""


def changes(*edits):
    """The changes from OLD to OLD with these edits."""
    new = OLD
    for old, text in edits:
        assert new.count(old) == 1, old
        new = new.replace(old, text)
    return header_changes(index_header(OLD), index_header(new))


def one(*edits):
    (change,) = changes(*edits)
    return change


@pytest.mark.parametrize("edit, name, field", [
    (("int pid;", "long pid;"), "struct task", ("pid", "int pid", "long pid")),
    (("\tint pid;\n", ""), "struct task", ("pid", "int pid", "")),
    (("int pid;", "int pid;\n\tint tgid;"), "struct task", ("tgid", "", "int tgid")),
    (("long deep;", "int deep;"), "struct task", ("deep", "long deep", "int deep")),
    (("int x;", "char x;"), "struct task", ("named.x", "int x", "char x")),
    (("named[2]", "named[3]"), "struct task", ("named", "struct { … } named[2]", "struct { … } named[3]")),
    (("(*call)(int)", "(*call)(long)"), "struct task", ("call", "void (*call)(int)", "void (*call)(long)")),
    (("bit: 1", "bit: 2"), "struct task", ("bit", "unsigned int bit: 1", "unsigned int bit: 2")),
    (("SECOND = 1", "SECOND = 2"), "enum state", ("SECOND", "SECOND = 1", "SECOND = 2")),
    (("\tTWO = 2,\n", ""), "enum { ONE, … }", ("TWO", "TWO = 2", "")),
    (("int counter;", "long counter;"), "typedef atomic_t", ("counter", "int counter", "long counter")),
    (("typedef int size_s;", "typedef long size_s;"), "typedef size_s", ("", "typedef int size_s", "typedef long size_s")),
    (("kfunc(struct task *task)", "kfunc(int a)"), "function kfunc", ("", "extern int kfunc(struct task *task)", "extern int kfunc(int a)")),
    (("typedef struct {\n\tint counter;\n} atomic_t;", "typedef int atomic_t;"), "typedef atomic_t",
     ("", "typedef struct { int counter; } atomic_t", "typedef int atomic_t")),
])
def test_a_changed_member_enumerator_or_declaration_is_named(edit, name, field):
    assert one(edit) == TypeChange(name, CHANGED, (FieldChange(*field),))


def test_what_keeps_its_members_is_laid_out_anew_and_blanks_are_no_change():
    assert one(("\tlong: 0;\n", "")) == TypeChange("struct task", CHANGED)
    assert one(("\tint pid;\n", ""), ("unsigned int bit: 1;", "int pid;\n\tunsigned int bit: 1;")).fields == ()
    assert changes(("\tint pid;", "\t\tint  pid;"), ("typedef int size_s;", "typedef int size_s;\n\n")) == []


def test_types_come_and_go():
    found = changes(("struct gone {", "struct fresh {"), ("struct spin {\n}", "struct spin {\n\tint raw;\n}"))
    assert [(each.how, each.name) for each in found] == [(REMOVED, "struct gone"), (CHANGED, "struct spin"), (ADDED, "struct fresh")]


def used(*edits, tags="task", members="", words="", values=""):
    """The changes that a program with these names uses: what it names, and the types of which it names nothing."""
    new = OLD
    for old, text in edits:
        new = new.replace(old, text)
    indexes = index_header(OLD), index_header(new)
    names = UsedNames(*(frozenset(text.split()) for text in (tags, members, words, values)))
    found = used_changes(header_changes(*indexes), *indexes, names)
    return {each.change.name: [field.name for field in each.change.fields] for each in found if each.named}, \
        {each.change.name for each in found if not each.named}


def test_a_program_uses_the_members_that_it_names_and_holds_the_others():
    edits = ("int pid;", "long pid;"), ("unsigned int bit: 1;", "int bit;"), ("struct spin {\n}", "struct spin {\n\tint raw;\n}")
    assert used(*edits, members="pid") == ({"struct task": ["pid"]}, {"struct spin"})
    assert used(*edits, members="call", words="pid bit") == ({}, {"struct task", "struct spin"})
    assert used(*edits, members="lock raw bit") == ({"struct task": ["bit"], "struct spin": ["raw"]}, set())
    assert used(*edits, tags="gone", members="a pid") == ({}, set())
    assert used(*edits, values="task") == ({"struct task": ["pid", "bit"]}, {"struct spin"})


def test_enumerators_and_what_has_no_members_are_used_by_their_names():
    edits = ("SECOND = 1", "SECOND = 2"), ("typedef int size_s", "typedef long size_s"), ("kfunc(struct task *task)", "kfunc(int a)")
    assert used(*edits, words="SECOND") == ({"enum state": ["SECOND"]}, set())
    assert used(*edits, words="FIRST size_s kfunc") == ({"typedef size_s": [""], "function kfunc": [""]}, {"enum state"})


def test_a_type_that_a_program_names_is_used_when_it_comes_or_goes():
    edit = "struct gone {\n\tint a;\n};", "struct fresh {\n\tint a;\n};"
    assert used(edit, tags="gone") == ({"struct gone": []}, set())
    assert used(edit, tags="fresh task") == ({"struct fresh": []}, set())
    assert used(edit, tags="task", members="pid") == ({}, set())


BODY = st.lists(st.sampled_from(["int a;", "long b: 3;", "struct s *c[2];", "union {\n\t\tint d;\n\t};", "int (*e)(void);",
                                 "struct {\n\t\tint f;\n\t} g;", "long: 0;", "struct s;", "int h, i;"]), max_size=5)


@settings(max_examples=60, deadline=None)
@given(BODY, BODY)
def test_any_two_bodies_are_the_same_or_differ_both_ways(one_body, other):
    texts = ["struct s {\n%s};\n" % "".join(f"\t{each}\n" for each in body) for body in (one_body, other)]
    indexes = [index_header(text) for text in texts]
    there, back = header_changes(*indexes), header_changes(*reversed(indexes))
    assert bool(there) == bool(back) == (texts[0] != texts[1])
    if there:
        assert {(each.name, each.old, each.new) for each in there[0].fields} == {(each.name, each.new, each.old) for each in back[0].fields}
