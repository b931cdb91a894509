"""Linked objects: what `bpftool gen object` makes of the same ones, byte for byte, and each refusal as one line."""

import re
import shutil
import subprocess
from typing import NamedTuple

import libraries
import pytest
from ebpfbuild.btf.canonical import canonical_object
from ebpfbuild.btf.reader import Btf
from ebpfbuild.elf.reader import Elf
from ebpfbuild.errors import LinkError
from ebpfbuild.link import child, linker as linking
from ebpfbuild.link.libraries import Linker, this_machine
from ebpfbuild.link.linker import linked, linked_object
from ebpfbuild.link.part import Part
from ebpfbuild.link.proof import prove_linked
from ebpfbuild.prove.objects import Verdict
from ebpfbuild.prove.proof import Proof
from ebpfbuild.spec.object import ObjectSpec

WHERE = "build/x86_64/both.bpf.o"
MAP = "struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, %d); __type(key, __u32); __type(value, __u64); } %s"
LICENSE = 'char LICENSE[] SEC("license") = "GPL";\n'
PROGRAM = 'SEC("xdp") int %s(void *ctx) { %s }\n'
DECLARED = "CO-RE and a struct that one only declares"


class Case(NamedTuple):
    """The sources of one object, each without its first line."""

    first: str
    second: str


CASES = {
    "a function and a variable of another source": Case(
        LICENSE + "extern int total; extern int note(int x);\n" + PROGRAM % ("on", "total += 1; return note(total);"),
        LICENSE + "int total = 5; __noinline int note(int x) { return x * total; }\n",
    ),
    "each from the other": Case(
        "extern int b(int x); __noinline int a(int x) { return x + 1; }\n" + PROGRAM % ("on", "return b(3);"),
        "extern int a(int x); __noinline int b(int x) { return a(x) * 2; }\n" + PROGRAM % ("off", "return a(3);"),
    ),
    "the map of another source": Case(
        f'extern {MAP % (4, "m")} SEC(".maps");\n'.replace("used", "")
        + PROGRAM % ("on", "__u32 k = 0; __u64 *v = bpf_map_lookup_elem(&m, &k); return v ? *v : 0;"),
        f'{MAP % (4, "m")} SEC(".maps");\n' + PROGRAM % ("off", "__u32 k = 1; return !!bpf_map_lookup_elem(&m, &k);"),
    ),
    "a map in each": Case(
        f'{MAP % (4, "one")} SEC(".maps");\n' + PROGRAM % ("on", "__u32 k = 0; return !!bpf_map_lookup_elem(&one, &k);"),
        f'{MAP % (8, "two")} SEC(".maps");\n' + PROGRAM % ("off", "__u32 k = 1; return !!bpf_map_lookup_elem(&two, &k);"),
    ),
    "a weak map and a strong one": Case(
        f'{MAP % (4, "m")} SEC(".maps") __weak;\n' + PROGRAM % ("on", "__u32 k = 0; return !!bpf_map_lookup_elem(&m, &k);"),
        f'{MAP % (4, "m")} SEC(".maps");\n' + PROGRAM % ("off", "__u32 k = 1; return !!bpf_map_lookup_elem(&m, &k);"),
    ),
    "two weak maps": Case(
        f'{MAP % (4, "m")} SEC(".maps") __weak;\n' + PROGRAM % ("on", "__u32 k = 0; return !!bpf_map_lookup_elem(&m, &k);"),
        f'{MAP % (4, "m")} SEC(".maps") __weak;\n' + PROGRAM % ("off", "__u32 k = 1; return !!bpf_map_lookup_elem(&m, &k);"),
    ),
    "a weak function and a strong one": Case(
        "__weak __noinline int note(int x) { return x; }\n" + PROGRAM % ("on", "return note(1);"),
        "__noinline int note(int x) { return x * 3; }\n" + PROGRAM % ("off", "return note(2);"),
    ),
    "two weak functions and a weak variable": Case(
        "int total __weak = 1; __weak __noinline int note(int x) { return x + total; }\n" + PROGRAM % ("on", "return note(1);"),
        "int total __weak = 2; __weak __noinline int note(int x) { return x * total; }\n" + PROGRAM % ("off", "return note(2);"),
    ),
    "hidden": Case(
        "extern int note(int x) __hidden; extern int secret __hidden;\n" + PROGRAM % ("on", "return note(secret);"),
        "int secret __hidden = 3; __hidden __noinline int note(int x) { return x * 3; }\n" + PROGRAM % ("off", "return note(2);"),
    ),
    "statics of one name": Case(
        "static volatile int n = 1; static __noinline int f(int x) { return x + n; }\n" + PROGRAM % ("on", "return f(1);"),
        "static volatile int n = 2; static __noinline int f(int x) { return x * n; }\n" + PROGRAM % ("off", "return f(2);"),
    ),
    "every data section": Case(
        "int zero; int set = 7; const volatile int fixed = 9; volatile char big[100];\n"
        + PROGRAM % ("on", 'return zero + set + fixed + big[3] + "abc"[fixed & 1];'),
        "long zero2; long set2 = 7; const volatile char fixed2 = 9;\n" + PROGRAM % ("off", "return zero2 + set2 + fixed2;"),
    ),
    "what the kernel has": Case(
        "extern int LINUX_KERNEL_VERSION __kconfig; extern const int some_ksym __ksym;\n"
        + PROGRAM % ("on", "return LINUX_KERNEL_VERSION + (long)&some_ksym;"),
        "extern int LINUX_KERNEL_VERSION __kconfig; extern void kfunc(void) __ksym;\n"
        + PROGRAM % ("off", "kfunc(); return LINUX_KERNEL_VERSION;"),
    ),
    DECLARED: Case(
        "struct task { int pid; struct task *next; } __core; extern int pid_of(struct task *task);\n"
        + PROGRAM % ("on", "struct task *t = ctx; return pid_of(t->next) + t->pid;"),
        "struct task; __noinline int pid_of(struct task *task) { return task ? 1 : 0; }\n" + PROGRAM % ("off", "return 0;"),
    ),
}


@pytest.fixture
def parts(compile_bpf):
    """A function: sources without their first line -> the parts that a build makes of them."""

    def make(*texts: str, target: str = "bpfel") -> list[Part]:
        sources = [f'#include "mini_bpf.h"\n{text}' for text in texts]
        objects = [canonical_object(compile_bpf(source, target, ("-Wno-ignored-attributes",))) for source in sources]
        return [Part(f"{name}.bpf.c", data) for name, data in zip(("main", "lib", "third"), objects)]

    return make


class Bpftool(NamedTuple):
    """A bpftool and the version of the libbpf in it, (0, 0) if it doesn't say."""

    path: str
    libbpf: tuple[int, int]


@pytest.fixture(scope="session")
def bpftool() -> Bpftool:
    """The machine's bpftool."""
    found = shutil.which("bpftool", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    said = subprocess.run([found, "version"], capture_output=True, text=True) if found else None
    if said is None or said.returncode:
        pytest.skip("this machine has no bpftool that runs, to compare with")
    version = re.search(r"using libbpf v(\d+)\.(\d+)", said.stdout)
    return Bpftool(str(found), (int(version[1]), int(version[2])) if version else (0, 0))


@pytest.mark.parametrize("name", CASES)
def test_it_is_what_bpftool_makes(name, parts, linker, bpftool, tmp_path):
    given = parts(*CASES[name])
    for part in given:
        (tmp_path / part.source).write_bytes(part.data)
    command = [bpftool.path, "gen", "object", "both.o", *(part.source for part in given)]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    theirs = (tmp_path / "both.o").read_bytes()
    if name == DECLARED and bpftool.libbpf < (1, 2):
        pytest.skip("this bpftool's libbpf, older than 1.2, leaves a struct and its declaration apart in BTF")
    assert linked(given, linker, WHERE) == theirs
    assert linked_object(given, linker, WHERE) == canonical_object(theirs)


@pytest.mark.parametrize("name", CASES)
def test_both_byte_orders_give_the_same_object_and_always_the_same(name, parts, linker):
    """Big-endian objects hold what little-endian ones hold: libbpf links them since 1.5."""
    facts = []
    for target in ("bpfel", "bpfeb"):
        given = parts(*CASES[name], target=target)
        data = linked_object(given, linker, WHERE)
        assert linked_object(given, linker, WHERE) == data
        elf = Elf.parse(data)
        btf = Btf.parse(elf.section(".BTF").data)
        symbols = [(row.name, row.type, row.bind, row.other, row.section, row.value) for row in elf.symbols]
        facts.append((len(data), [section.name for section in elf.sections], symbols, [str(kind) for kind in btf]))
        ObjectSpec.from_bytes(data).require_whole()
    assert facts[0] == facts[1]


def test_objects_that_are_linked_can_be_linked_again(parts, linker):
    first, second, third = parts(
        "extern int b(int x);\n" + PROGRAM % ("on", "return b(1);"),
        "extern int c(int x); __noinline int b(int x) { return c(x) + 1; }\n",
        "__noinline int c(int x) { return x * 2; }\n",
    )
    inner = Part("inner.bpf.o", linked_object([second, third], linker, "inner.bpf.o"))
    data = linked_object([first, inner], linker, WHERE)
    names = {symbol.name for symbol in Elf.parse(data).symbols}
    assert {"on", "b", "c"} <= names and not Elf.parse(data).undefined
    assert {row.name for row in Elf.parse(linked_object([first, second, third], linker, WHERE)).symbols} == names


REFUSED = {
    "a function twice": (
        ("__noinline int note(int x) { return x; }\n" + LICENSE, "__noinline int note(int x) { return x; }\n"),
        "note is defined by main.bpf.c and lib.bpf.c; keep one, or make it static in each, or __weak in all but one",
    ),
    "a variable twice": (
        ("int total = 1;\n", "int other;\n", "int total = 2;\n"),
        "total is defined by main.bpf.c and third.bpf.c; keep one, ",
    ),
    "other parameters": (
        ("extern int note(int x, int y);\n" + PROGRAM % ("on", "return note(1, 2);"), "__noinline int note(int x) { return x; }\n"),
        "note is declared differently by main.bpf.c and lib.bpf.c: incompatible number of func_proto params ",
    ),
    "another type": (
        ("extern long total;\n" + PROGRAM % ("on", "return total;"), "int total = 2;\n"),
        "total is declared differently by main.bpf.c and lib.bpf.c: incompatible int '",
    ),
    "another map": (
        (
            f'extern {MAP % (4, "m")} SEC(".maps");\n' + PROGRAM % ("on", "__u32 k = 0; return !!bpf_map_lookup_elem(&m, &k);"),
            f'{MAP % (8, "m")} SEC(".maps");\n',
        ),
        "m is declared differently by main.bpf.c and lib.bpf.c: map max_entries mismatch; put the declaration into a header ",
    ),
    "another licence": (
        (LICENSE, LICENSE.replace("GPL", "MIT")),
        "section license has other contents in main.bpf.c and lib.bpf.c; write the same in each of them",
    ),
    "another kind of section": (
        ('int f SEC("own") = 1;\n', 'SEC("own") int g(void *ctx) { return 0; }\n'),
        "section own is of another kind in main.bpf.c and lib.bpf.c (flags mismatch); give what lies in it sections of ",
    ),
    "nothing defines it": (
        ("extern int note(int x); extern int total;\n" + PROGRAM % ("on", "return note(total);"), LICENSE),
        "no source defines note, which main.bpf.c uses; name the source that does as well, or declare it __ksym if the kernel does",
    ),
    "nothing defines it, though it is weak": (
        ("extern int note(int x) __weak;\n" + PROGRAM % ("on", "return note(1);"), LICENSE),
        "no source defines note, which main.bpf.c uses; ",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("target", ["bpfel", "bpfeb"])
def test_a_refusal_is_one_line_that_names_the_sources(name, target, parts, linker):
    texts, said = REFUSED[name]
    with pytest.raises(LinkError) as caught:
        linked_object(parts(*texts, target=target), linker, WHERE)
    first = str(caught.value).splitlines()[0]
    said = said.replace("note", caught.value.what.split()[3].rstrip(",")) if name == "nothing defines it" else said
    assert first.startswith(f"{WHERE}: {said}")
    assert ".o'" not in str(caught.value) and "/tmp" not in str(caught.value)


def test_objects_of_two_byte_orders_are_refused(parts, linker):
    one, _ = parts("int a;\n", "int b;\n")
    _, other = parts("int a;\n", "int b;\n", target="bpfeb")
    with pytest.raises(LinkError, match="the objects have different byte orders; link objects of one arch"):
        linked_object([one, other], linker, WHERE)


def test_what_libbpf_says_otherwise_is_passed_on_with_the_sources(parts, linker):
    (one,) = parts("int a;\n")
    broken = one.data.replace(b"\x9f\xeb\x01\x00", b"\x9f\xec\x01\x00")  # BTF's magic
    with pytest.raises(LinkError, match="^both: libbpf's linker refuses the sources: failed to parse .BTF from main.bpf.c: "):
        linked([Part("main.bpf.c", broken)], linker, "both")


def test_a_crash_of_libbpf_is_told_and_ends_nothing(parts, linker):
    """libbpf 1.5 follows a null pointer where an input is no ELF file."""
    (one,) = parts("int a;\n")
    with pytest.raises(LinkError, match=r"libbpf's linker ended by itself \(Segmentation fault\); report it.*\n.* junk.bpf.c: "):
        linked([one, Part("junk.bpf.c", b"no object")], linker, WHERE)


def test_a_library_that_does_not_load_and_a_linker_that_does_not_run(parts, linker, tmp_path):
    (one,) = parts("int a;\n")
    (tmp_path / "libbpf.so").write_bytes(b"no library")
    with pytest.raises(LinkError, match="libbpf's linker can't be loaded here; "):
        linked([one], linker._replace(libraries=(str(tmp_path / "libbpf.so"),)), WHERE)
    with pytest.raises(LinkError, match=r"libbpf's linker does not run \(No such file or directory\)"):
        linked([one], linker._replace(program_loader=str(tmp_path / "none")), WHERE)


def test_one_that_hangs_is_stopped(parts, linker, tmp_path, monkeypatch):
    (one,) = parts("int a;\n")
    (tmp_path / "sleep.py").write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setattr(child, "__file__", str(tmp_path / "sleep.py"))
    monkeypatch.setattr(linking, "SECONDS", 0.5)
    with pytest.raises(LinkError, match="libbpf's linker did not end within 0.5 s"):
        linked([one], linker, WHERE)


@pytest.fixture(scope="session")
def older(pinned, tmp_path_factory) -> Linker:
    """A linker of libraries that this machine's own C library loads, with libbpf 1.1 where that is old."""
    folder = tmp_path_factory.mktemp("older")
    paths = []
    try:
        for tree in libraries.fitting(*this_machine()):
            ((name, path),) = pinned.tree(tree).items()
            paths.append(str(shutil.copy(path, folder / name)))
    except libraries.Missing as error:
        pytest.skip(str(error))
    return Linker(tuple(paths))


@pytest.mark.parametrize("name", sorted(CASES.keys() - {DECLARED}))
def test_it_is_the_same_with_the_machine_s_own_c_library(name, parts, linker, older):
    given = parts(*CASES[name])
    assert linked(given, older, WHERE) == linked(given, linker, WHERE)


def test_an_older_libbpf_that_links_no_big_endian_objects_says_so(parts, older):
    if "libbpf.so.1.1" not in older.libraries[-1]:
        pytest.skip("this machine loads a libbpf that links them")
    said = r"^both: libbpf's linker refuses the sources: unsupported byte order of ELF file main.bpf.c.*; look at what they share"
    with pytest.raises(LinkError, match=said):
        linked(parts("int a;\n", "int b;\n", target="bpfeb"), older, "both")


def test_it_runs_in_an_empty_environment(parts, linker, tmp_path, monkeypatch):
    (one,) = parts("int a;\n")
    (tmp_path / "show.py").write_text("import os, sys\nsys.exit(' '.join(sorted(os.environ)))\n")
    monkeypatch.setattr(child, "__file__", str(tmp_path / "show.py"))
    for name in ("LD_PRELOAD_NONE", "LIBBPF_STRICT", "PYTHONSTARTUP", "LIBELF"):
        monkeypatch.setenv(name, "x")
    with pytest.raises(LinkError) as caught:
        linked([one], linker, WHERE)
    assert set(caught.value.details[0].split()) <= {"LC_ALL", "LC_CTYPE", "PATH", "TZ"}


def test_a_proof_is_in_the_most_lenient_mode_and_tells_a_difference(parts, linker):
    given = parts(*CASES["a function and a variable of another source"])
    data = linked_object(given, linker, WHERE)
    proofs = [Proof(Verdict(mode, True), 1, "", "p", why) for mode, why in (("exact", ""), ("lean", "a reason"))]
    proof = prove_linked(given, data, proofs, linker, WHERE, "prover")
    assert (proof.verdict, proof.fallback, proof.prover) == (Verdict("lean", True), "a reason", "prover")
    assert proof.types > 5
    other = parts(*(text.replace("* total", "- total") for text in CASES["a function and a variable of another source"]))
    assert not prove_linked(other, data, proofs, linker, WHERE, "prover").verdict.equal
