"""Functions by names that libbpf refuses or doesn't know: versions, C++, indirect functions. Each counts real calls."""

import ctypes
import shutil
import subprocess
import sys
import warnings
from importlib.util import find_spec

import bpfloader
import pytest
from compiling import compile_text
from test_targets import refusal

VERSIONED = """
__asm__(".symver old_call, call@V1");
__asm__(".symver new_call, call@@V2");
__asm__(".symver only_call, hidden@V1");
__attribute__((noinline)) int old_call(int a) { __asm__ volatile(""); return a + 1; }
__attribute__((noinline)) int new_call(int a) { __asm__ volatile(""); return a + 2; }
__attribute__((noinline)) int only_call(int a) { __asm__ volatile(""); return a + 3; }
__attribute__((noinline)) static int first(void) { __asm__ volatile("" ::: "memory"); return 1; }
static void *choose(void) { return first; }
int chosen(void) __attribute__((ifunc("choose")));
int call_all(int a) { return old_call(a) + new_call(a) + only_call(a) + chosen(); }
"""
CPLUSPLUS = """
#include <stdlib.h>
#define OUT __attribute__((noinline)) { __asm__ volatile(""); return 1; }
namespace cluster {
    struct node { int id; };
    class front {
    public:
        __attribute__((noinline)) front() { __asm__ volatile(""); }
        int create(int number) __attribute__((noinline));
        int create(const node &other, const char *name) __attribute__((noinline));
        int operator+(int) const __attribute__((noinline));
        template <typename T> int made(T) __attribute__((noinline));
    };
    int front::create(int) { __asm__ volatile(""); return 1; }
    int front::create(const node &, const char *) { __asm__ volatile(""); return 2; }
    int front::operator+(int) const { __asm__ volatile(""); return 3; }
    template <typename T> int front::made(T) { __asm__ volatile(""); return 4; }
    namespace { __attribute__((noinline)) int hidden(long *) { __asm__ volatile(""); return 5; } }
}
int main(int argc, char **argv)
{
    int sum = 0;
    for (int i = 0; i < atoi(argv[1]); i++) {
        cluster::front it;
        cluster::node other = {1};
        long here = 0;
        sum += it.create(i) + it.create(other, "x") + (it + 1) + it.made<char>('c') + cluster::hidden(&here);
    }
    return sum == -1;
}
"""


@pytest.fixture(scope="module")
def library(cc, tmp_path_factory):
    """A library with two versions of `call`, one of `hidden` that isn't the default, and the indirect `chosen`."""
    folder = tmp_path_factory.mktemp("versions")
    (folder / "versions.c").write_text(VERSIONED)
    (folder / "versions.map").write_text("V1 { global: call; hidden; chosen; call_all; local: *; };\nV2 { global: call; } V1;\n")
    command = [*cc, "-O1", "-shared", "-fPIC", "-Wl,--version-script=versions.map", "-o", "libversions.so.1", "versions.c"]
    if subprocess.run(command, cwd=folder, capture_output=True).returncode:
        pytest.skip(f"{cc[-1]} makes no versioned or no indirect functions here")
    return folder / "libversions.so.1"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A program of C++; its argument is how often it calls each function."""
    own = next(filter(shutil.which, ("g++", "c++", "clang++")), None)
    if not own and find_spec("ziglang") is None:
        pytest.skip("there is no C++ compiler")
    folder = tmp_path_factory.mktemp("cplusplus")
    (folder / "cluster.cc").write_text(CPLUSPLUS)
    # `zig c++` would compile all of libc++ first, for minutes.
    zig = [sys.executable, "-m", "ziglang", "cc", "-fno-sanitize=all", "-fno-exceptions", "-x", "c++"]
    compiler = [own] if own else zig
    subprocess.run([*compiler, "-O1", "-o", folder / "cluster", folder / "cluster.cc"], check=True)
    return folder / "cluster"


def test_versions(start, library):
    """The default version by the plain name, each by its own, and a list of them for one that isn't there."""
    bpf = start("on_uprobe")
    attach, shared = bpf.progs.on_uprobe.attach, ctypes.CDLL(str(library))
    for name, hits in {"call": 1, "call@V1": 1, "call@@V2": 1, "call@V2": 1, "hidden": 1, "hidden@V1": 1}.items():
        before = bpf.bss.hits
        with attach(library, name):
            shared.call_all(1)
        assert bpf.bss.hits == before + hits, name
    with attach(library, "call"):
        before = bpf.bss.hits
        shared.call(1)  # the dynamic loader takes the default version too
        assert bpf.bss.hits == before + 1
    said = refusal(attach, library, "call@V9")
    assert f"{library} has no call@V9; it has call@@V2 (offset 0x" in said and "call@V1 (offset 0x" in said
    assert "name one of these, or leave the version out" in said


@pytest.mark.parametrize("name", ["pthread_create", "dlsym", "realpath", "posix_spawn"])
def test_functions_that_glibc_has_in_several_versions(start, name):
    bpf = start("on_uprobe")
    bpf.progs.on_uprobe.attach("libc.so.6", name)
    libc = ctypes.CDLL(None)
    before = bpf.bss.hits
    if name == "realpath":
        libc.realpath(b"/", ctypes.create_string_buffer(5000))
    elif name == "dlsym":
        _ = libc.getppid
    if name in ("realpath", "dlsym"):
        assert bpf.bss.hits > before


def test_indirect_functions_are_the_ones_that_the_loader_chose(start, library):
    bpf = start("on_uprobe")
    attach, shared = bpf.progs.on_uprobe.attach, ctypes.CDLL(str(library))
    with attach(library, "chosen"):
        shared.call_all(1)
        shared.chosen()
    assert bpf.bss.hits == 2
    with attach("libm.so.6", "cos"):
        cos = ctypes.CDLL("libm.so.6").cos
        cos.restype, cos.argtypes = ctypes.c_double, [ctypes.c_double]
        before = bpf.bss.hits
        cos(1.5)
        assert bpf.bss.hits == before + 1


def test_an_indirect_function_of_a_library_that_isn_t_loaded(start, library, tmp_path):
    """It isn't loaded to find out: that would run its code."""
    copy = tmp_path / "libcopy.so.1"
    shutil.copy(library, copy)
    said = refusal(start("on_uprobe").progs.on_uprobe.attach, copy, "chosen")
    assert f"{copy} chooses chosen as it is loaded (an indirect function), and isn't loaded in this process" in said
    assert f'give the offset of an implementation, or load it here first, if you trust it: ctypes.CDLL("{copy}")' in said


@pytest.mark.parametrize("name, functions", [
    ("cluster::front::create", 2), ("cluster::front::create(int)", 1),
    ("cluster::front::create(const cluster::node&, const char*)", 1),
    ("cluster::front::create(cluster::node const&, char const*)", 1), ("cluster::front::front", 1),
    ("cluster::front::operator+", 1), ("cluster::front::operator+(int) const", 1), ("cluster::front::made", 1),
    ("cluster::front::made<char>", 1), ("cluster::(anonymous namespace)::hidden", 1),
])  # fmt: skip
def test_names_of_c_plus_plus(start, cluster, name, functions):
    bpf = start("on_uprobe")
    link = bpf.progs.on_uprobe.attach(cluster, name)
    subprocess.run([cluster, "3"], check=True)
    assert bpf.bss.hits == 3 * functions and len(bpf.links) == 1 + (functions if functions > 1 else 0)
    link.detach()
    subprocess.run([cluster, "3"], check=True)
    assert bpf.bss.hits == 3 * functions and len(bpf.links) == 0


def test_a_name_of_c_plus_plus_that_isn_t_there(start, cluster):
    attach = start("on_uprobe").progs.on_uprobe.attach
    assert "has no function cluster::front::craete; nearest: cluster::front::create" in refusal(attach, cluster, "cluster::front::craete")
    assert "nearest: cluster::front::create" in refusal(attach, cluster, "cluster::front::create(char)")


# Symbols that rustc writes, by both of its manglings, and the names by which each is found.
RUST = {
    "_RNvNtCs6GmmlP4bgsG_3app5inner3run": ["app::inner::run"],
    "_RNvMNtCs6GmmlP4bgsG_3app5innerNtB2_6Server2go": ["<app::inner::Server>::go", "app::inner::Server::go"],
    "_RNvXs_NtCs6GmmlP4bgsG_3app5innerNtB4_6ServerNtB4_4Work4step": ["<app::inner::Server as app::inner::Work>::step"],
    "_RINvNtCs6GmmlP4bgsG_3app5inner3putmE": ["app::inner::put::<u32>", "app::inner::put"],
    "_RINvNtCs6GmmlP4bgsG_3app5inner3puthE": ["app::inner::put::<u8>", "app::inner::put"],
    "_RNvNtCs6GmmlP4bgsG_3app5inner4__new": ["app::inner::_new"],
    "_RNCNvCs6GmmlP4bgsG_3app4main0": ["app::main::{closure#0}"],
    "_ZN3app3old4find17h0123456789abcdefE": ["app::old::find"],
    "_ZN3app3old4find17hfedcba9876543210E": ["app::old::find"],
    "_ZN43_$LT$app..old..S$u20$as$u20$app..old..T$GT$4read17h0123456789abcdefE": ["<app::old::S as app::old::T>::read"],
}


@pytest.fixture(scope="module")
def rust(cc, tmp_path_factory):
    """A program with functions of these symbols; its argument is how often it calls each."""
    folder = tmp_path_factory.mktemp("rust")
    names = [f'int f{number}(int) __asm__("{symbol}");' for number, symbol in enumerate(RUST)]
    made = [f'__attribute__((noinline)) int f{number}(int a) {{ __asm__ volatile(""); return a + {number}; }}' for number in range(len(RUST))]
    calls = "".join(f"sum += f{number}(i);" for number in range(len(RUST)))
    main = f"int main(int argc, char **argv) {{ int sum = 0; for (int i = 0; i < atoi(argv[1]); i++) {{ {calls} }} return sum == -1; }}"
    (folder / "app.c").write_text("\n".join(["#include <stdlib.h>", *names, *made, main]))
    subprocess.run([*cc, "-O1", "-o", folder / "app", folder / "app.c"], check=True)
    return folder / "app"


def test_names_of_rust(start, rust):
    bpf = start("on_uprobe")
    for name in sorted({name for names in RUST.values() for name in names}):
        before = bpf.bss.hits
        with bpf.progs.on_uprobe.attach(rust, name):
            subprocess.run([rust, "3"], check=True)
        assert bpf.bss.hits - before == 3 * sum(name in names for names in RUST.values()), name
    attach = bpf.progs.on_uprobe.attach
    assert "has no function app::inner::runn; nearest: app::inner::run" in refusal(attach, rust, "app::inner::runn")
    assert "nearest: app::old::find" in refusal(attach, rust, "app::find")


def test_a_section_names_a_function_of_rust_or_c_plus_plus(clang, kernel, rust, cluster):
    named = [(rust, "app::inner::put", 2), (cluster, "cluster::front::create(int)", 1)]
    named += [(cluster, f"cluster::front::operator+{rest}", 1) for rest in ("", "(int) const", "+0", "+0x0", "(int) const+0")]
    for path, name, functions in named:
        text = f"""#include "mini_bpf.h"
            __u64 hits;
            SEC("uprobe/{path}:{name}") int on_call(void *ctx) {{ __atomic_fetch_add(&hits, 1, __ATOMIC_RELAXED); return 0; }}
            char LICENSE[] SEC("license") = "GPL";"""
        with bpfloader.Object.open(compile_text(clang, text)) as bpf:
            bpf.load()
            bpf.attach()
            subprocess.run([path, "3"], check=True)
            (section,) = [each for each in bpf.maps if each.name.endswith("bss")]
            with bpfloader.open_map(section.id) as variables:
                assert variables[0].hits == 3 * functions


GO = """
__attribute__((section(".go.buildinfo"))) volatile const char built[] = "\\xff Go buildinf:";
__attribute__((noinline)) void serve(void) { __asm__ volatile(""); }
int main(void) { serve(); return !built[0]; }  /* else a linker leaves it out */
"""


def test_a_return_probe_in_a_go_program_is_warned_of(start, cc, tmp_path):
    """The runtime of Go ends the process where it finds a probe's return address on a stack (bcc #1320)."""
    (tmp_path / "main.c").write_text(GO)
    subprocess.run([*cc, "-O1", "-o", tmp_path / "main", tmp_path / "main.c"], check=True)
    bpf = start("on_uprobe", "on_uretprobe")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bpf.progs.on_uprobe.attach(tmp_path / "main", "serve")
        bpf.progs.on_uretprobe.attach("libc.so.6", "getppid").detach()  # others call it, too
    with pytest.warns(RuntimeWarning, match=f"{tmp_path}/main is a Go program, which the return probe on_uretprobe may crash"):
        bpf.progs.on_uretprobe.attach(tmp_path / "main", "serve").detach()
    subprocess.run([tmp_path / "main"], check=True)
    assert bpf.bss.hits == 1


def test_many_at_once_take_the_same_names(start, cluster, monkeypatch):
    """uprobe.multi gets offsets; a cookie and a semaphore go with each function of a C++ name."""
    taken = {}

    def link(self, verb, process, path, pattern, options, **request):
        taken.update(offsets=list(options.offsets[: options.cnt]), cookies=list(options.cookies[: options.cnt]), pattern=pattern)

    monkeypatch.setattr(bpfloader.UprobeMultiProgram, "_link", link)
    program = object.__new__(bpfloader.UprobeMultiProgram)
    program.name, program.section = "many", "uprobe.multi"
    program.attach(cluster, functions=["main", "cluster::front::create"], cookies=[7, 9])
    assert taken["cookies"] == [7, 9, 9] and len(set(taken["offsets"])) == 3 and taken["pattern"] is None
