"""The assembler reads no file that the graph doesn't know, however the directive is written; other assembly passes."""

import pytest

EACH = """
for name in sorted(os.listdir("cases")):
    env.BpfObject("cases/" + name, minimize=ARGUMENTS.get("MODE", "exact"))
"""
BAD = [
    r'asm(".include \"data.s\"");',
    r'asm(".inc" "bin \"data.s\"");',
    r'__asm__(".INCBIN \"data.s\"");',
    '#define STR(x) #x\n#define READ(d, f) asm(STR(.d f))\nREAD(incbin, "data.s");',
    r'asm(".macro m a b\n.\\a\\b \"data.s\"\n.endm\nm inc bin");',
    r'asm(".irp a,bin\n.inc\\a \"data.s\"\n.endr");',
    '#define CAT(a, b) a##b\n' + r'CAT(as, m)(".incbin \"data.s\"");',
    'a\\\nsm(".incbin \\"data.s\\"");',
    '#include "own.h"',
    r'SEC("xdp") int f(void *c) { asm volatile("goto 1f; .incbin \"data.s\"; 1:"); return 0; }',
    r'asm("#NO_APP\n.ascii \"x\"; .incbin \"data.s\"");',
]
GOOD = r"""
/* asm(".incbin \"data.s\"") is refused */
const char text[] SEC(".rodata.x") = ".incbin \"a\"; .include";
struct include { int macro; };
SEC("xdp") int f(void *c)
{
	static struct include include;
	long r = 1;

	asm volatile("%0 += 1; .8byte 0xb7" : "+r"(r));
	asm volatile("" : : "r"(&include) : "memory");
	return r + include.macro; // asm(".incbin") here
}
asm(".section .note, \"\"\n.byte 1\n.previous");
"""


def add(project, name, text):
    (project.folder / "cases").mkdir(exist_ok=True)
    (project.folder / f"cases/{name}.bpf.c").write_text(
        f'#include "vmlinux.h"\n#include <bpf/bpf_helpers.h>\n{text}\nchar LICENSE[] SEC("license") = "GPL";\n'
    )


def test_assembly_that_reads_a_file_is_refused_and_other_assembly_passes(declare):
    project = declare(EACH)
    (project.folder / "data.s").write_text(".byte 1\n")
    (project.folder / "include/own.h").write_text('asm(".incbin \\"data.s\\"");\n')
    for number, text in enumerate(BAD):
        add(project, f"bad{number:02}", text)
    add(project, "good", GOOD)
    for mode in ("off", "exact"):
        text = project.fails("ARCH=x86_64", "-k", f"MODE={mode}")
        for number in range(len(BAD)):
            assert f"cases/bad{number:02}.bpf.c: tells the assembler ." in text, (mode, number, text)
        assert [path.name for path in (project.folder / "build/x86_64").glob("*.o")] == ["good.bpf.o"]


@pytest.mark.parametrize("text", ["int plasma, assemble, asmx;", "/* no word of it */", "int a, s, b;"])
def test_what_holds_no_assembly_costs_no_second_run(text):
    from ebpfbuild.compile.assembly import may_assemble

    assert not may_assemble([text])


@pytest.mark.parametrize("text", [
    r'asm(".\x69nclude \"none.s\"");',
    r'asm(".incbin none");',
    r'asm("bogus"); asm(".inc\x62in \"none\"");',
    'asm(".macro m\\nbogus\\n.endm\\nm");',
])  # fmt: skip
def test_it_is_refused_before_the_assembler_speaks(declare, text):
    """Where the file isn't there, or isn't named as it should be, the assembler fails first."""
    project = declare(EACH)
    add(project, "bad", text)
    lines = [line for line in project.fails("ARCH=x86_64").splitlines() if line.startswith(("scons: ***", " "))]
    assert len(lines) == 1 and "cases/bad.bpf.c: tells the assembler ." in lines[0]


@pytest.mark.parametrize(("text", "said"), [
    ('asm("bogus insn");', "<inline asm>:1:1: "),
    ('int x = 3 +; asm(".include \\"f\\"");', "expected expression"),
    ('asm("bogus"); int f(void) { return strlen(""); }', "undeclared library function 'strlen'"),
])  # fmt: skip
def test_other_errors_stay_the_compilers(declare, text, said):
    project = declare(EACH)
    add(project, "bad", text)
    assert said in project.fails("ARCH=x86_64")
