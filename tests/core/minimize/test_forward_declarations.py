"""A type that the full header declares and never defines is declared by the minimized one, too, as the header does it."""

import re
from pathlib import Path

import pytest
from ebpfbuild.minimize.index import index_header
from ebpfbuild.minimize.modes import minimize
from ebpfbuild.minimize.names import UsedNames
from ebpfbuild.minimize.why import why
from raw_object import differences
from step_lab import MODES, StepLab
from slow import slow_after

HEADER = (Path(__file__).parents[2] / "testdata" / "minimize" / "vmlinux.h").read_text()
DECLARED = "\nstruct only;\n\nunion either;\n\nenum later;\n\ntypedef struct only only_t;\n\nstruct holder {\n\tstruct only *held;\n};\n"
HEADER = HEADER.replace("\nstruct inode;\n", f"{DECLARED}\nstruct inode;\n", 1)
PRELUDE = """#include "vmlinux.h"
#define SEC(name) __attribute__((section(name), used))
char LICENSE[] SEC("license") = "GPL";
"""
# As BPF_PROG spells it: a prototype, the program that calls it, its definition.
BPF_PROG = 'static int f_({0} *x); SEC("tp_btf/a") int f(u64 *c) {{ return f_((void *)c[0]); }} static int f_({0} *x) {{ return !!x; }}'
USES = {
    "an argument": BPF_PROG,
    "a global function's": '__attribute__((noinline)) int g({0} *x) {{ return !!x; }} SEC("tc") int f(void *c) {{ return g(c); }}',
    "a variable": '{0} *v[2]; SEC("tc") int f(void *c) {{ return v[0] == c; }}',
    "a member": 'struct mine {{ {0} *x; }} v; SEC("tc") int f(void *c) {{ return v.x == c; }}',
    "a type relocation": 'SEC("tc") int f(void *c) {{ return __builtin_preserve_type_info(*({0} *)0, 0); }}',
    "another's member": '{0} *g; SEC("tc") int f(struct holder *h) {{ return h->held == (void *)g; }}',
    "its own, defined": '{0} {{ int a; }}; SEC("tc") int f(u64 *c) {{ {0} *x = (void *)c[0]; return x->a; }}',
    "its own, defined ahead": "{0} {{ int a; }};\n" + BPF_PROG,
}


@pytest.fixture(scope="module")
def lab(clang, tmp_path_factory):
    return StepLab(clang, tmp_path_factory.mktemp("forwards"), HEADER)


TAGS = ("struct only", "union either", "enum later", "only_t")
CASES = [
    (use, tag) for use in USES for tag in TAGS[: 2 if "defined" in use else 4]
]  # an enum is defined in another way


@pytest.mark.parametrize("use, tag", slow_after(14, CASES))
def test_the_object_is_the_full_headers(lab, use, tag):
    program = PRELUDE + USES[use].format(tag)
    full = lab.build(program, "off")
    for mode in MODES[1:]:
        made = lab.build(program, mode)
        assert made.notices == () and f"{tag};" in made.header
        assert differences(full.object, made.object, mode) == []


def test_a_declaration_before_the_header_changes_nothing(lab):
    program = "struct only { int a; };\n" + PRELUDE + USES["an argument"].format("struct only")
    full = lab.build(program, "off")
    assert differences(full.object, lab.build(program, "exact").object, "exact") == []


@pytest.mark.parametrize("rename", ["only", "either"])
def test_its_other_name_is_kept_as_well(lab, rename):
    tag = "struct only" if rename == "only" else "union either"
    program = f"#define {rename} {rename}___old\n{PRELUDE}#undef {rename}\n" + BPF_PROG.format(f"{tag}___old")
    program += f"\n{tag} {{ int own; }} mine;\n"
    full, made = lab.build(program, "off"), lab.build(program, "exact")
    assert made.notices == () and differences(full.object, made.object, "exact") == []


@pytest.mark.parametrize("arch", ["x86_64", "aarch64", "arm", "s390x"])
def test_every_such_type_of_a_pinned_header(clang, tmp_path_factory, pinned, arch):
    text = pinned.vmlinux(arch).read_text()
    index = index_header(text)
    tags = [index.declaration(number).rstrip(";") for number in index.only_declared.values()]
    assert len(tags) > 50 and not any(re.search(rf"{tag} {{", text) for tag in tags)
    uses = [re.sub(r"\b(f_?|a)\b", rf"\g<1>{number}", BPF_PROG.format(tag)) for number, tag in enumerate(tags)]
    lab, program = StepLab(clang, tmp_path_factory.mktemp("all"), text, arch=arch), PRELUDE + "\n".join(uses)
    full, made = lab.build(program, "off"), lab.build(program, "exact")
    assert made.notices == () and differences(full.object, made.object, "exact") == []


def test_why_says_that_the_program_names_it():
    index = index_header(HEADER)
    made = minimize(index, UsedNames(frozenset({"only"}), frozenset(), frozenset()), "exact", "p", "x86_64", "6.19", "00")
    assert why(made, "only", {"only": "p.bpf.c:3"}.get) == ["struct only: named by the program as only (p.bpf.c:3)"]
    assert [each.name for each in made.kept] == ["struct only"] and not made.kept[0].whole
