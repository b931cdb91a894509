"""Maps as mappings, in this kernel."""

import errno

import bpfloader
import pytest
from bpfloader.map.batch import Entries


def test_a_hash_gives_back_what_was_put(loaded, skel):
    table = loaded.maps.table
    value = skel.Value(count=2**64 - 1, comm="naïve", address=b"\x0a\0\0\x01", color=skel.Color.COLOR_BLUE)
    table[skel.Key(1, 80)] = value
    assert table[skel.Key(1, 80)] == value
    assert list(table.items()) == [(skel.Key(1, 80), value)]
    assert skel.Key(1, 80) in table and skel.Key(1, 81) not in table
    del table[skel.Key(1, 80)]
    assert len(table) == 0 and table.get(skel.Key(1, 80)) is None


def test_what_a_program_writes_is_read(loaded, skel):
    loaded.progs.fill.test_run(bytes(64))
    assert loaded.maps.table[skel.Key(id=77, port=443)] == skel.Value(
        3, "from-bpf", b"\x7f\0\0\x01", skel.Color.COLOR_RED
    )
    assert sum(loaded.maps.percpu_slots[0]) == 11


def test_put_obeys_its_flag(loaded, skel):
    table, key = loaded.maps.table, skel.Key(id=5)
    with pytest.raises(KeyError):
        table.put(key, skel.Value(), bpfloader.EXIST)
    table.put(key, skel.Value(), bpfloader.NOEXIST)
    with pytest.raises(bpfloader.MapError, match="EEXIST.*the key is there already"):
        table.put(key, skel.Value(), bpfloader.NOEXIST)


def test_a_missing_key_is_a_key_error(loaded, skel):
    for action in (loaded.maps.table.__getitem__, loaded.maps.table.__delitem__):
        with pytest.raises(KeyError, match="port=9"):
            action(skel.Key(port=9))


def test_a_full_hash_says_so(opened):
    opened.maps.percpu_table.max_entries = 2
    opened.load()
    table = opened.maps.percpu_table
    one = table.get(0) or (1,) * len(opened.maps.percpu_slots[0])
    table[1] = table[2] = one
    with pytest.raises(bpfloader.MapError, match="E2BIG.*max_entries"):
        table[3] = one


@pytest.mark.parametrize("count", [0, 1, 255, 256, 257, 3000])
def test_all_entries_are_seen_once(loaded, skel, count):
    table = loaded.maps.table
    for number in range(count):
        table[skel.Key(id=number)] = skel.Value(count=number)
    assert sorted(key.id for key in table) == list(range(count))
    assert {key.id: value.count for key, value in table.items()} == {number: number for number in range(count)}
    assert len(table) == count
    assert sorted(value.count for value in table.values()) == list(range(count))


def refusing(*_):
    """Refuses batch operations, as an old kernel does."""
    raise bpfloader.MapError("no batches", errno=errno.EINVAL)


@pytest.mark.parametrize("batches", [True, False])
def test_deleting_while_iterating_misses_nothing(loaded, skel, monkeypatch, batches):
    table = loaded.maps.table
    for number in range(1000):
        table[skel.Key(id=number)] = skel.Value()
    if not batches:
        monkeypatch.setattr(Entries, "_lookup_batches", refusing)
    seen = []
    for key in table:
        seen.append(key.id)
        table.pop(key, None)
        table.pop(skel.Key(id=key.id ^ 1), None)  # its neighbour, perhaps the one that comes next
        table[skel.Key(id=key.id + 10**6)] = skel.Value()
        if len(seen) > 5000:
            break
    assert len(seen) == len(set(seen)) and {number // 2 for number in seen} >= set(range(500))


def test_an_array_has_all_its_elements(loaded, skel):
    slots = loaded.maps.slots
    slots[7] = skel.Value(count=7)
    assert [value.count for _, value in slots.items()] == [0] * 7 + [7]
    assert list(slots) == list(range(8)) and len(slots) == 8
    with pytest.raises(KeyError):
        slots[8]
    with pytest.raises(bpfloader.MapError, match="index too high"):
        slots[8] = skel.Value()
    with pytest.raises(bpfloader.LayoutError):
        slots[-1]
    with pytest.raises(bpfloader.MapError, match="can't be deleted"):
        del slots[0]


def test_per_cpu_values_are_tuples(loaded):
    table, cpus = loaded.maps.percpu_table, len(loaded.maps.percpu_slots[0])
    table[3] = tuple(range(cpus))
    assert dict(table.items()) == {3: tuple(range(cpus))}
    with pytest.raises(bpfloader.LayoutError, match=f"tuple of {cpus} values"):
        table[3] = 5


def test_other_keyed_types_are_mappings_too(loaded, skel):
    loaded.maps.recent[4] = 2**40
    assert dict(loaded.maps.recent) == {4: 2**40}
    loaded.maps.routes[skel.Prefix(8, b"\x0a\0\0\0")] = 1
    loaded.maps.routes[skel.Prefix(16, b"\x0a\x01\0\0")] = 2
    assert loaded.maps.routes[skel.Prefix(32, b"\x0a\x01\x02\x03")] == 2
    assert sorted(loaded.maps.routes.values()) == [1, 2]


@pytest.mark.parametrize("key, value, said", [
    (5, None, "5 is no Key"),
    (dict(id=-1), {}, "Key.id: -1 is not in 0 … 18446744073709551615"),
    (dict(port=65536), {}, "Key.port"),
    ({}, dict(comm="x" * 17), "Value.comm: .*it has 17 bytes"),
    ({}, dict(address=b"abc"), "Value.address: .*it has 3 elements, not 4"),
])  # fmt: skip
def test_what_does_not_fit_is_refused_by_name(loaded, skel, key, value, said):
    with pytest.raises(bpfloader.LayoutError, match=said):
        loaded.maps.table[skel.Key(**key) if isinstance(key, dict) else key] = (
            skel.Value(**value) if value is not None else None
        )


def test_sizes_are_set_before_load_only(opened):
    opened.maps.table.max_entries = 3
    with pytest.raises(bpfloader.StateError, match="before load"):
        opened.maps.recent[0]
    opened.load()
    assert opened.maps.table.max_entries == 3
    with pytest.raises(bpfloader.StateError, match="between open and load"):
        opened.maps.table.max_entries = 4


def test_a_type_of_another_size_is_refused(opened, skel):
    with pytest.raises(bpfloader.LayoutError, match="its types have"):
        bpfloader.Hash(opened, "table", skel.Value, skel.Key)


def test_a_value_is_read_whole_under_its_lock(using, maps_skel):
    bpf = using("guarded", "guard")
    table, lock = bpf.maps.guarded, bpfloader.LOCK
    table[1] = maps_skel.Guarded(first=1, second=1)
    for _ in range(3):
        assert bpf.progs.guard.test_run(bytes(64)).value == 1
    found = table.lookup(1, lock)
    assert (found.writes, found.first, found.second) == (3, 4, 4)
    table.put(1, maps_skel.Guarded(first=9, second=9), lock | bpfloader.EXIST)
    assert table[1].first == 9
    with pytest.raises(KeyError):
        table.lookup(2, lock)
