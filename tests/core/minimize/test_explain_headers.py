"""A compile that misses a header is told which one to take; one that misses a type is told who has it."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from ebpfbuild.arch import arch_named
from ebpfbuild.compile.args import CompileArgs
from ebpfbuild.compile.object import compile_error
from ebpfbuild.fetch.alternates import alternate_with
from ebpfbuild.minimize.explain import GNU_DIALECT, explain
from ebpfbuild.minimize.index import index_header
from ebpfbuild.minimize.index_cache import explained
from ebpfbuild.minimize.libbpf_headers import libbpf_names
from ebpfbuild.pins.pins import ArtifactSource, HeaderPin

INDEX = index_header((Path(__file__).parents[2] / "testdata" / "minimize" / "vmlinux.h").read_text())
ARGS = CompileArgs(("clang",), arch_named("x86_64"), "p.bpf.c", "p.o", "build", "lib")


@pytest.mark.parametrize("index", [INDEX, None], ids=["with vmlinux.h", "without"])
@pytest.mark.parametrize(
    "name, line",
    [
        ("bpf_helpers.h", "libbpf's headers lie in bpf/: write #include <bpf/bpf_helpers.h>"),
        ("libbpf/bpf_endian.h", "libbpf's headers lie in bpf/: write #include <bpf/bpf_endian.h>"),
        ("bpf/usdt.bpf.h", "<bpf/usdt.bpf.h> is not among the files that [libbpf] in toolchain.toml pins: add it to files"),
        ("bpf/libbpf.h", "<bpf/libbpf.h> is libbpf's for programs in user space"),
        ("libbpf.h", "<bpf/libbpf.h> is libbpf's for programs in user space"),
        ("bpf_misc.h", "bpf_misc.h is of the kernel's selftests"),
        ("bpf/own.h", "libbpf has no <bpf/own.h>: its headers for BPF code are bpf_core_read.h, "),
        ("net/route.h", "<net/route.h> is the C library's, and BPF programs have none: take the kernel's own, <linux/"),
        ("linux/module.h", "no UAPI header in sight is called <linux/module.h>: include vmlinux.h for types of the kernel's inside, or write uapi=True"),
        ("vmlinux.h", "the program's sources don't name vmlinux.h in words, so it got none"),
    ],
)
def test_a_header_that_is_missing_is_told_what_to_write(index, name, line):
    told = explain(index, [f"p.bpf.c:1:10: fatal error: '{name}' file not found"], "6.19", "x86_64", libbpf_names({}, []))
    assert len(told) == 1 and told[0].startswith(line)


@pytest.mark.parametrize("name", ["XDP_PASS", "BPF_ANY", "BPF_MAP_TYPE_HASH", "BPF_F_NO_PREALLOC", "BPF_PROG_TYPE_XDP", "BPF_TCP_LISTEN"])
def test_an_enumerator_of_bpf_s_own_header_is_told_with_it(name):
    """Nothing but `#define`s had a home, and these are what an XDP or a TC program misses first."""
    told = explain(None, [f"p.bpf.c:3:1: error: use of undeclared identifier '{name}'"], "6.19", "x86_64", libbpf_names({}, []))
    assert told == [f"{name} is defined in <linux/bpf.h>: include it"]
    path = next(Path(folder, "lib/libc/include/any-linux-any/linux/bpf.h") for folder in find_spec("ziglang").submodule_search_locations)
    assert re.search(rf"^\t{name}\b", path.read_text(), re.MULTILINE)


def test_a_header_of_the_project_s_own_is_nothing_to_explain():
    assert explain(INDEX, ["p.bpf.c:1:10: fatal error: 'shapes.h' file not found"], "6.19", "x86_64", libbpf_names({}, [])) == []


@pytest.mark.parametrize("index", [INDEX, None], ids=["with vmlinux.h", "without"])
@pytest.mark.parametrize("word", ["asm", "typeof"])
def test_a_dialect_without_asm_is_one_line(index, word):
    error = compile_error(ARGS, f"bpf_helpers.h:161:2: error: use of undeclared identifier '{word}'\nx.c:1:1: error: more of it\n", 1)
    told = explained(error, index, "6.19", "x86_64", libbpf_names({}, []))
    assert (told.fix, told.details) == (GNU_DIALECT, ())


CONFLICT = """\
p.bpf.c:5:31: warning: declaration of 'struct mine' will not be visible outside of this function [-Wvisibility]
    5 | int BPF_PROG(on_issue, struct mine *rq)
      |                               ^
p.bpf.c:5:5: error: conflicting types for '____on_issue'
    5 | int BPF_PROG(on_issue, struct mine *rq)
"""


def test_a_type_that_only_arguments_name_is_named_instead_of_the_conflict():
    error = explained(compile_error(ARGS, CONFLICT, 1), INDEX, "6.19", "x86_64", libbpf_names({}, []))
    assert (error.where, error.what) == ("p.bpf.c:5:31", "incomplete type 'struct mine' in the arguments of on_issue: nothing declares it before")
    assert error.fix.startswith("this header (6.19, x86_64) has no struct mine: it comes from a kernel built without it; take another pin")


def test_another_conflict_stays_what_it_is():
    error = compile_error(ARGS, "p.bpf.c:5:5: error: conflicting types for 'f'\n", 1)
    assert (error.where, error.what) == ("p.bpf.c:5:5", "conflicting types for 'f'")


def pin(sha256, kernel, *alternates):
    return HeaderPin("vmlinux.x86_64", "x86_64", kernel, ArtifactSource("path", "v.h", ""), sha256, None, "", alternates)


def test_an_alternate_that_has_a_type_is_named_and_none_is_fetched(tmp_path):
    pinned = pin("0" * 64, "6.19", pin("1" * 64, "6.9"), pin("2" * 64, "6.13"))
    assert alternate_with("struct request", pinned, tmp_path) == "the alternate of Linux 6.9, a distribution's, may have it"
    (tmp_path / "sha256").mkdir()
    (tmp_path / "sha256" / ("1" * 64)).write_text("struct request;\n\nstruct requests {\n};\n")
    assert alternate_with("struct request", pinned, tmp_path) == "the alternate of Linux 6.13, a distribution's, may have it"
    (tmp_path / "sha256" / ("2" * 64)).write_text("struct request {\n\tint tag;\n};\n\ntypedef int gone_t;\n")
    found = "the alternate of Linux 6.13 has it: let its lines be those of [vmlinux.x86_64]"
    assert alternate_with("struct request", pinned, tmp_path) == alternate_with("gone_t", pinned, tmp_path) == found
    assert alternate_with("struct nothing", pinned, tmp_path) == "" == alternate_with("struct request", pin("0" * 64, "6.9"), tmp_path)


def test_it_stands_in_the_hint():
    text = "p.c:1: error: incomplete definition of type 'struct mine'"
    told = explain(INDEX, [text], "6.19", "x86_64", libbpf_names({}, []), lambda name: f"the alternate has {name}")
    assert "take another pin (the alternate has struct mine) or the header of your own kernel, or declare" in told[0]
