"""CO-RE relocations of every kind, against kernels whose types moved: as libbpf, and as the rules say; and the BTF that they need."""

import ctypes
import os
import re
from pathlib import Path

import pytest
from btfwriter import assemble, info
from ebpfbuild.btf.ext import CoreKind
from ebpfbuild.btf.reader import Btf
from ebpfbuild.btf.types import Kind
from ebpfbuild.core_relo.minimal import minimal_btf
from ebpfbuild.core_relo.names import essential_name
from ebpfbuild.core_relo.patch import BAD_RELOCATION
from ebpfbuild.core_relo.relocated import read_ext, relocate
from ebpfbuild.elf.reader import Elf
from ebpfbuild.errors import EbpfError
from ebpfbuild.spec.object import ObjectSpec
from fuzzing import EDITS, mutate
from hypothesis import given, settings
from libbpf_relocations import loads_of

FOLDER = Path(__file__).resolve().parents[2] / "testdata" / "core_relo"
TYPES = (("types.h", (FOLDER / "types.h").read_text()),)
SOURCE = (FOLDER / "every_kind.bpf.c").read_text()
PROGRAM = re.compile(r'^SEC\("raw_tp/(\w+)"\).*?^}\n', re.M | re.S)
KERNELS = range(5)
HOST = Path("/sys/kernel/btf/vmlinux")


@pytest.fixture(scope="session")
def core_objects(compile_bpf):
    """A function target -> the object with all programs, and one object for each of them, by their names."""

    def objects(target="bpfel"):
        bodies = {row[1]: row[0] for row in PROGRAM.finditer(SOURCE)}
        sources = {"whole": SOURCE}
        for name, body in bodies.items():
            others = [text for other, text in bodies.items() if other != name]
            sources[name] = SOURCE
            for text in others:
                sources[name] = sources[name].replace(text, "")
        return {name: compile_bpf(text, target, headers=TYPES) for name, text in sources.items()}

    return objects


@pytest.fixture(scope="session")
def core_kernel(compile_bpf):
    """A function (number, target) -> the BTF of the kernel whose types are those of -DKERNEL=number."""

    def kernel(number, target="bpfel"):
        data = compile_bpf((FOLDER / "kernel.bpf.c").read_text(), target, (f"-DKERNEL={number}",), TYPES)
        return Elf.parse(data).section(".BTF").data

    return kernel


def relocations(data: bytes, kernel: bytes):
    """What this project does, in the words of libbpf_relocations."""
    return {key: row for key, (row, _) in relocations_and_kinds(data, kernel).items()}


def relocations_and_kinds(data: bytes, kernel: bytes):
    spec = ObjectSpec.from_bytes(data, "one.bpf.o")
    found = {}
    for function in relocate(spec, read_ext(spec), Btf.parse(kernel, "a kernel", None)):
        for each in function.applied:
            patch = each.patch
            said = "refused" if patch is None else "poisoned" if patch.poisoned else (each.at, patch.old, patch.new)
            found[function.spec.name, each.number] = said, each.resolution.relocation.kind
    return found


def of_libbpf(tmp_path, objects: dict[str, bytes], kernel: bytes):
    try:
        ctypes.CDLL("libbpf.so.1")
    except OSError:
        pytest.skip("libbpf.so.1 is not installed")
    if os.geteuid():
        pytest.skip("libbpf relocates for root only")
    btf = tmp_path / "kernel.btf"
    btf.write_bytes(kernel)
    paths = [tmp_path / name for name in objects]
    for path in paths:
        path.write_bytes(objects[path.name])
    return loads_of(paths, btf)


@pytest.mark.parametrize("number", KERNELS)
def test_every_record_becomes_what_libbpf_makes_of_it(core_objects, core_kernel, tmp_path, number):
    objects, kernel = core_objects(), core_kernel(number)
    theirs = of_libbpf(tmp_path, objects, kernel)
    if not any(theirs.values()):
        pytest.skip("libbpf loads nothing here")
    for name, data in objects.items():
        mine = relocations(data, kernel)
        if "refused" in theirs[name].values():  # libbpf goes no further, and the whole object is refused
            assert theirs[name].items() <= mine.items(), name
        else:
            assert mine == theirs[name], name


def test_the_running_kernel_gives_what_libbpf_finds_there(compile_bpf, tmp_path):
    if not HOST.exists():
        pytest.skip("this kernel has no BTF")
    source = """#include "mini_bpf.h"
struct sock_common { unsigned short skc_family; } __core;
struct sock { struct sock_common __sk_common; int sk_no_such_field; unsigned char sk_userlocks : 4; } __core;
struct task_struct { int pid; struct task_struct *group_leader; } __core;
struct task_struct___old { long state; } __core;
enum bpf_func_id { BPF_FUNC_trace_printk = 1, BPF_FUNC_no_such_helper = 2 };
SEC("raw_tp/x") long x(struct sock *sk)
{
	struct task_struct *task = (void *)sk;
	return sk->__sk_common.skc_family + task->group_leader->pid + __builtin_preserve_field_info(sk->sk_no_such_field, 2) +
	       __builtin_preserve_field_info(((struct task_struct___old *)task)->state, 2) +
	       __builtin_preserve_field_info(sk->sk_userlocks, 4) + __builtin_preserve_field_info(sk->sk_userlocks, 0) +
	       __builtin_preserve_enum_value(*(enum bpf_func_id *)BPF_FUNC_trace_printk, 1) +
	       __builtin_preserve_enum_value(*(enum bpf_func_id *)BPF_FUNC_no_such_helper, 0) +
	       __builtin_preserve_type_info(*(struct task_struct *)0, 1) + __builtin_btf_type_id(*(struct sock *)0, 1);
}
char LICENSE[] SEC("license") = "GPL";
"""
    objects, kernel = {"host": compile_bpf(source)}, HOST.read_bytes()
    theirs = of_libbpf(tmp_path, objects, kernel)["host"]
    if not theirs:
        pytest.skip("libbpf loads nothing here")
    assert relocations(objects["host"], kernel) == theirs


def test_values_and_guards_on_each_kernel(core_objects, core_kernel):
    def of(number, target="bpfel"):
        found = relocations(core_objects(target)["whole"], core_kernel(number, target))
        return {name: [row for (program, _), row in sorted(found.items()) if program == name] for name, _ in found}

    same, moved, lacks, other = map(of, (0, 1, 2, 3))
    for name in ("offsets", "sizes", "enums", "gone", "guarded", "resized", "misfit", "elements"):
        assert all(row[1] == row[2] for row in same[name]), name
    assert [row[2] - row[1] for row in moved["gone"]] == [48 + 4 * 8]
    assert [row[2] for row in lacks["exists"]] == [0, 0, 0]
    assert lacks["gone"] == lacks["gone_enum"] == ["poisoned"]
    assert [row if row == "poisoned" else row[2] for row in lacks["guarded"]] == [0, "poisoned", 0, "poisoned"]
    assert other["misfit"] == ["poisoned"] and other["became"] == ["poisoned", "poisoned"] and other["outside"] == ["poisoned"]
    assert relocations(core_objects()["offsets"], core_kernel(4))[("offsets", 0)] == (0, 0, 0)
    assert "refused" in relocations(core_objects()["offsets"], core_kernel(4)).values()  # parts lies at two offsets there


def test_a_load_is_made_as_wide_as_the_field(core_objects, core_kernel):
    spec = ObjectSpec.from_bytes(core_objects()["resized"])
    widths = []
    for number in (0, 3):
        (function,) = (each for each in relocate(spec, read_ext(spec), Btf.parse(core_kernel(number))) if each.spec.name == "resized")
        widths.append(function.code[function.applied[0].at].code & 0x18)
    assert widths == [0x18, 0x00]  # BPF_DW, BPF_W


def test_a_poisoned_instruction_is_libbpfs(core_objects, core_kernel):
    spec = ObjectSpec.from_bytes(core_objects()["gone"])
    function = relocate(spec, read_ext(spec), Btf.parse(core_kernel(2)))[0]
    assert function.code[function.applied[0].at] == BAD_RELOCATION
    assert list(function.poisoned) == [function.applied[0].at]


def test_bitfields_of_a_big_endian_kernel_shift_from_the_other_end(core_objects, core_kernel):
    for target in ("bpfel", "bpfeb"):
        objects, kernel = core_objects(target), core_kernel(1, target)
        rows = list(relocations(objects["bitfields"], kernel).values())
        offset, size, signed, left, right = (rows[number][2] for number in range(5))  # of `low`, 3 bits
        assert (size, signed, right) == (4, 0, 61)
        assert left == (61 if target == "bpfel" else 32)


@pytest.mark.parametrize(
    ("name", "essential"),
    [("a", "a"), ("a___b", "a"), ("a___b___c", "a___b"), ("a____b", "a____b"), ("a___", "a___"), ("___b", "___b"), ("a__b", "a__b"), ("__a___x", "__a")],
)
def test_a_flavor_is_what_follows_three_underscores(name, essential):
    assert essential_name(name) == essential


def minimal(objects, kernel: bytes) -> bytes:
    return minimal_btf([ObjectSpec.from_bytes(data) for data in objects], Btf.parse(kernel, "a kernel", None))


@pytest.mark.parametrize(("number", "target"), [*((number, "bpfel") for number in KERNELS), (1, "bpfeb")])
def test_the_minimal_btf_of_objects_resolves_their_records_as_the_whole_one_does(core_objects, core_kernel, number, target):
    """A type's id is another there: a kernel without BTF has no ids that a program could ask for."""
    objects, kernel = core_objects(target), core_kernel(number, target)
    together = minimal(objects.values(), kernel)
    assert together == minimal(reversed(objects.values()), kernel), "whatever comes first"
    for name, data in objects.items():
        whole = relocations_and_kinds(data, kernel)
        for btf in (minimal([data], kernel), *([together] if name == "whole" else [])):
            small = relocations_and_kinds(data, btf)
            assert whole.keys() == small.keys()
            for key, (row, kind) in whole.items():
                other = small[key][0]
                assert other[:2] == row[:2] if kind == CoreKind.TYPE_ID_TARGET and row not in ("poisoned", "refused") else other == row, (name, key)
        assert len(minimal([data], kernel)) <= len(together) < len(kernel)


@pytest.mark.parametrize("number", KERNELS)
def test_libbpf_resolves_against_the_minimal_btf_what_it_does_against_the_whole_one(core_objects, core_kernel, tmp_path, number):
    kernel = core_kernel(number)
    objects = {name: data for name, data in core_objects().items() if name != "ids"}
    whole, small = (of_libbpf(tmp_path, objects, btf) for btf in (kernel, minimal(objects.values(), kernel)))
    if not any(whole.values()):
        pytest.skip("libbpf loads nothing here")
    kinds = {name: relocations_and_kinds(data, kernel) for name, data in objects.items()}
    for name, records in whole.items():
        assert records.keys() == small[name].keys()
        for key, row in records.items():
            assert small[name][key] == row or kinds[name][key][1] == CoreKind.TYPE_ID_TARGET, (name, key)


def test_a_minimal_btf_holds_what_is_asked_for_and_no_more(core_objects, core_kernel):
    objects, kernel = core_objects(), core_kernel(0)
    found = Btf.parse(minimal([objects["resized"]], kernel), "", None)
    kept = {kind.name: [member.name for member in kind.members] for kind in found if kind.members}
    assert kept == {"whole": ["parts", "unsigned_one"], "inner": ["number"]}
    asked = Btf.parse(minimal([objects["gone_enum"]], kernel), "", None)
    assert [value.name for value in asked.find("plain").values] == ["GONE"]
    assert Btf.parse(minimal([objects["gone_enum"]], core_kernel(2))).find("plain") is None, "what isn't there needs nothing"
    assert found.find("long") and found.pointer == 8


def test_a_32_bit_kernel_keeps_its_pointers_in_a_minimal_btf():
    """libbpf and this reader tell a pointer's size by `long`."""
    integer = (1, info(Kind.INT), 4, 1 << 24 | 32)
    kernel = assemble([integer, (2, info(Kind.STRUCT), 4)], ("", "long int", "whole"))
    assert Btf.parse(kernel, "", None).pointer == Btf.parse(minimal([], kernel), "", None).pointer == 4


@settings(max_examples=30, deadline=None)
@given(number_edits=EDITS)
def test_damaged_types_end_in_an_error_of_ours(core_objects, core_kernel, number_edits):
    """Types that can be read may be nonsense: a struct within itself, a member of a type without a size."""
    spec = ObjectSpec.from_bytes(core_objects()["whole"])
    try:
        kernel = Btf.parse(mutate(core_kernel(1), number_edits))
        for function in relocate(spec, read_ext(spec), kernel):
            assert all(each.patch or each.refusal for each in function.applied)
        minimal_btf([spec], kernel)
    except EbpfError:
        pass
