"""Maps that exist, opened without the object that made them: by pin, name and id, with the types that they have."""

import contextlib
import gc
import os
import random
import struct
from pathlib import Path

import bpfloader
import pytest
from bpfloader.btf.reader import Btf
from bpfloader.elf import Elf
from bpfloader.object import btf_types
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

c = bpfloader.native_endian
EVERYTHING = 33  # the id of struct everything
OWN_TYPES = "all_that_c_can_say per_cpu colors".split()


@pytest.fixture(scope="session")
def typed_skel(skeleton_module):
    return skeleton_module("typed")


@pytest.fixture(scope="session")
def typed(typed_skel, kernel):
    """The object of typed.bpf.c, loaded."""
    with typed_skel.Typed.open() as typed:
        typed.load()
        yield typed


def descriptors() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("name", OWN_TYPES)
def test_a_map_has_the_types_that_its_skeleton_would_have(typed, name):
    declared, drawn = typed.maps[name], random.Random(name)
    with bpfloader.open_map(declared.id) as found:
        assert (type(found), found.id, found.name) == (type(declared), declared.id, name[:15])
        for ours, theirs in ((found._key, declared._key), (found._value, declared._value)):
            for _ in range(50):
                data = drawn.randbytes(theirs.size)
                assert repr(ours.unpack(data)) == repr(theirs.unpack(data))
                assert ours.pack(ours.unpack(data)) == theirs.pack(theirs.unpack(data))


def test_the_names_that_are_reserved_are_the_skeleton_s():
    from ebpfbuild.skeleton import names

    assert btf_types.RESERVED == names.FIELDS
    assert btf_types.ENUM_RESERVED == names.ENUMERATORS


@pytest.fixture(scope="session")
def btf(typed_skel) -> bytes:
    path = typed_skel.__file__.replace("_skel.py", ".bpf.o")
    return Elf(Path(path).read_bytes(), path).data(".BTF")


EDITS = st.lists(st.tuples(st.integers(24, 2500), st.integers(0, 255)), max_size=8)


@settings(deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(EDITS, st.lists(st.integers(1, 90), max_size=5))
def test_damaged_types_are_read_or_refused(btf, edits, numbers):
    damaged = bytearray(btf)
    for place, value in edits:
        damaged[place] = value
    for number in (*numbers, EVERYTHING):
        with contextlib.suppress(bpfloader.BpfError):
            btf_types.BtfTypes(Btf(bytes(damaged), "a map"), 4096).codec(number, "place").zero()


@pytest.mark.parametrize("name", [1, 0], ids=["named", "anonymous"])
def test_types_that_contain_themselves_are_refused(name):
    words = struct.pack("<6I", 1, 4 << 24 | 1, 4, name, 1, 0)  # struct s { struct s member; }
    header = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, 24, 24, 3)
    with pytest.raises(bpfloader.ObjectError, match="contains itself|inside more than"):
        btf_types.BtfTypes(Btf(header + words + b"\0s\0", "a map"), 64).codec(1, "place")


def test_what_one_writes_the_other_reads(typed):
    with bpfloader.open_map(typed.maps.colors.id) as colors:
        colors["192.0.2.1"] = 2
        assert {str(key): value.name for key, value in typed.maps.colors.items()} == {"192.0.2.1": "COLOR_BLUE"}
        assert colors.pop("192.0.2.1") == 2 and len(typed.maps.colors) == 0


def test_variables_are_members_of_their_section(typed):
    (number,) = (n for n in bpfloader.kernel.objects.ids("map") if called(n) == "typed.data" and is_of(typed, n))
    with bpfloader.open_map(number) as data:
        assert (data[0].hits, data[0].last.id, data[0].last.comm) == (typed.data.hits, 5, "begin")


def called(number: int) -> str:
    with bpfloader.open_map(number) as found:
        return found.info.name


def is_of(bpf, number: int) -> bool:
    """True if it is a map of that object: both have the same BTF."""
    with bpfloader.open_map(number) as found:
        return found.info.btf_id == bpf.maps.colors.info.btf_id


def test_pin_name_and_id_find_the_same_map(typed, bpffs):
    colors = typed.maps.colors
    colors.pin(bpffs / "colors")
    for source in (colors.id, bpffs / "colors", str(bpffs / "colors")):
        with bpfloader.open_map(source) as found:
            assert found.id == colors.id
    wanted = bpffs / "named"
    with bpfloader.open_map(typed.maps.outer.id) as outer:
        made = typed.maps.outer.create(name="only_one_has_it_" + "x" * 10)  # the kernel keeps 15 characters
        made.pin(wanted)
        for name in ("only_one_has_it", "only_one_has_it_xxxx"):
            with bpfloader.open_map(name) as found:
                assert found.id == made.id
        assert outer.id == typed.maps.outer.id
    with pytest.raises(bpfloader.MapError, match=r"2 maps are called only_one_has_it: ids \d+, \d+; open one by its"):
        held = typed.maps.outer.create(name="only_one_has_it")
        bpfloader.open_map("only_one_has_it")
    del held


def test_maps_in_a_map_have_their_own_types(typed, typed_skel):
    typed.maps.first_inner[3] = typed_skel.EventKey(9, "inner")
    with bpfloader.open_map(typed.maps.outer.id) as outer:
        assert list(outer) == [1] and outer[1].id == typed.maps.first_inner.id
        assert outer[1][3].comm == "inner"
        assert outer[1][3] == outer[1][3]  # of one class, though each look-up opens the map anew


@pytest.mark.parametrize("types", [(), "class", "codec"])
def test_a_ring_s_records_have_the_types_that_are_given(typed, typed_skel, types):
    given = {"class": (typed_skel.EventKey,), "codec": (c.raw(12),)}.get(types, ())
    typed.maps.events.raw()
    assert typed.progs.emit.test_run(bytes(64)).value == 0
    with bpfloader.open_map(typed.maps.events.id, *given) as ring:
        (record,) = ring.batch()
        assert record == (
            typed_skel.EventKey(5, "begin") if types == "class" else typed_skel.EventKey(5, "begin").to_bytes()
        )
        assert ring.lost is None
    assert typed.maps.events.batch() == []


def test_who_opens_a_perf_event_array_and_does_not_read_takes_no_records(rings, rings_skel):
    """As a tool that lists maps does, beside a monitor that runs."""
    with bpfloader.open_map(rings.maps.perf.id) as looked_at, rings_skel.Rings.maps.perf.open(rings.maps.perf.id):
        assert looked_at.info.name == "perf" and looked_at.max_entries and repr(looked_at)
        assert rings.progs.produce_perf.test_run(bytes(64)).value == 0
    assert rings.progs.produce_perf.test_run(bytes(64)).value == 0
    assert [record.number for record in rings.maps.perf.batch()] == [0, 1]


def test_a_perf_buffer_takes_the_records_of_its_cpus(rings, rings_skel):
    with bpfloader.open_map(rings.maps.perf.id, rings_skel.Numbered) as perf:
        assert perf.batch() == []  # from now on they are this reader's
        assert [rings.progs.produce_perf.test_run(bytes(64)).value for _ in range(3)] == [0, 0, 0]
        assert [record.number for record in perf.batch(timeout=5)] == [0, 1, 2]
        assert perf.lost == 0 and rings.maps.perf.batch() == []
    assert rings.progs.produce_perf.test_run(bytes(64)).value == 1  # the reader before doesn't get them back


def test_a_user_ring_buffer_is_written(rings, rings_skel):
    with bpfloader.open_map(rings.maps.commands.id, rings_skel.Command) as commands:
        commands.submit(rings_skel.Command(1, 41, "x"))
    rings.progs.drain_now.test_run(bytes(64))
    assert (rings.bss.drained, rings.bss.argument_sum) == (1, 41)


def test_a_skeleton_s_class_opens_its_maps(typed, typed_skel, bpffs):
    skeleton = typed_skel.Typed
    typed.maps.colors.pin(bpffs / "colors")
    typed.maps.events.pin(bpffs / "events")
    before = descriptors()
    with skeleton.maps.colors.open(bpffs / "colors") as colors, skeleton.maps["events"].open(bpffs / "events") as ring:
        colors["192.0.2.9"] = typed_skel.Color.COLOR_RED
        assert typed.maps.colors.pop("192.0.2.9") is typed_skel.Color.COLOR_RED
        typed.progs.emit.test_run(bytes(64))
        assert [type(record) for record in ring.batch()] == [typed_skel.EventKey]
    assert descriptors() == before
    with skeleton.maps.colors.open(typed.maps.colors.id) as colors:
        assert colors.id == typed.maps.colors.id and descriptors() == before + 1  # no object stays open
    assert "colors" in repr(skeleton.maps.colors) and "Typed" in repr(skeleton.maps)
    with typed.maps.colors.open(bpffs / "colors") as again:  # an object's own maps do, too
        assert again.id == typed.maps.colors.id
    with pytest.raises(
        bpfloader.MapError, match=r"can't open .*events' as the map colors: \(type, .* of the same decl"
    ):
        skeleton.maps.colors.open(str(bpffs / "events"))
    with pytest.raises(KeyError, match="no map color; nearest: colors"):
        skeleton.maps.color.open(1)
    with pytest.raises(AttributeError, match=r"Typed.maps.colors is no map yet and has no id; call open\(path\) on it"):
        skeleton.maps.colors.id  # noqa: B018
    with pytest.raises(bpfloader.ObjectError, match="no BPF object was given"):
        bpfloader.Object.maps.colors.open(1)


def test_a_map_is_closed_at_the_end_and_with_its_last_reference(typed, rings):
    sources = typed.maps.colors.id, typed.maps.events.id, rings.maps.perf.id, rings.maps.commands.id
    [each.poll(0) for each in map(bpfloader.open_map, sources) if hasattr(each, "poll")]
    before = descriptors()
    for _ in range(20):
        for source in sources:
            found = bpfloader.open_map(source)
            [found.poll(0) for _ in range(hasattr(found, "poll"))]
            with bpfloader.open_map(source) as other:
                [other.poll(0) for _ in range(hasattr(other, "poll"))]
            other.close()
            del found, other
    assert descriptors() == before
    closed = bpfloader.open_map(sources[0])
    closed.close()
    with pytest.raises(bpfloader.StateError, match="the map colors is closed; open it again"):
        len(closed)
    with pytest.raises(bpfloader.StateError, match="the map colors belongs to an object; destroy the object"):
        typed.maps.colors.close()


def test_closing_ends_an_iteration(typed):
    from threading import Timer

    ring = bpfloader.open_map(typed.maps.events.id)
    ring.raw()
    Timer(0.1, ring.close).start()
    assert list(ring) == []


def test_a_child_of_fork_has_the_map(typed):
    with bpfloader.open_map(typed.maps.colors.id) as colors:
        child = os.fork()
        if not child:
            colors["192.0.2.7"] = 1
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert typed.maps.colors.pop("192.0.2.7") == 1


@pytest.mark.parametrize(
    ("source", "types", "error", "says"),
    [
        ("/sys/fs/bpf/none/here", (), bpfloader.MapError, "can't take what is pinned at /sys/fs/bpf/none/here (ENOENT"),
        ("no_such_map_here", (), bpfloader.MapError, "no map is called no_such_map_here; "),
        (0xFFFFFFFE, (), bpfloader.MapError, "no map has the id 4294967294; `bpftool map` lists maps by id"),
        (-1, (), bpfloader.MapError, "no map has the id -1; "),
        (1 << 32, (), bpfloader.MapError, "no map has the id 4294967296; "),
        (True, (), TypeError, "True is no path, name or id of a map"),
        (None, (), TypeError, "None is no path, name or id of a map"),
        ("colors", (c.u32,), TypeError, "colors is a Hash: give its types (key and value), or none; 1 given"),
        ("events", (c.u32, c.u32), TypeError, "events is a RingBuffer: give its types (record), or none; 2 given"),
        ("colors", (c.u32, c.u64), bpfloader.LayoutError, "(4, 4) bytes, its types have (4, 8); give the types that"),
        ("colors", (int, int), TypeError, "<class 'int'> is no type in C; give a class of a skeleton, or a codec such as"),
        ("events", ("u32",), TypeError, "'u32' is no type in C; give a class of a skeleton, or a codec such as native"),
    ],
)  # fmt: skip
def test_what_isn_t_there_or_doesn_t_fit_is_refused(typed, source, types, error, says):
    before = descriptors()
    with pytest.raises(error) as caught:
        bpfloader.open_map(getattr(typed.maps, source).id if hasattr(typed.maps, str(source)) else source, *types)
    assert says in str(caught.value)
    del caught
    assert descriptors() == before


def test_a_pin_of_a_program_is_no_map(typed, bpffs):
    bpfloader.libbpf.pin.pin_to(typed.progs.emit.fd, bpffs / "emit", "emit")
    with pytest.raises(bpfloader.MapError, match="what is pinned at .*/emit is no map, but a program; give the path of a map's pin"):
        bpfloader.open_map(bpffs / "emit")


def test_types_that_the_kernel_hides_are_asked_for(typed, monkeypatch):
    from bpfloader.object import open_map as module

    def refuse(number):
        raise bpfloader.CallError("bpf_btf_get_fd_by_id failed", errno=1)

    module._btf_codecs.cache_clear()
    monkeypatch.setattr(module, "read_btf", refuse)
    with pytest.raises(bpfloader.PrivilegeError, match=r"types of the map colors \(EPERM.*give its types: open_map"):
        bpfloader.open_map(typed.maps.colors.id)
    with bpfloader.open_map(typed.maps.colors.id, c.u32, c.u32) as colors:
        assert dict(colors) == {}


class Mood(bpfloader.Enum):
    BAD = -1
    GOOD = 1


def test_an_enum_s_class_is_a_type(typed):
    """In C an enum with a negative value is signed."""
    number = typed.maps.colors.id
    with bpfloader.open_map(number, c.u32, Mood) as moods, bpfloader.open_map(number, c.u32, c.u32) as numbers:
        moods[1] = Mood.BAD
        assert moods[1] is Mood.BAD and numbers[1] == 0xFFFFFFFF


def test_a_class_of_another_loader_says_so(typed):
    class Foreign:
        codec = object()

    with pytest.raises(TypeError, match="Foreign.* is of another copy of this loader; call what that copy has: open_map"):
        bpfloader.open_map(typed.maps.colors.id, Foreign, Foreign)
