"""Static probes with libbpf's usdt.bpf.h, built as users build: arguments of every form, semaphores, several probes."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import bpfloader
import pytest
from compiling import IN_GUEST

ROOT = Path(__file__).resolve().parents[3]
SCONSTRUCT = f"""
DefaultEnvironment(tools=[])
env = Environment(tools=["ebpf"], toolpath=[{str(ROOT / "site_scons" / "site_tools")!r}])
Default(env.BpfSkeleton(env.BpfObject("usdt", "usdt.bpf.c")))
"""
# A note in the format of systemtap's sys/sdt.h; the operands of the arguments are the compiler's choice.
PROBED = r"""
#include <stdlib.h>
#define NOTE(name, semaphore, text, ...) __asm__ volatile( \
    "990: nop\n.pushsection .note.stapsdt,\"\",\"note\"\n.balign 4\n.4byte 992f-991f, 994f-993f, 3\n" \
    "991: .asciz \"stapsdt\"\n992: .balign 4\n993: .8byte 990b\n.8byte _.stapsdt.base\n.8byte " semaphore "\n" \
    ".asciz \"tests\"\n.asciz \"" name "\"\n.asciz \"" text "\"\n994: .balign 4\n.popsection\n" \
    ".ifndef _.stapsdt.base\n.pushsection .stapsdt.base,\"aG\",\"progbits\",.stapsdt.base,comdat\n" \
    ".weak _.stapsdt.base\n.hidden _.stapsdt.base\n_.stapsdt.base: .space 1\n.size _.stapsdt.base, 1\n.popsection\n.endif\n" \
    :: __VA_ARGS__)
unsigned short tests_guarded_semaphore __attribute__((section(".probes"), used));
struct row { int before; int negative; unsigned char byte; short word; unsigned long large; };
__attribute__((noinline)) static void forms(int number, long large, signed char byte, unsigned short word, struct row *row)
{
    volatile long on_stack = -7;
    NOTE("forms", "0", "-4@%0 4@%0 -8@%1 -1@%2 2@%3 -4@%4 1@%5 -2@%6 8@%7 -8@%8 -4@%9 8@%10",
         "r"(number), "r"(large), "q"(byte), "r"(word), "m"(row->negative), "m"(row->byte), "m"(row->word), "m"(row->large),
         "m"(on_stack), "n"(-5), "n"(123456));
}
__attribute__((noinline)) static void none(void) { NOTE("none", "0", "", "n"(0)); }
__attribute__((noinline)) static void pair(int a, long b) { NOTE("pair", "0", "-4@%0 -8@%1", "r"(a), "r"(b)); }
__attribute__((noinline)) static void odd(void) { NOTE("odd", "0", "4@nowhere", "n"(0)); }
__attribute__((noinline)) static void guarded(int n) { NOTE("guarded", "tests_guarded_semaphore", "-4@%0", "r"(n)); }
int main(int argc, char **argv)
{
    struct row row = {1, -2, 200, -300, 0xfedcba9876543210};
    volatile unsigned short *enabled = &tests_guarded_semaphore;
    int raised = 0;
    for (int i = 0; i < atoi(argv[1]); i++) {
        forms(-1, 1L << 40, -3, 65535, &row);
        none();
        pair(i, 100);
        odd();
        if (*enabled) { raised = *enabled; guarded(i); }
    }
    return raised;
}
"""
# What `forms` tells: a register as signed and as unsigned, others of each width, memory of each width, constants.
FORMS = [-1, 0xFFFFFFFF, 1 << 40, -3, 65535, -2, 200, -300, 0xFEDCBA9876543210 - (1 << 64), -7, -5, 123456]


@pytest.fixture(scope="module")
def usdt(kernel, tmp_path_factory):
    """The class of usdt.bpf.c, built by scons with the pinned headers, whose usdt.bpf.h has to match libbpf."""
    if IN_GUEST:
        pytest.skip("a guest has no compiler")
    folder = tmp_path_factory.mktemp("usdt")
    (folder / "SConstruct").write_text(SCONSTRUCT)
    (folder / "usdt.bpf.c").write_text((ROOT / "tests" / "testdata" / "loader" / "usdt.bpf.c").read_text())
    mirror = os.environ.get("SCONS_BPF_MIRROR")
    command = [sys.executable, "-m", "SCons", "-Q", *([f"MIRROR={mirror}"] if mirror else [])]
    command += ["--offline"] if os.environ.get("SCONS_BPF_OFFLINE") == "1" else []
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if any(said in done.stdout + done.stderr for said in ("can be reached", "connects to nothing")):
        pytest.skip("the pinned headers can't be reached")
    assert done.returncode == 0, done.stdout + done.stderr
    (skeleton,) = folder.glob("build/*/usdt_skel.py")
    spec = importlib.util.spec_from_file_location("usdt_skel", skeleton)
    module = sys.modules["usdt_skel"] = importlib.util.module_from_spec(spec)
    sys.modules.setdefault("bpfloader", bpfloader)
    spec.loader.exec_module(module)
    return module.Usdt


@pytest.fixture(scope="module")
def probed(cc, tmp_path_factory) -> Path:
    """A program with probes; its argument is how often it meets each, its status the semaphore's value."""
    folder = tmp_path_factory.mktemp("probes")
    (folder / "probed.c").write_text(PROBED)
    # lld has .probes share a page of the file with .data.rel.ro, and the kernel may count there.
    command = [*cc, "-O1", "-Wl,-z,norelro", "-o", folder / "probed", folder / "probed.c"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"{cc[-1]} takes no such notes: {done.stderr[:200]}")
    return folder / "probed"


@pytest.fixture
def loaded_usdt(usdt):
    if tuple(map(int, bpfloader.version().split(".")[:2])) >= (1, 7):
        pytest.skip(f"libbpf {bpfloader.version()} has other specs than the pinned usdt.bpf.h of 1.5")
    with usdt.open() as bpf:
        bpf.load()
        yield bpf


def test_arguments_of_every_form(loaded_usdt, probed):
    bpf = loaded_usdt
    with bpf.progs.on_probe.attach(probed, "tests", "forms", cookie=2**40):
        subprocess.run([probed, "3"], check=True)
    assert list(bpf.bss.arguments) == FORMS
    assert (bpf.bss.hits, bpf.bss.count, bpf.bss.cookie) == (3, 12, 2**40)
    with bpf.progs.on_probe.attach(probed, "tests", "none"):
        subprocess.run([probed, "2"], check=True)
    assert (bpf.bss.hits, bpf.bss.count, bpf.bss.cookie) == (5, 0, 0)
    with bpf.progs.on_typed.attach(probed, "tests", "pair"):
        subprocess.run([probed, "8"], check=True)
    assert bpf.bss.second == 107


def test_a_semaphore_is_raised_while_a_program_is_attached(loaded_usdt, probed):
    bpf = loaded_usdt
    assert subprocess.run([probed, "3"]).returncode == 0  # nobody looks: it doesn't even come to the probe
    link = bpf.progs.on_probe.attach(probed, "tests", "guarded")
    other = bpf.progs.on_typed.attach(probed, "tests", "guarded")
    assert subprocess.run([probed, "3"]).returncode == 1 and bpf.bss.hits == 3 and bpf.bss.arguments[0] == 2
    other.detach()
    assert subprocess.run([probed, "3"]).returncode == 1 and bpf.bss.hits == 6
    link.detach()
    assert subprocess.run([probed, "3"]).returncode == 0 and bpf.bss.hits == 6


def test_a_libbpf_whose_arguments_have_another_form_is_refused(usdt, probed, monkeypatch):
    """1.7 writes 304 bytes for a probe, the pinned header of 1.5 reads 208; a newer one than 1.7 isn't known."""
    with usdt.open() as bpf:
        bpf.load()
        if not bpfloader.version().startswith("1.7."):
            monkeypatch.setattr("bpfloader.program.uprobe.version", lambda: "1.7.0")
        with pytest.raises(bpfloader.AttachError) as caught:
            bpf.progs.on_probe.attach(probed, "tests", "forms")
        said = str(caught.value)
        assert "it was built with the usdt.bpf.h of a libbpf before 1.7, and libbpf 1.7." in said
        assert "build it with this libbpf's header, or load it with the other libbpf" in said


def test_an_argument_that_libbpf_doesn_t_read_is_named(loaded_usdt, probed):
    with pytest.raises(bpfloader.AttachError) as caught:
        loaded_usdt.progs.on_probe.attach(probed, "tests", "odd")
    said = str(caught.value).splitlines()[0]
    assert f"argument 0 of the probe has the form 4@nowhere, which libbpf {bpfloader.version()} doesn't read" in said
    assert "install a newer libbpf, or take a uprobe at the function" in said


def test_without_the_header_the_message_names_it(clang, kernel, probed):
    from compiling import FLAGS, TESTDATA

    source = '#include "mini_bpf.h"\nSEC("usdt") int f(void *ctx) { return 0; }\nchar LICENSE[] SEC("license") = "GPL";\n'
    command = [*clang, *FLAGS, "-x", "c", "-c", "-", "-o", "-"]
    data = subprocess.run(command, input=source.encode(), cwd=TESTDATA, capture_output=True, check=True).stdout
    with bpfloader.Object.open(data) as bpf:
        bpf.load()
        with pytest.raises(bpfloader.AttachError) as caught:
            bpf.progs["f"].attach(probed, "tests", "none")
    assert "the object has no maps for static probes; include <bpf/usdt.bpf.h> in its source" in str(caught.value)
