"""`fields`: what it drops, and each known way in which a dropped member could change a program."""

import subprocess
import sys
from pathlib import Path

import ebpfbuild
import pytest
from minimize_lab import PRELUDE, Lab

HEADER = """#ifndef __VMLINUX_H__
#define __VMLINUX_H__
#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
struct eth {
	u8 dest[6];
	u8 source[6];
	u16 proto;
};
struct load {
	u64 weight;
	u32 inverse;
};
struct entity {
	u64 before;
	struct load load;
	u64 runtime;
	union {
		struct {
			u32 low;
			u32 high;
		};
		u64 both;
	};
};
struct ring {
	u32 head;
	u32 tail;
} __attribute__((packed));
struct task {
	void *stack;
	u32 first: 3;
	u32 second: 7;
	u32 third: 22;
	int pid;
	struct entity se;
	struct entity table[4];
	struct task *parent;
	struct {
		u32 inner;
		u32 other;
	} box;
	struct ring ring;
	struct list *unused;
	int (*hook)(struct eth *);
	u64 end;
};
struct ctx {
	u64 data;
	u64 data_end;
	struct task *task;
	struct eth *eth;
};
#pragma clang attribute pop
#endif
"""


@pytest.fixture(scope="module")
def lab(clang, tmp_path_factory):
    return Lab(clang, tmp_path_factory.mktemp("fields"), HEADER)


def program(body: str, outside: str = "") -> str:
    head = f'#include "vmlinux.h"\n{PRELUDE}\n{outside}\n'
    variables = "struct task *t = ctx->task; struct eth *e = ctx->eth;"
    return f'{head}SEC("tp") int prog(struct ctx *ctx) {{ {variables} {body} }}\n'


def test_only_named_members_are_kept(lab):
    text = lab.minimized(program("return t->se.runtime + t->box.inner;"), "fields").text
    for kept in ("u64 runtime;", "u32 inner;", "struct entity se;", "} box;", "struct task *task;"):
        assert kept in text
    for gone in ("pid", "third", "both", "other", "table", "hook", "unused", "data_end", "struct load"):
        assert gone not in text
    assert "{}" not in text


def test_members_of_nested_unions_keep_their_place(lab):
    source = program("return t->se.high;")
    assert lab.verdict(source, "fields").equal
    text = lab.minimized(source, "fields").text
    assert "\tunion {\n\t\tstruct {\n\t\t\tu32 high;\n\t\t};\n\t};\n" in text


def test_attributes_stay(lab):
    assert "} __attribute__((packed));" in lab.minimized(program("return t->ring.tail;"), "fields").text


TRAPS = {
    "pointer plus one": ("return (u64)(e + 1) > ctx->data_end ? 0 : e->proto;", "eth"),
    "sizeof": ("return sizeof(struct load) + t->se.load.inverse;", ""),
    "sizeof of an expression": ("return sizeof(t->se.load) + t->se.load.inverse;", "load"),
    "pointer difference": ("return &t->se - t->table + t->se.runtime;", "entity"),
    "typeof of a member": (
        "typeof(t->se.load) l; probe_read(&l, sizeof(l), CORE(&t->se.load)); return l.inverse;",
        "load",
    ),
    "a struct read by value": ("return READ(t, se.load).inverse;", "load"),
    "a variable index": ("return t->table[random() & 3].runtime;", "entity"),
    "a variable of the type": ("struct load l = {}; probe_read(&l, 12, ctx); return l.inverse + l.weight;", ""),
    "a struct assigned": ("static struct load l; l = t->se.load; return l.inverse;", ""),
}


@pytest.mark.parametrize("body, concerned", TRAPS.values(), ids=TRAPS)
def test_a_use_of_the_size_keeps_the_type_whole(lab, body, concerned):
    said = []
    settled = lab.settled(program(body), "fields", said.append)
    assert settled.minimized.mode == "fields"
    assert bool(concerned) == bool(settled.kept_whole) and (not concerned or concerned in settled.kept_whole)
    assert all("keeping" in text for text in said) and bool(said) == bool(concerned)


@pytest.mark.parametrize("field", ["first", "second", "third"])
def test_a_named_bitfield_keeps_its_neighbours(lab, field):
    settled = lab.settled(program(f"return t->{field};"), "fields")
    assert settled.minimized.mode == "fields"
    assert all(f"u32 {name}:" in settled.minimized.text for name in ("first", "second", "third"))


def test_type_matches_keeps_the_type_whole_though_no_code_would_tell(lab):
    matches = "return __builtin_preserve_type_info(*(typeof(struct entity) *)0, 2) + t->se.runtime;"
    text = lab.minimized(program(matches), "fields").text
    assert "u64 before;" in text and "u64 both;" in text and "u32 inverse;" in text
    exists = "return __builtin_preserve_type_info(*(typeof(struct entity) *)0, 0) + t->se.runtime;"
    assert "u64 before;" not in lab.minimized(program(exists), "fields").text


def test_a_struct_by_value_is_never_left_empty(lab):
    settled = lab.settled(program("probe_read(t, 8, &t->se); return 0;"), "fields")
    assert settled.minimized.mode == "fields" and "u64 before;" in settled.minimized.text
    assert "struct entity {\n};" not in settled.minimized.text


def test_a_map_value_is_whole(lab):
    outside = 'struct { int (*type)[1]; typeof(struct load) *value; } map SEC(".maps");'
    settled = lab.settled(program("return t->se.load.inverse;", outside), "fields")
    assert settled.minimized.mode == "fields" and "u64 weight;" in settled.minimized.text


def test_what_a_global_subprogram_takes_is_whole(lab):
    outside = "__attribute__((noinline)) int sub(struct load *l) { return l ? l->inverse : 0; }"
    settled = lab.settled(program("return sub(&t->se.load);", outside), "fields")
    assert settled.minimized.mode == "fields" and "u64 weight;" in settled.minimized.text


def test_two_members_in_one_statement_keep_the_struct_whole(lab, clang, tmp_path):
    header = HEADER.replace("\tu32 head;\n\tu32 tail;\n", "\tu32 head, tail;\n\tu32 more;\n")
    text = Lab(clang, tmp_path, header).minimized(program("return t->ring.tail;"), "fields").text
    assert "u32 head, tail;" in text and "u32 more;" in text


def test_the_other_modes_need_no_pycparser():
    code = (
        "import sys; from ebpfbuild.minimize import index, modes, names\n"
        "n = names.names_of('struct a b;'); i = index.index_header('struct a {\\n\\tint b;\\n};\\n')\n"
        "modes.minimize(i, n, 'exact', 'p', 'x', 'k', 's'); print('pycparser' in sys.modules)"
    )
    environment = {"PYTHONPATH": str(Path(ebpfbuild.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout == "False\n", done.stderr


def test_padding_before_the_closing_brace_is_not_written_twice(clang, tmp_path):
    """bpftool of Linux 5.16 to 6.2 wrote `\tlong: 64;};`; a bitfield named beside it keeps it."""
    header = HEADER.replace("struct eth {", "struct odd {\n\tint one;\n\tint used: 3;\n\tlong: 64;};\nstruct eth {", 1)
    lab = Lab(clang, tmp_path, header)
    program = f'#include "vmlinux.h"\n{PRELUDE}SEC("a") int f(struct odd *o) {{ return o->used; }}\n'
    assert "struct odd {\n\tint used: 3;\n\tlong: 64;};" in lab.minimized(program, "fields").text
    assert lab.settled(program, "fields").minimized.mode == "fields"
