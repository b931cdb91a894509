"""Objects that libbpf doesn't open, or not as they are: what their errors say, by programs of a few lines."""

import subprocess
import sys
import types

import bpfloader
import pytest
from bpfloader.arch import this_arch
from bpfloader.diagnose.libbpf_messages import explain_open
from compiling import FLAGS, TESTDATA

HEAD = '#include "mini_bpf.h"\nchar LICENSE[] SEC("license") = "GPL";\n'


@pytest.fixture
def made(clang, libbpf):
    """A function: a program's source -> its object."""

    def compiled(source: str) -> bytes:
        if sys.byteorder != "little":
            pytest.skip("the test programs are compiled for little-endian machines")
        command = [*clang, *FLAGS, "-x", "c", "-c", "-", "-o", "-"]
        done = subprocess.run(command, input=(HEAD + source).encode(), cwd=TESTDATA, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    return compiled


def unopened_error(data: bytes) -> bpfloader.BpfError:
    """Returns the error of opening an object."""
    with pytest.raises(bpfloader.ObjectError) as caught:
        bpfloader.Object.open(data)
    return caught.value


@pytest.mark.parametrize("used", ["elsewhere", "elsewhere()"])
def test_what_another_object_defines_is_to_be_linked(made, used):
    declared = f"extern int {used};".replace("()", "(void)")
    error = unopened_error(made(f'{declared}\nSEC("xdp") int f(void *ctx) {{ return {used}; }}\n'))
    assert "elsewhere is defined in another object; link them first: BpfObject(\"whole\", [" in str(error)


def test_a_static_program_is_told_as_such(made):
    error = unopened_error(made('SEC("xdp") static int f(void *ctx) { return 2; }\n'))
    assert 'the program f in SEC("xdp") is static; remove `static`' in str(error)


def test_a_function_without_a_section_is_told_as_such(made, kernel):
    """libbpf 1.5 takes it for a function that nobody calls: then there is no program, and nothing to refuse."""
    with bpfloader.Object.open(made("int f(void *ctx) { return 2; }\n")) as opened:
        if not list(opened.progs):
            assert bpfloader.version() not in ("1.0", "1.1", "1.2", "1.3")
            return opened.load()
        with pytest.raises(
            bpfloader.LoadError, match=r"f has no SEC\(…\), which says what kind of program it is; write SEC"
        ):
            opened.load()


def test_an_unknown_message_keeps_libbpfs_words(made):
    error = unopened_error(made('char odd[3] SEC("version") = {1};\n'))
    assert "can't open" in error.what and "compile it with clang" in error.fix
    assert any("invalid kver section" in line for line in error.details)


@pytest.mark.parametrize("line, what, fix", [
    ("map 'arena': attr 'map_extra': expected PTR, got enum64.", "doesn't know how the map arena states its map_extra",
     "1.4"),
    ("prog 'alloc_pages': bad map relo against 'page' in section '.addr_space.1'",
     "doesn't know arenas, as page needs one", "1.4"),
    ("prog 'p': bad map relo against '.bss.MASK' in section '.bss.MASK'", "makes no map of .bss.MASK", "1.1"),
    ("struct_ops reloc dummy_1: prog test_sleepable is not struct_ops BPF program",
     "doesn't know the section of test_sleepable, a program of the struct_ops map dummy_1", "1.2"),
])  # fmt: skip
def test_a_function_newer_than_libbpf_names_the_version(libbpf, line, what, fix):
    """Messages of libbpf 1.1, which newer ones don't give."""
    explained = explain_open(f"libbpf: {line}\n")
    assert explained is not None
    assert explained[0] == f"libbpf {bpfloader.version()} {what}" and explained[1] == f"install libbpf {fix} or newer"


def test_a_map_that_libbpf_is_too_old_for_is_said_by_version(made, tmp_path):
    from ebpfbuild.skeleton.skeleton import render

    data = made('struct table { int (*f)(void); } table SEC(".struct_ops.link");\n')
    module = types.ModuleType("table_skel")
    text = render(data, "table", "x86_64", "table.bpf.o").replace('"x86_64"', f'"{this_arch()}"')
    exec(compile(text, "table_skel.py", "exec"), vars(module))
    if tuple(map(int, bpfloader.version().split(".")[:2])) >= (1, 2):
        module.Table.open(data).destroy()
        return
    with pytest.raises(bpfloader.LibraryError) as caught:
        module.Table.open(data)
    said = 'has no SEC(".struct_ops.link"), which table is; install libbpf 1.2 or newer'
    assert str(caught.value) == f"libbpf {bpfloader.version()} {said}"


def test_a_map_pinned_in_no_bpf_file_system_says_so(made, kernel, tmp_path):
    """And not that its sizes are at fault."""
    fields = "__uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, int); __type(value, int);"
    data = made(f'struct {{ {fields} __uint(pinning, 1); }} kept SEC(".maps");\n')
    with bpfloader.Object.open(data, pin_root=str(tmp_path)) as opened, pytest.raises(bpfloader.LoadError) as caught:
        opened.load()
    assert "the map kept (EINVAL: Invalid argument): a map can't be pinned" in caught.value.what
    assert caught.value.fix == "pin in a BPF file system: mount -t bpf bpf /sys/fs/bpf"


def test_a_replacement_without_a_program_to_replace_in_says_so(made, kernel):
    data = made('SEC("freplace/subprogram") int other(int argument) { return argument; }\n')
    with bpfloader.Object.open(data) as opened, pytest.raises(bpfloader.LoadError) as caught:
        opened.load()
    assert caught.value.fix == "call progs.other.set_attach_target(function, program) before load"


@pytest.mark.parametrize(
    "section", [".data.of_a_long_name_indeed", ".rodata.of_a_long_name_indeed", ".bss.of_a_long_name_indeed"]
)
def test_a_section_of_a_long_name_opens(made, section):
    """libbpf tells 15 characters of the names of some."""
    if section.startswith(".bss") and tuple(map(int, bpfloader.version().split(".")[:2])) < (1, 1):
        pytest.skip(f"libbpf {bpfloader.version()} makes no map of {section}")
    constant = "const volatile " * section.startswith(".rodata")
    value = " = 3" * (not section.startswith(".bss"))
    data = made(f'{constant}int three SEC("{section}"){value};\nSEC("xdp") int f(void *ctx) {{ return three; }}\n')
    with bpfloader.Object.open(data) as opened:
        assert [each.value_size for each in opened.maps] == [4]


def test_libbpf_s_own_errnos_have_names():
    assert bpfloader.errno_text(4005) == "LIBBPF_ERRNO__RELOC: relocation failed"
    assert bpfloader.ObjectError("x", errno=4003).errno_name == "LIBBPF_ERRNO__ENDIAN"
    assert bpfloader.errno_text(4999).startswith("errno 4999")
