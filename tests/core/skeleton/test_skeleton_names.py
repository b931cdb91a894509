"""What the skeleton's generator knows of the loader, which it may not import: held against the loader itself."""

import bpfloader
import pytest
from bpfloader.program.sections import CLASS_BY_SECTION
from ebpfbuild.skeleton import names as pynames, programs as program_classes, maps as pymaps


def test_programs_have_the_loader_s_classes():
    assert program_classes.CLASS_BY_SECTION == CLASS_BY_SECTION


@pytest.mark.parametrize("section", ["kprobe/tcp_connect", "?xdp", "tc", "fentry/x", "iter/task", "no/such", ".text", "kprobes"])
def test_a_section_has_the_loader_s_class(section):
    assert program_classes.program_class_name(section) == bpfloader.program_class(section).__name__


def test_every_class_that_a_skeleton_names_is_there():
    named = {each.name for each in pymaps.MAP_CLASSES.values()} | {"Map", "StructOpsMap", "Kconfig", "Link", "Program"}
    assert named | {*program_classes.LINKS.values(), *program_classes.PROGRAM_CLASSES} <= set(bpfloader.__all__)


@pytest.mark.parametrize("base, reserved", [
    (bpfloader.Struct, pynames.FIELDS), (bpfloader.Union, pynames.FIELDS), (bpfloader.Section, pynames.VARIABLES),
    (bpfloader.Kconfig, pynames.VARIABLES), (bpfloader.Maps, pynames.MEMBERS), (bpfloader.Progs, pynames.MEMBERS),
    (bpfloader.Links, pynames.MEMBERS), (bpfloader.Enum, pynames.ENUMERATORS),
])  # fmt: skip
def test_no_generated_name_hides_what_a_base_class_has(base, reserved):
    names = {name for name in dir(base) if not name.startswith("__")}
    assert {name for name in names if pynames.attribute_name(name, set(), "member", reserved) == name} == set()


@pytest.mark.parametrize("name, python", [
    ("class", "class_"), ("bytes", "bytes"), ("c", "c"), ("ARCH", "ARCH"), ("bpfloader", "bpfloader_"), ("self", "self_"), ("type", "type"), ("name", "name"), ("value", "value"),
    ("__hidden", "_hidden"), ("__dunder__", "_dunder__"), ("_bytes", "_bytes_"), ("from_bytes", "from_bytes_"), ("id", "id"),
])  # fmt: skip
def test_a_members_name_avoids_what_python_and_struct_use(name, python):
    assert pynames.attribute_name(name, set(), "member", pynames.FIELDS) == python


@pytest.mark.parametrize("name, python", [("name", "name_"), ("mro", "mro_"), ("real", "real_"), ("_sunder_", "_sunder__"), ("OK", "OK")])
def test_an_enumerators_name_avoids_what_enum_uses(name, python):
    assert pynames.attribute_name(name, set(), "enumerator", pynames.ENUMERATORS) == python


@pytest.mark.parametrize("name, python", [
    ("none", "None_"), ("exception", "Exception_"), ("c", "C"), ("ARCH", "ARCH_"), ("event___v2", "EventV2"), ("2d", "_2d"),
])  # fmt: skip
def test_a_class_is_named_in_camel_case(name, python):
    assert pynames.class_name(name) == python


@pytest.mark.parametrize("stem, module", [("filter", "filter_skel"), ("tcp-rtt.v2", "tcp_rtt_v2_skel"), ("2d", "_2d_skel"), ("é", "__skel")])
def test_a_module_is_named_after_its_object(stem, module):
    assert pynames.module_name(stem) == module
