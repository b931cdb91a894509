"""`python -m bpfloader inspect`: what it says of objects."""

import json
import struct
import subprocess
import sys

import bpfloader
import pytest
from bpfloader.btf.core_relo import RELO_KINDS
from bpfloader.inspect.report import inspect_object
from bpfloader.kernel.instructions import instructions
from bpfloader.spec.first_kernel import needs
from bpfloader.spec.object import object_spec
from ebpfbuild.btf.ext import BtfExt, access_path
from ebpfbuild.spec.object import ObjectSpec
from probing import LOADER
from compiling import compile_program

PROGRAMS = "probe kinds rings congestion freplace broken maps privileges externs".split()


@pytest.fixture(scope="module")
def objects(clang) -> dict[str, bytes]:
    """The objects of testdata/loader by name."""
    return {name: compile_program(clang, name) for name in PROGRAMS}


def cli(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "bpfloader", "inspect", *map(str, arguments)]
    return subprocess.run(command, cwd=LOADER, capture_output=True, text=True)


@pytest.mark.parametrize("name", PROGRAMS)
def test_it_reads_what_the_build_s_own_reader_reads(objects, name):
    data = objects[name]
    mine, other = object_spec(data, name), ObjectSpec.from_bytes(data, name)
    assert [(each.name, each.section, each.code) for each in mine.programs] == [
        (each.name, each.section, each.instructions) for each in other.programs]  # fmt: skip
    assert [(each.name, each.type, each.key_size, each.value_size, each.max_entries) for each in mine.maps] == [
        (each.name, each.type_name, each.key_size, each.value_size, each.max_entries) for each in other.maps]  # fmt: skip
    theirs = [(section.name, each.name, each.size) for section in other.data for each in section.variables]
    assert [(each.section, each.name, each.size) for each in mine.variables] == theirs
    section = other.elf.section(".BTF.ext")
    records = BtfExt.parse(section.data, other.btf, name).relocations if section else ()
    assert [(each.section, each.offset, RELO_KINDS.index(each.kind)) for each in mine.core] == [
        (each.section, each.offset, each.kind) for each in records]  # fmt: skip
    paths = [access_path(other.btf, each).replace(": [", "[").replace(": ", ".") for each in records]
    assert [each.access.replace("::", ".") for each in mine.core] == paths
    assert mine.license == other.license
    assert sorted(each.name for each in mine.externs) == sorted(each.name for each in (*other.kconfig, *other.ksyms))


def test_it_reads_what_libbpf_reads(objects, kernel):
    with bpfloader.Object.open(objects["kinds"]) as opened:
        said = inspect_object(objects["kinds"], "kinds")
        assert {each["name"]: each["section"].removeprefix("?") for each in said["programs"]} == {
            program.name: program.section for program in opened.progs}  # fmt: skip
        assert {each["name"] for each in said["programs"] if each["autoload"]} == {
            program.name for program in opened.progs if program.autoload}  # fmt: skip
        sizes = {each["name"]: (each["key_size"], each["value_size"]) for each in said["maps"]}
        assert sizes and all((opened.maps[name].key_size, opened.maps[name].value_size) == both
                             for name, both in sizes.items())  # fmt: skip


def test_values_types_and_flags_read_as_in_the_source(objects):
    said = inspect_object(objects["probe"], "probe", ["event", "no_such_type"])
    values = {each["name"]: (each["section"], each["value"]) for each in said["variables"]}
    assert values["start"] == (".rodata", "5") and values["next_number"] == (".data", "100")
    assert values["hits"] == (".bss", "0")
    maps = {each["name"]: each for each in said["maps"]}
    assert maps["routes"]["flags"] == ["no_prealloc"] and maps["routes"]["type"] == "lpm_trie"
    assert maps["table"]["key"] == "struct key" and maps["table"]["value_size"] == 32
    assert said["types"]["named"]["event"][0].startswith("struct event {\n\t__u64 number;\n")
    assert said["types"]["named"]["no_such_type"] == [] and said["license"] == "GPL"


LOAD, STORE, ALU64, JUMP, JUMP32 = 1, 3, 7, 5, 6


@pytest.mark.parametrize("code, kernel, what", [
    ((0x85, 0, 0, 131), "5.8", "the helper bpf_ringbuf_reserve"), ((0x85, 1, 0, -1), "4.16", "calls between"),
    ((JUMP | 0x10, 0, -1, 0), "5.3", "loops"), ((JUMP32 | 0x10, 0, 1, 0), "5.1", "32-bit jumps"),
    ((STORE | 0xC0 | 0x18, 0, 0, 1), "5.12", "atomic"), ((STORE | 0xC0 | 0x18, 0, 0, 0x110), "6.15", "atomic"),
    ((LOAD | 0x80, 0, 0, 0), "6.6", "extends the sign"), ((ALU64 | 0x30 | 8, 0, 1, 0), "6.6", "signed division"),
    ((ALU64 | 0xB0 | 8, 0, 8, 0), "6.6", "extends the sign"), ((ALU64 | 0xB0 | 8, 0, 1, 0), "6.9", "arenas"),
    ((0xD7, 0, 0, 16), "6.6", "byte swap"), ((0xE5, 0, 0, 0), "6.9", "may_goto"), ((JUMP32, 0, 0, 5), "6.6", "far jump"),
    ((STORE | 0xC0 | 0x18, 0, 0, 0), "4.17", "SEC"),
])  # fmt: skip
@pytest.mark.parametrize("order", "<>")
def test_each_instruction_says_which_kernel_it_wants(objects, code, kernel, what, order):
    opcode, source, offset, value = code
    registers = source << 4 if order == "<" else source
    packed = struct.pack(order + "BBhi", opcode, registers, offset, value)
    spec = object_spec(objects["probe"], "probe")
    program = next(each for each in spec.programs if each.section == "raw_tp/sys_enter")._replace(code=packed)
    (read,) = instructions(packed, order == "<")
    assert read[1:] == (opcode, source, offset, value)
    if order == "<":
        found = needs(spec._replace(programs=(program,), functions=(), maps=(), variables=(), core=()))
        assert [need.kernel for need in found if what in need.what and need.user == program.name] == [kernel], found


def test_externs_of_the_kernel_are_listed(objects):
    said = inspect_object(objects["externs"], "externs")
    types = {each["name"]: (each["section"], each["type"], each["value"]) for each in said["externs"]}
    assert types["bpf_iter_num_new"] == (".ksyms", "int (void *, int, int)", "")
    assert types["CONFIG_HZ"] == (".kconfig", "int", "")
    wants = {(each["kernel"], each["what"], each["for"]) for each in said["needs"]}
    assert {("5.13", "the kfunc bpf_rcu_read_lock", "locks"), ("5.13", "the kfunc bpf_iter_num_new", "counts")} <= wants
    assert ("5.10", "variables of the kernel, by its BTF", "") in wants and said["kernel"] == "5.13"


def test_this_kernel_says_of_each_program_what_attach_kind_says(objects, kernel):
    said = inspect_object(objects["kinds"], "kinds", ask_kernel=True)
    refused = {each["name"] for each in said["programs"] if not bpfloader.supports(each["section"].removeprefix("?"))}
    assert set(said["this_kernel"]["programs"]) == refused
    assert said["this_kernel"]["ok"] is (False if refused else True)
    assert inspect_object(objects["probe"], "probe", ask_kernel=True)["this_kernel"]["ok"] is True


def test_without_asking_the_kernel_libbpf_is_not_even_loaded(objects, tmp_path):
    (tmp_path / "probe.bpf.o").write_bytes(objects["probe"])
    code = "import sys, bpfloader.__main__ as m; m.main(['inspect', '--no-kernel', sys.argv[1]]); " \
           "print('libbpf' in open('/proc/self/maps').read())"  # fmt: skip
    command = [sys.executable, "-c", code, tmp_path / "probe.bpf.o"]
    done = subprocess.run(command, cwd=LOADER, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "False", done.stderr


def test_the_table_and_the_json_of_a_file(objects, tmp_path):
    path = tmp_path / "kinds.bpf.o"
    path.write_bytes(objects["kinds"])
    table, said = cli(path, "--type", "call"), cli(path, "--json")
    assert (table.returncode, table.stderr, said.returncode) == (0, "", 0)
    found = json.loads(said.stdout)
    assert said.stdout == json.dumps(found, indent=1, sort_keys=True) + "\n"
    for each in found["objects"][0]["programs"]:
        assert each["name"] in table.stdout and each["section"] in table.stdout
    assert "struct call {\n\t__u32 number;" in table.stdout and found["sha256"] in table.stdout
