"""Every identifier that clang sees in a program is a name that the minimizer sees, and every tag is a tag."""

import re
import subprocess
from pathlib import Path

import pytest
from ebpfbuild.minimize.emit import stub
from ebpfbuild.minimize.index import index_header
from ebpfbuild.minimize.names import names_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from raw_object import differences
from step_lab import MODES, StepLab

HEADER = (Path(__file__).parents[2] / "testdata" / "minimize" / "vmlinux.h").read_text()
INDEX = index_header(HEADER)
FLAGS = "-target bpfel -std=gnu11 -fms-extensions -w".split()
TAGS = ("struct task", "struct file", "union both", "enum color", "struct mine")
ATTRIBUTES = (
    "__attribute__((packed))",
    "__attribute ((__aligned__(8)))",
    '__attribute__((annotate("x) struct y (\\" ")))',
    "__attribute__((aligned(sizeof(struct ns))))",
    "__declspec(align(8))",
    "[[clang::annotate(\"a]]\")]]",
    "<:<:gnu::packed:>:>",
    "/* struct no */",
    "// struct no\n",
)
STRINGS = (
    'R"(a"b)"', 'LR"x()")x"', 'u8R"(\n# 7 "other.h"\n#pragma no\n)"', '"R\\"("', "'\"'", '"/* " "\'"', "L'\\''", 'R"(\\)"', "u8\"\\\\\"",
)  # fmt: skip
SPACES = (" ", "\n", "\t", " \\\n ", "/* \" */", "\n#pragma GCC poison nobody\n", "\n#define QUOTE ' \"\n", "\n# 99 \"elsewhere.c\"\n")


@st.composite
def fragments(draw):
    """A piece of a program: tags behind attributes, members in each form, strings that may lead astray."""
    pick = lambda values: draw(st.sampled_from(values))  # noqa: E731
    keyword, tag = pick(TAGS).split()
    between = "".join(pick(SPACES) + pick(ATTRIBUTES) for _ in range(draw(st.integers(0, 3)))) + pick(SPACES)
    name, member = f"v{draw(st.integers(0, 99))}", pick(("mm", "f_op", "pid", "é", "a$b", "u32"))
    return pick((
        f"{keyword}{between}{tag} *{name};",
        f"{keyword}{between}{tag} *{name}[2], **{name}_;",
        f"int {name} = sizeof({keyword}{between}{tag});",
        f"const char {name}[] = {pick(STRINGS)};",
        f"int {name} = sizeof {pick(STRINGS)} + p->{pick(SPACES)}{member}{pick(SPACES)}.{pick(SPACES)}pid;",
        f"typeof({keyword}{between}{tag} *) {name} = <% .{member} = 1, [0 ... 3].{member} = 2, {member}: 3 %>;",
        f"int {name} = __builtin_offsetof({keyword}{between}{tag}, {member}[')'].f_uid);",
        f"int {name}(a) {keyword}{between}{tag} *a; <% return _Generic(a, {keyword} {tag} *: 1, default: x ? a : {member}); %>",
        f"__extension__ _Alignas({keyword} {tag}) int {name} = ({{ {member}: sizeof({keyword}{between}{tag}); }});",
        f"#define M{name} {keyword}{between.translate({10: 32})}\nM{name} {tag} *{name};" if "#" not in between and "//" not in between else ";",
        f"int {name} = 5.e+1 + 0x1p3 ...{member};",
        f"static {keyword} {tag} *{name}_[2], *(*{name})(int) = (void *)1;",
    ))  # fmt: skip


class Clang:
    def __init__(self, argv, folder):
        self.argv, self.folder = argv, folder
        (folder / "vmlinux.h").write_text(stub(INDEX))

    def run(self, program: str, *flags: str) -> subprocess.CompletedProcess:
        (self.folder / "p.c").write_text(program)
        command = [*self.argv, *FLAGS, "-I.", *flags, "p.c"]
        return subprocess.run(command, cwd=self.folder, capture_output=True, check=False)

    def names(self, program: str):
        return names_of(self.run(program, "-E", "-dD").stdout.decode())

    def tokens(self, program: str) -> list[tuple[str, str]]:
        """(kind, spelling) of each of clang's tokens."""
        text = self.run(program, "-fsyntax-only", "-Xclang", "-dump-tokens").stderr.decode()
        return re.findall(r"^(\w+) '(.*?)'\t", text, re.M | re.S)


@pytest.fixture(scope="module")
def compiler(clang, tmp_path_factory):
    return Clang(clang, tmp_path_factory.mktemp("tokens"))


def tags_in(tokens: list[tuple[str, str]]) -> set[str]:
    """The identifiers behind struct, union and enum, attributes skipped by their brackets."""
    found, pairs = set(), {"l_paren": 1, "l_square": 1, "r_paren": -1, "r_square": -1}
    for place, (kind, _) in enumerate(tokens):
        depth, place = 0, place + 1
        while kind in ("struct", "union", "enum") and place < len(tokens):
            depth += pairs.get(tokens[place][0], 0)
            if not depth and tokens[place][0] not in ("__attribute", "__declspec", "r_paren", "r_square"):
                found.update([tokens[place][1]] if tokens[place][0] == "identifier" else [])
                break
            place += 1
    return found


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(fragments(), min_size=1, max_size=8))
def test_every_identifier_and_every_tag_that_clang_sees_is_found(compiler, drawn):
    program = '#include "vmlinux.h"\n' + "\n".join(drawn) + "\nstruct last *end;\n"
    tokens, names = compiler.tokens(program), compiler.names(program)
    identifiers = {text for kind, text in tokens if kind == "identifier" and re.fullmatch(r"[A-Za-z_]\w*", text, re.A)}
    assert "end" in identifiers and "last" in names.tags
    assert identifiers <= names.tags | names.members | names.words, program
    assert tags_in(tokens) <= names.tags, program
    behind = {tokens[at][1] for at in range(1, len(tokens)) if tokens[at - 1][0] in ("period", "arrow")}
    assert {name for name in behind if name in identifiers} <= names.members, program


PRELUDE = '#include "vmlinux.h"\n#define SEC(name) __attribute__((section(name), used))\n'
END = 'SEC("tp/a/b") int f(void *c) { return gp[0] == c; }\nchar LICENSE[] SEC("license") = "GPL";\n'
MISSED = {
    "a raw string": 'const char s[] = R"(a"b)"; struct file *gp[2]; const char t[] = "x";',
    "a line marker in a raw string": 'const char s[] = R"(\n# 1 "libbpf/bpf/bpf_helper_defs.h"\n)"; struct file *gp[2];',
    "two attributes": "struct __attribute__((aligned(8))) __attribute__((packed)) file *gp[2];",
    "another spelling": "struct __attribute((aligned(8))) file *gp[2];",
    "declspec": "struct __declspec(align(8)) file *gp[2];",
    "a header named as libbpf's": '#include "own/bpf_helper_defs.h"',
    "its folder, too": '#include "sub/bpf/bpf_helper_defs.h"',
    "a pointer beside a function's": "static struct file *gp[2], *(*other)(int) = (void *)1;",
}
OWN = {"own/bpf_helper_defs.h": "struct file *gp[2];\n", "sub/bpf/bpf_helper_defs.h": "struct file *gp[2];\n"}


@pytest.fixture(scope="module")
def lab(clang, tmp_path_factory):
    return StepLab(clang, tmp_path_factory.mktemp("missed"), HEADER)


@pytest.mark.parametrize("code", MISSED.values(), ids=MISSED)
def test_a_name_in_an_odd_place_is_kept(lab, code):
    program = f"{PRELUDE}/* don't */ {code} // isn't\n{END}"
    full = lab.build(program, "off", OWN)
    for mode in MODES[1:]:
        made = lab.build(program, mode, OWN)
        assert made.notices == () and differences(full.object, made.object, mode) == []
