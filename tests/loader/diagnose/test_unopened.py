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


def test_a_message_that_is_known_is_told_in_other_words_and_libbpf_s_own_follow(made):
    error = unopened_error(made('char odd[3] SEC("version") = {1};\n'))
    assert 'SEC("version") holds no __u32; leave it out' in str(error)
    assert any("invalid kver section" in line for line in error.details)


FIELDS = "__uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32);"


@pytest.mark.parametrize("source, said", [
    ('struct old { unsigned type, key, value, entries, flags; } m SEC("maps") = {2, 4, 8, 1, 0};',
     'it has maps in SEC("maps"); declare them in SEC(".maps"): libbpf 1 takes no others'),
    (f'struct {{ {FIELDS} __type(value, int); __uint(pinning, 2); }} m SEC(".maps");',
     "the map m has pinning 2, which libbpf doesn't know; write __uint(pinning, LIBBPF_PIN_BY_NAME)"),
    (f'struct gone; struct {{ {FIELDS} __type(value, struct gone); }} m SEC(".maps");',
     "the value of the map m has a type that is only declared; include the header that defines it"),
    (f'struct {{ {FIELDS} __type(value, int); __uint(colour, 2); }} m SEC(".maps");',
     "a map m with a field 'colour' that libbpf doesn't know; declare it as libbpf's bpf_helpers.h has it"),
])  # fmt: skip
def test_maps_that_libbpf_doesn_t_take(made, source, said):
    error = unopened_error(made(f'{source}\nSEC("xdp") int f(void *ctx) {{ return 2; }}\n'))
    assert said in str(error) and "-target bpf -g" not in error.fix


@pytest.mark.parametrize("entries, key, fix", [
    (1, "struct { __u64 inode; __u32 type; }", "give a cgroup_storage map max_entries 0, no flags and a key that is a __u64"),
    (0, "char", "struct bpf_cgroup_storage_key as linux/bpf.h has it"),
])  # fmt: skip
def test_a_map_with_sizes_that_its_type_doesn_t_take(made, kernel, entries, key, fix):
    declared = f"__uint(type, 19); __uint(max_entries, {entries}); __type(key, {key}); __type(value, __u64);"
    with bpfloader.Object.open(made(f'struct {{ {declared} }} m SEC(".maps");\n')) as opened:
        with pytest.raises(bpfloader.LoadError) as caught:
            opened.load()
    assert fix in caught.value.fix


def test_a_pin_below_a_folder_that_isn_t_there(made, with_mount, tmp_path):
    data = made(f'struct {{ {FIELDS} __type(value, int); __uint(pinning, 1); }} kept SEC(".maps");\n')

    def run():
        place = tmp_path
        for root in (f"{place}/one", f"{place}/one/two"):  # libbpf makes the last folder of a path
            with bpfloader.Object.open(data, pin_root=root) as opened:
                opened.load()
        with bpfloader.Object.open(data, pin_root=f"{place}/none/two") as opened:
            with pytest.raises(bpfloader.LoadError) as caught:
                opened.load()
        assert f"there is no folder {place}/none/two; make it: mkdir -p {place}/none/two" in str(caught.value)
        with bpfloader.Object.open(data, pin_root="/tmp") as opened, pytest.raises(bpfloader.LoadError) as caught:
            opened.load()
        assert caught.value.fix.startswith("pin in a BPF file system, such as /")

    with_mount("bpf", str(tmp_path), run)


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


@pytest.mark.parametrize(
    "mounted, fix",
    [({}, "pin in a BPF file system: mount -t bpf bpf /sys/fs/bpf"), ({"bpf": "/run/bpf"}, "pin in a BPF file system, such as /run/bpf")],
)
def test_a_map_pinned_in_no_bpf_file_system_says_so(made, kernel, tmp_path, monkeypatch, mounted, fix):
    """And not that its sizes are at fault."""
    monkeypatch.setattr("bpfloader.diagnose.libbpf_messages.mounts", lambda _kinds: mounted)
    fields = "__uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, int); __type(value, int);"
    data = made(f'struct {{ {fields} __uint(pinning, 1); }} kept SEC(".maps");\n')
    with bpfloader.Object.open(data, pin_root=str(tmp_path)) as opened, pytest.raises(bpfloader.LoadError) as caught:
        opened.load()
    assert "the map kept (EINVAL: Invalid argument): a map can't be pinned" in caught.value.what
    assert caught.value.fix == fix


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
