"""Minimized headers under the pinned clang: the same object, for hand-made traps and for random headers."""

import struct
from pathlib import Path

import pytest
from ebpfbuild.elf.reader import Elf
from ebpfbuild.elf.strip import strip_dwarf
from ebpfbuild.minimize.emit import stub
from ebpfbuild.minimize.names import conflicts, names_of
from ebpfbuild.prove.objects import prove
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from minimize_lab import PRELUDE, Lab

HEADER = (Path(__file__).parents[2] / "testdata" / "minimize" / "vmlinux.h").read_text()


@pytest.fixture(scope="module")
def lab(clang, tmp_path_factory):
    return Lab(clang, tmp_path_factory.mktemp("minimize"), HEADER)


HOOK = 'SEC("a") int f('  # how most of them start
OWN_KFUNC = "extern struct ns *mine(struct cred *c) __ksym;\n"
PROGRAMS = {
    "a chain of pointers": HOOK + "struct task *t) { struct vm *m = READ(t, mm); return READ(m, owner)->pid; }",
    "members of an anonymous tagged member": HOOK + "struct ns *n) { return n->inum + n->level; }",
    "sizes of odd shapes": "int s[] = {sizeof(struct bag), sizeof(struct flags), sizeof(struct packed_one)};",
    "the size of a union": "int s = sizeof(union both);",
    "an enumerator only": HOOK + "void *p) { return ANON_TWO + DENTRY_DEAD; }",
    "function pointers": HOOK
    + "struct file *f) { const struct file_operations *o = READ(f, f_op); return !!o->open; }",
    "an array of pointers": HOOK + "struct task *t) { return t->files[1]->f_uid.val; }",
    "a kfunc": HOOK + "struct task *t) { return task_acquire(t, t->ns->ops)->pid; }",
    "a kfunc of its own": OWN_KFUNC + HOOK + "struct cred *c) { return mine(c)->level; }",
    "a typedef of a pointer": HOOK + "secret_t s) { return s->key; }",
    "a typedef of an array": HOOK + "struct bag *b) { return b->slots[1].second; }",
    "variables named like tags": HOOK + "struct vm *m) { int file = 3; int task = m->pgd; return file + task; }",
    "an extern of a const struct": "extern const struct task init __ksym;\n" + HOOK + "void *p) { return init.pid; }",
    "a type relocation": HOOK + "void *p) { return __builtin_preserve_type_info(*(struct cred *)0, 0); }",
    "a type's id": 'SEC("a") long f(void *p) { return __builtin_btf_type_id(*(struct vm *)0, 0); }',
    "an enum by pointer": HOOK + "enum color *c) { return *c == GREEN; }",
    "nothing of the header": HOOK + "void *p) { return 1; }",
}


@pytest.mark.parametrize("mode", ["exact", "lean", "fields"])
@pytest.mark.parametrize("code", PROGRAMS.values(), ids=PROGRAMS)
def test_a_program_keeps_its_object(lab, code, mode):
    program = f'#include "vmlinux.h"\n{PRELUDE}{code}\n'
    settled = lab.settled(program, mode)
    assert settled.minimized.mode == mode, settled.notices


RENAMED = {
    "declared anew by the program": "#undef task\nstruct task { int mine; };\n" + HOOK + "struct task *t) { return t->mine; }",
    "used by its new name": "#undef task\n" + HOOK + "struct task___old *t) { return t->parent->pid; }",
    "used while the macro is in force": HOOK + "struct task *t) { return READ(t, parent)->pid; }",
    "an enumerator too": "#undef RED\nenum { RED = 40 };\n" + HOOK + "enum color *c) { return *c == GREEN ? RED : RED___old; }",
}


@pytest.mark.parametrize("mode", ["exact", "lean", "fields"])
@pytest.mark.parametrize("code", RENAMED.values(), ids=RENAMED)
def test_a_declaration_under_another_name_keeps_the_object(lab, code, mode):
    """`#define bpf_iter_meta bpf_iter_meta___not_used` before the include is how programs declare a type themselves."""
    program = f'#define task task___old\n#define RED RED___old\n#include "vmlinux.h"\n{PRELUDE}{code}\n'
    assert conflicts(lab.index, lab.names(program)) == []
    settled = lab.settled(program, mode)
    assert settled.minimized.mode == mode, settled.notices


def test_a_missing_struct_by_value_is_no_empty_one(lab):
    """With the anonymous tagged member missed, struct ns would be 4 bytes and nothing would fail."""
    text = lab.minimized('#include "vmlinux.h"\nint s = sizeof(struct ns);\n', "lean").text
    data = Elf.parse(lab.compiled(text, '#include "vmlinux.h"\nint s = sizeof(struct ns);\n')).section(".data").data
    assert struct.unpack("<I", data) == (24,)


@pytest.mark.parametrize("flag", ["-DBPF_NO_PRESERVE_ACCESS_INDEX", "-DBPF_NO_KFUNC_PROTOTYPES"])
def test_what_a_program_may_define_acts_on_the_minimized_header_too(lab, flag):
    program = '#include "vmlinux.h"\n' + PRELUDE + 'SEC("a") int f(struct task *t) { return t->mm->pgd; }\n'
    header = lab.minimized(program, "exact").text
    full, small = (strip_dwarf(lab.clang_on(text, program, "-c", flag)) for text in (lab.index.text, header))
    assert prove(full, small, "exact").equal


# Random headers: declarations in an order that C allows, then a program that names some of it.

SCALARS = ("char", "short int", "int", "long int", "unsigned int", "unsigned char", "_Bool", "long long unsigned int")
ATTRIBUTES = ("", "", "", " __attribute__((packed))", " __attribute__((aligned(16)))")


class Writer:
    """Draws a header: structs, unions, enums and typedefs that refer to one another by value and by pointer."""

    def __init__(self, draw):
        self.draw = draw
        self.tags = [f"s{number}" for number in range(draw(st.integers(3, 9)))]
        self.unions = {tag for tag in self.tags if draw(st.integers(0, 4)) == 0}
        self.done: list[str] = []  # tags that are complete so far
        self.typedefs: dict[str, bool] = {}  # name -> whether it may be used by value
        self.members: list[str] = []
        self.lines = [f"{self.keyword(tag)} {tag};" for tag in self.tags]

    def pick(self, choices):
        return self.draw(st.sampled_from(list(choices)))

    def keyword(self, tag: str) -> str:
        return "union" if tag in self.unions else "struct"

    def tagged(self, tag: str) -> str:
        return f"{self.keyword(tag)} {tag}"

    def header(self) -> str:
        for number, tag in enumerate(self.tags):
            if self.draw(st.booleans()):
                self.typedef(f"t{number}")
            if self.draw(st.integers(0, 3)) == 0:
                self.lines.append(f"enum e{number} {{\n\tE{number}_A = {number},\n\tE{number}_B = 70000,\n}};")
            body = "".join(self.member("\t", tag) for _ in range(self.draw(st.integers(1, 5))))
            self.lines.append(f"{self.tagged(tag)} {{\n{body}}}{self.pick(ATTRIBUTES)};")
            self.done.append(tag)
        push = "#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)"
        return (
            "\n\n".join(
                [
                    "#ifndef __VMLINUX_H__\n#define __VMLINUX_H__",
                    push,
                    *self.lines,
                    "#pragma clang attribute pop\n#endif",
                ]
            )
            + "\n"
        )

    def typedef(self, name: str) -> None:
        tag = self.tagged(self.pick(self.tags))
        shapes = {f"typedef {tag} {name};": tag.split()[1] in self.done, f"typedef {tag} *{name};": True,
                  f"typedef const {tag} *{name};": True, f"typedef int (*{name})({tag} *, const {tag} *);": True,
                  f"typedef {tag} *{name}[2];": True}  # fmt: skip
        if self.done:
            shapes[f"typedef {self.tagged(self.pick(self.done))} {name}[3];"] = True
        line = self.pick(shapes)
        self.lines.append(line)
        self.typedefs[name] = shapes[line]

    def member(self, tabs: str, owner: str, depth: int = 0) -> str:
        name = f"m{len(self.members)}"
        self.members.append(name)
        shapes = [f"{self.pick(SCALARS)} {name};", f"unsigned int {name}: {self.draw(st.integers(1, 31))};",
                  f"{self.pick(SCALARS)} {name}[{self.draw(st.integers(0, 3))}];"]  # fmt: skip
        tag = self.tagged(self.pick(self.tags))
        shapes += [f"{tag} *{name};", f"const {tag} *{name};", f"{tag} **{name};", f"{tag} *{name}[2];",
                   f"int (*{name})({tag} *);", f"{tag} * (*{name})(int);", f"const {tag} * const {name};"]  # fmt: skip
        if self.done:
            value = self.tagged(self.pick(self.done))
            shapes += [f"{value} {name};", f"{value} {name}[2];", f"{value} (*{name})[2];"]
        for typedef, by_value in self.typedefs.items():
            shapes += [f"{typedef} *{name};", f"const {typedef} *{name};"] + [f"{typedef} {name};"] * by_value
        if depth < 2:
            shapes.append("nested")
        shape = self.pick(shapes)
        if shape == "nested":
            inner = "".join(self.member(tabs + "\t", owner, depth + 1) for _ in range(self.draw(st.integers(1, 3))))
            shape = f"{self.pick(('struct', 'union'))} {{\n{inner}{tabs}}}{self.pick(('', f' {name}', f' {name}[2]'))};"
        return f"{tabs}{shape}\n"


@st.composite
def headers(draw):
    """A random header, and tags and members for a program to name."""
    writer = Writer(draw)
    text = writer.header()
    tags = draw(st.lists(st.sampled_from(writer.tags), min_size=1, max_size=3, unique=True))
    members = draw(st.lists(st.sampled_from(writer.members), max_size=4, unique=True))
    return text, [writer.tagged(tag) for tag in tags], members


def using(tags: list[str], members: list[str]) -> str:
    """A program whose functions take pointers to the tags, hold some by value, and that names the members."""
    lines = ['#include "vmlinux.h"', PRELUDE, "struct mine { int a; } named = {};"]
    for number, member in enumerate(members):
        lines.append(f"struct own{number} {{ int {member}; }};")
        lines.append(f"int use{number}(struct own{number} *p) {{ return p->{member}; }}")
    for number, tag in enumerate(tags):
        lines.append(f'SEC("a") int f{number}({tag} *p, int (*g)({tag} *)) {{ return sizeof({tag}) + !!p; }}')
        lines.append(f"{tag} v{number};")
    return "\n".join(lines) + "\n"


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(headers())
def test_a_random_header_gives_the_same_object(clang, tmp_path_factory, drawn):
    text, tags, members = drawn
    lab = Lab(clang, tmp_path_factory.getbasetemp(), text)
    program = using(tags, members)
    for mode in ("exact", "lean"):
        verdict = lab.verdict(program, mode)
        assert verdict.equal, (text, program, verdict.differences)
    assert lab.settled(program, "fields").minimized.mode == "fields"


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(headers())
def test_every_size_and_offset_stays(clang, tmp_path_factory, drawn):
    """The full header's sizes and offsets, asked of clang, hold as static assertions over the minimized one."""
    text, tags, members = drawn
    lab = Lab(clang, tmp_path_factory.getbasetemp(), text)
    whole = [f"{tag}" for tag in tags]
    places = [(tag, name) for tag in whole for name in _own_members(text, tag)]
    asked = [f"sizeof({tag})" for tag in whole] + [f"__builtin_offsetof({tag}, {name})" for tag, name in places]
    probe = f'#include "vmlinux.h"\nSECTION unsigned long long answers[] = {{{", ".join(asked)}}};\n'
    probe = probe.replace("SECTION", '__attribute__((section(".answers")))')  # all zeros would else be .bss
    data = Elf.parse(lab.compiled(text, probe)).section(".answers").data
    answers = struct.unpack(f"<{len(asked)}Q", data)
    asserted = "".join(f'_Static_assert({what} == {value}, "");\n' for what, value in zip(asked, answers, strict=True))
    header = lab.minimized(
        f'#include "vmlinux.h"\n{" ".join(f"{tag} *p{n};" for n, tag in enumerate(tags))}\n', "lean"
    ).text
    lab.compiled(header, f'#include "vmlinux.h"\n{asserted}')


def _own_members(text: str, tag: str) -> list[str]:
    """The members of a struct that are no bitfields and not nested."""
    body = text[text.index(f"\n{tag} {{\n") :].split("\n}", 1)[0]
    found = []
    for line in body.split("\n"):
        if not line.startswith("\t") or line.startswith("\t\t") or any(mark in line for mark in ":{}"):
            continue
        words = [
            word
            for word in line.replace("*", " ").replace("[", " ").replace(")", " ").replace(";", " ").split()
            if word[0] == "m"
        ]
        found += words[:1]
    return found


def test_the_stub_is_what_a_program_sees_of_macros(lab):
    text = lab.clang_on(
        stub(lab.index), '#include "vmlinux.h"\n#ifdef __VMLINUX_H__\nkuid_t seen;\n#endif\n', "-E", "-dD"
    ).decode()
    assert "kuid_t" in names_of(text).words
