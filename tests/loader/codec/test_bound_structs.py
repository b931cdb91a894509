"""Structs that are read out of memory: a member that is set in one is set there, too, and not in a copy that is lost."""

import copy
import dataclasses

import bpfloader
import pytest

@pytest.fixture(scope="module")
def module(skeleton_module):
    """The generated module of bound.bpf.c."""
    return skeleton_module("bound")


@pytest.fixture
def bpf(module, kernel):
    with module.Bound.open() as bpf:
        yield bpf


def set_all(value, point):
    """Sets a member of each form of a struct."""
    value.level = 5
    value.name = "abc"
    value.corner.y = 7
    value.corner = point(3, value.corner.y)
    value.route[1].x = 9
    value.half.y = 0x1234
    value.other.point.x = 0x77


def as_set(value, point):
    """Holds a value against what set_all has set."""
    assert (value.level, value.depth, value.name, value.corner) == (5, 0, "abc", point(3, 7))
    assert value.route == (point(0, 0), point(9, 0))
    assert (value.whole, value.half, value.other.number) == (0x12340000, point(0, 0x1234), 0x77)


def test_a_member_of_a_variable_is_set(bpf, module):
    """In the skeletons of libbpf, libbpf-rs and bpftool, this is the memory itself."""
    set_all(bpf.bss.current, module.Point)
    set_all(bpf.bss.all[2], module.Point)
    set_all(bpf.rodata.fixed, module.Point)
    held = bpf.bss.current
    held.depth = 0
    for value in (bpf.bss.current, bpf.bss.all[2], bpf.rodata.fixed, held):
        as_set(value, module.Point)
    assert bpf.bss.all[:2] == (module.Settings(), module.Settings())
    bpf.load()
    assert bpf.progs.level.test_run(bytes(14)).value == 579
    bpf.bss.current.corner.y = 1
    assert bpf.progs.level.test_run(bytes(14)).value == 519


def test_what_does_not_fit_or_comes_too_late_is_told(bpf):
    with pytest.raises(bpfloader.LayoutError, match=r"^\.bss\.current\.level: 16 is not in 0 … 15"):
        bpf.bss.current.level = 16
    with pytest.raises(bpfloader.LayoutError, match=r"^\.bss\.all\[1\]\.route\[0\]\.x: "):
        bpf.bss.all[1].route[0].x = "a"
    assert bpf.bss.current.level == 0
    with pytest.raises(AttributeError):
        bpf.bss.current.levle = 1
    bpf.load()
    with pytest.raises(bpfloader.StateError, match="rodata is constant after load; set it between open and load"):
        bpf.rodata.fixed.level = 1


def test_an_element_of_a_mapped_array(bpf, module):
    bpf.load()
    set_all(bpf.maps.table.elements[1], module.Point)
    as_set(bpf.maps.table[1], module.Point)
    assert bpf.maps.table[0] == bpf.maps.table[2] == module.Settings()


def test_a_struct_in_a_union(module):
    """A union is bytes, out of which each look at a member makes a new value."""
    settings = module.Settings()
    set_all(settings, module.Point)
    settings.route = (module.Point(), module.Point(9))
    as_set(module.Settings.from_bytes(settings.to_bytes()), module.Point)


def test_it_is_a_value_as_any_other(bpf, module):
    bpf.bss.current = plain = module.Settings(level=1, corner=module.Point(2, 3), half=module.Point(4))
    held = bpf.bss.current
    assert held == plain and plain == held and hash(held) == hash(plain) and repr(held) == repr(plain)
    assert held.other == plain.other and plain.other == held.other and isinstance(held, module.Settings)
    others = [dataclasses.replace(held, level=2), copy.copy(held), copy.deepcopy(held), module.Settings(*held._values())]
    assert [each.level for each in others] == [2, 1, 1, 1] and dataclasses.asdict(held)["corner"] == {"x": 2, "y": 3}
    for each in (*others, copy.copy(held.other)):
        assert type(each) in (module.Settings, type(plain.other))
    others[0].corner.x = others[1].level = others[1].half.x = others[1].route[0].x = 9
    assert bpf.bss.current == plain and held.to_dict() == plain.to_dict() and held.to_bytes() == plain.to_bytes()
    bpf.bss.all = (held, plain, held)
    assert bpf.bss.all == (plain, plain, plain)
    assert held.__reduce__()[0] == module.Settings.from_bytes
