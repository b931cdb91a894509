"""What an object holds: the sample against a golden text, libbpf's rules, an error or a result for any bytes."""

import time
from pathlib import Path

import pytest
from ebpfbuild.btf.c_text import declaration
from ebpfbuild.elf.strip import strip_dwarf
from ebpfbuild.errors import BtfError, ElfError
from ebpfbuild.spec.map import MapSpec
from ebpfbuild.spec.object import ObjectSpec
from ebpfbuild.spec.sections import program_type
from fuzzing import EDITS, mutate
from hypothesis import given, settings
from hypothesis import strategies as st

TARGETS = ("bpfel", "bpfeb")
GOLDEN = Path(__file__).parents[2] / "testdata" / "sample.spec.txt"


def describe(spec):
    """All of an object but its code, as text without BTF's numbers."""

    def text(number, name=""):
        return declaration(spec.btf, number, name)

    yield f"license {spec.license!r} version {spec.version}"
    for each in spec.maps:
        yield f"map {each.name} {each.type_name}: {describe_map(each, text)}"
        if each.inner:
            yield f"  of {each.inner.type_name}: {describe_map(each.inner, text)}"
    for each in (*spec.programs, *spec.subprograms):
        kind = each.type or "subprogram"
        place = f"{each.section!r} +{each.offset}, {len(each.instructions) // 8} instructions"
        flags = f"{' static' * each.static}{' off' * (not each.autoload)}"
        yield f"{kind} {text(each.func, each.name)} in {place}, target {each.target!r}{flags}"
    for section in spec.data:
        yield f"{section.kind} {section.name}: {section.size} bytes, {len(section.data)} of them initial"
        for each in section.variables:
            yield f"  +{each.offset} {'static ' * each.static}{text(each.type, each.name)}: {each.size} bytes"
    for name in ("kconfig", "ksyms"):
        for each in getattr(spec, name):
            yield f"{name} {text(each.type, each.name)}{' weak' * each.weak}{' function' * each.function}"
    for each in spec.struct_ops:
        yield f"{each.section} {text(each.type, each.name)}: {len(each.data)} bytes, {tuple(map(tuple, each.programs))}"


def describe_map(each, text):
    key, value = (text(number) if number else "untyped" for number in (each.key_type, each.value_type))
    numbers = {name: getattr(each, name) for name in ("max_entries", "flags", "pinning", "numa_node", "map_extra")}
    shown = " ".join(f"{name}={value:#x}" for name, value in numbers.items() if value)
    slots = f" slots {tuple(map(tuple, each.slots))}" if each.slots else ""
    return f"{key} ({each.key_size}) -> {value} ({each.value_size}) {shown}{slots}"


@pytest.mark.parametrize("target", TARGETS)
def test_the_sample_holds_what_it_should(sample, target):
    assert "\n".join(describe(ObjectSpec.from_bytes(sample(target)))) + "\n" == GOLDEN.read_text()


@pytest.mark.parametrize("target", TARGETS)
def test_initial_bytes_are_in_the_objects_byte_order(sample, target):
    spec = ObjectSpec.from_bytes(sample(target))
    values = {variable.name: variable.data for section in spec.data for variable in section.variables}
    order = "little" if target == "bpfel" else "big"
    assert int.from_bytes(values["target_pid"], order) == 42
    assert int.from_bytes(values["counter"], order) == 9
    assert values["levels"] == bytes([1, 2, 3, 4])
    assert values["seen"] == b""


def test_instructions_are_the_programs_own(sample):
    spec = ObjectSpec.from_bytes(sample())
    first, second = (program for program in spec.programs if program.section == "xdp")
    exit_ = bytes([0x95]) + bytes(7)
    assert first.instructions.endswith(exit_) and first.instructions.count(exit_) == 1
    assert first.instructions + second.instructions == spec.elf.section("xdp").data


def test_stripping_changes_nothing(sample):
    assert list(describe(ObjectSpec.from_bytes(strip_dwarf(sample())))) == GOLDEN.read_text().splitlines()


@pytest.mark.parametrize(
    ("section", "kind"),
    [
        ("kprobe/tcp_connect", "kprobe"),
        ("?kprobe/tcp_connect", "kprobe"),
        ("kprobe", "kprobe"),
        ("uprobe.multi.s/libc:malloc", "kprobe"),
        ("tp_btf/inet_sock_set_state", "tracing"),
        ("iter.s/task", "tracing"),
        ("lsm_cgroup/socket_bind", "lsm"),
        ("cgroup/connect6", "cgroup_sock_addr"),
        ("cgroup/getsockname_unix", "cgroup_sock_addr"),
        ("cgroup/bind_unix", ""),
        ("cgroup/post_bind4", "cgroup_sock"),
        ("cgroup_skb/egress", "cgroup_skb"),
        ("xdp.frags/devmap", "xdp"),
        ("xdp/first", ""),  # libbpf 1 takes no free text after xdp
        ("tc", "sched_cls"),
        ("struct_ops.s/init", "struct_ops"),
        ("raw_tp.w/x", "raw_tracepoint_writable"),
        ("kprobes/x", ""),
        (".text", ""),
        ("", ""),
    ],
)
def test_a_section_name_gives_libbpfs_program_type(section, kind):
    assert program_type(section) == kind


def source(body):
    return '#include "mini_bpf.h"\n' + body + '\nchar LICENSE[] SEC("license") = "GPL";\n'


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('struct { __uint(type, 1); __uint(colour, 2); } m SEC(".maps");', "map m with a field 'colour'"),
        ('struct { __uint(key_size, 3); __type(key, __u32); } m SEC(".maps");', "key_size 3 is not its key's 4"),
        ('struct { int type; } m SEC(".maps");', "not written with __uint"),
        ('struct { __uint(type, 1); int key; } m SEC(".maps");', "not written with __type"),
        ('struct { __uint(type, 12); int values; } m SEC(".maps");', "values are no array"),
        ('int m SEC(".maps");', "map m that is INT, not a struct"),
        (
            'extern struct { __uint(type, 1); } m __attribute__((section(".maps"))); void *p = &m;',
            "m in .maps is defined in another object",
        ),
        ('int m SEC("maps");', "libbpf 1 takes no others"),
    ],
)
def test_a_map_that_libbpf_would_refuse_is_refused(compile_bpf, body, message):
    with pytest.raises((BtfError, ElfError), match=message):
        ObjectSpec.from_bytes(compile_bpf(source(body)))


def test_an_object_without_btf_is_told(compile_bpf):
    data = compile_bpf(source('SEC("xdp") int f(void *ctx) { return 2; }'), flags=("-g0",))
    with pytest.raises(ElfError, match="has no BTF; compile it with -g") as caught:
        ObjectSpec.from_bytes(data, "x.bpf.o")
    assert str(caught.value).startswith("x.bpf.o: ")


def test_an_object_with_nothing_in_it_has_no_maps_and_no_programs(compile_bpf):
    """Of unused static functions clang leaves nothing, and no BTF."""
    spec = ObjectSpec.from_bytes(compile_bpf("static __attribute__((unused)) int unused_(int a) { return a; }"))
    assert (spec.maps, spec.programs, spec.subprograms, spec.data, list(spec.btf)) == ((), (), (), (), [])


@pytest.mark.parametrize(
    "section, said",
    [
        ("tracepont/syscalls/sys_enter_openat", 'did you mean SEC("tracepoint/syscalls/sys_enter_openat")?'),
        ("cgroup/conect4", 'did you mean SEC("cgroup/connect4")?'),
        ("?kprob/f", 'did you mean SEC("kprobe/f")?'),
        ("sockop", 'did you mean SEC("sockops")?'),
        ("mine", "it needs a handler of yours: libbpf_register_prog_handler"),
    ],
)
def test_a_section_that_libbpf_does_not_know_is_told(compile_bpf, section, said):
    spec = ObjectSpec.from_bytes(
        compile_bpf(source(f'SEC("{section}") int f(void *ctx) {{ return 2; }}')), "x.bpf.o"
    )
    what = f'x.bpf.o: libbpf doesn\'t know the section of f, SEC("{section}"), and loads no such program'
    assert spec.notices() == [f"{what}; {said}"]


def test_a_program_without_a_section_is_told(compile_bpf):
    text = "int f(void *ctx) { return 2; }"
    (said,) = ObjectSpec.from_bytes(compile_bpf(source(text)), "x.bpf.o").notices()
    assert said.startswith("x.bpf.o: no program: f has no section; write SEC(")
    assert (
        ObjectSpec.from_bytes(
            compile_bpf(source(text + ' SEC("xdp") int g(void *ctx) { return f(ctx); }'))
        ).notices()
        == []
    )
    assert ObjectSpec.from_bytes(compile_bpf(source("int data = 1;"))).notices() == []


def test_an_object_without_maps_or_data(compile_bpf):
    spec = ObjectSpec.from_bytes(compile_bpf(source('SEC("xdp") int f(void *ctx) { return 2; }')))
    assert (spec.maps, spec.data, spec.kconfig, spec.ksyms, spec.struct_ops) == ((), (), (), (), ())
    assert [program.name for program in spec.programs] == ["f"]


def test_strings_get_a_section_of_their_own(compile_bpf):
    body = 'SEC("xdp") int f(void *ctx) { return bpf_probe_read_kernel(ctx, 9, "some text that is long"); }'
    spec = ObjectSpec.from_bytes(compile_bpf(source(body)))
    assert [(s.kind, s.type, s.variables) for s in spec.data] == [("rodata", 0, ())]
    assert b"some text" in spec.data[0].data


def test_a_map_type_newer_than_the_table_has_a_name():
    assert MapSpec("m", type=1).type_name == "hash"
    assert MapSpec("m", type=900).type_name == "type 900"


def read_all(data):
    started = time.process_time()
    try:
        spec = ObjectSpec.from_bytes(data)
        list(describe(spec))
    except (ElfError, BtfError):
        pass
    assert time.process_time() - started < 1


PARTS = st.sampled_from(("all", ".BTF", ".symtab", ".maps", ".rel.maps"))


@given(edits=EDITS, target=st.sampled_from(TARGETS), part=PARTS)
@settings(max_examples=250, deadline=None)
def test_a_damaged_object_gives_an_error_or_a_result(sample, edits, target, part):
    data = strip_dwarf(sample(target))
    section = ObjectSpec.from_bytes(data).elf.section(part)
    start, size = (section.offset, section.size) if section else (0, len(data))
    damaged = mutate(data[start : start + size], edits)
    damaged = damaged[:size].ljust(size, b"\0") if section else damaged  # a section's damage leaves the others in place
    read_all(data[:start] + damaged + data[start + size :])
