"""Many entries at once, and maps that change meanwhile."""

import errno
import gc
import threading

import bpfloader
import pytest
from bpfloader.map import batch

BATCHES = pytest.mark.parametrize("batches", [True, False])


@pytest.fixture
def kernel_s(batches, request):
    """Takes the kernel's batch operations away where `batches` is False."""
    if not batches:
        request.getfixturevalue("no_batches")


@BATCHES
def test_entries_are_written_read_and_deleted_in_bulk(using, maps_skel, batches, kernel_s):
    big, pair = using("big").maps.big, maps_skel.Pair
    wanted = {number: pair(number, number + 1) for number in range(9000)}
    big.update(wanted)
    assert dict(big.batch()) == wanted and len(big) == 9000
    assert big.delete([*range(0, 9000, 2), 10**6, 0, 4]) == 4500
    assert sorted(big) == list(range(1, 9000, 2))
    assert dict(big.drain()) == {number: wanted[number] for number in range(1, 9000, 2)}
    assert big.batch() == [] == big.drain() and len(big) == 0
    big.update((number, pair()) for number in range(100))
    big.clear()
    assert list(big) == []


@BATCHES
def test_entries_as_tuples(using, maps_skel, batches, kernel_s):
    maps, pair = using("big counts outer_by_name percpu_counts").maps, maps_skel.Pair
    maps.big.update({number: pair(number, 1) for number in range(1000)})
    assert sorted(maps.big.tuples()) == [((number,), (number, 1)) for number in range(1000)]
    maps.counts[3] = 4
    maps.outer_by_name[pair(5, 6)] = inner = maps.outer_by_name.create()
    assert (maps.counts.tuples(), maps.outer_by_name.tuples()) == ([((3,), (4,))], [((5, 6), (inner.id,))])
    maps.percpu_counts[1] = values = tuple(range(maps.percpu_counts._value.count))
    assert maps.percpu_counts.tuples() == [((1,), values)]


@BATCHES
def test_a_bulk_that_does_not_fit_says_where(using, batches, kernel_s):
    counts = using("counts").maps.counts
    with pytest.raises(bpfloader.MapError, match="counts: bpf_map_update_elem failed .E2BIG.*raise max_entries"):
        counts.update((number, number) for number in range(100))
    assert dict(counts) == {number: number for number in range(64)}
    with pytest.raises(bpfloader.MapError, match="EEXIST"):
        counts.update({5: 1, 6: 1}, bpfloader.NOEXIST)
    with pytest.raises(KeyError):
        counts.update([(5, 1), (99, 1)], bpfloader.EXIST)
    assert counts[5] == 1
    with pytest.raises(bpfloader.LayoutError, match="^counts: -1 is not in 0 … 4294967295$"):
        counts.update({-1: 1})


def test_values_of_a_bpf_spin_lock_are_written_in_bulk_under_it(using, maps_skel):
    table = using("guarded").maps.guarded
    table.update({number: maps_skel.Guarded() for number in range(5)})
    table.update({number: maps_skel.Guarded(first=number) for number in range(5)}, bpfloader.LOCK)
    assert sorted(value.first for value in table.values()) == [0, 1, 2, 3, 4]


@BATCHES
def test_batches_as_arrays(using, maps_skel, batches, kernel_s):
    numpy = pytest.importorskip("numpy")
    bpf = using("counts big percpu_counts percpu_pairs slots recent")
    maps, pair = bpf.maps, maps_skel.Pair
    maps.counts.update((number, number**2) for number in range(60))
    keys, values = maps.counts.batch(numpy=True)
    assert (keys.dtype, values.dtype, len(keys)) == (numpy.uint32, numpy.uint64, 60) and (keys**2 == values).all()
    maps.big.update((number, pair(number, 7)) for number in range(1000))
    keys, values = maps.big.drain(numpy=True)
    assert (values["low"] == keys).all() and values["high"].sum() == 7000 and len(maps.big) == 0
    cpus = maps.percpu_counts._value.count
    maps.percpu_counts.update((number, tuple(number + cpu for cpu in range(cpus))) for number in range(10))
    keys, values = maps.percpu_counts.batch(numpy=True)
    assert values.shape == (10, cpus) and (values == keys[:, None] + numpy.arange(cpus)).all()
    maps.percpu_pairs[4] = tuple(pair(cpu, 4) for cpu in range(cpus))
    keys, values = maps.percpu_pairs.batch(numpy=True)
    assert values.shape == (5, cpus) and list(values["low"][4]) == list(range(cpus)) and list(keys) == [0, 1, 2, 3, 4]
    keys, values = maps.recent.batch(numpy=True)
    assert (len(keys), len(values)) == (0, 0)


def test_a_mapped_array_as_an_array(using, maps_skel):
    pytest.importorskip("numpy")
    bpf = using("shared", "share")
    array = bpf.maps.shared.elements.numpy()
    array["high"][7] = 41
    bpf.bss.number = 7
    assert bpf.progs.share.test_run(bytes(64)).value == 41
    assert array[7]["low"] == 42 and bpf.maps.shared[7] == maps_skel.Pair(42, 41)


def test_bytes_as_arrays(using, maps_object):
    numpy = pytest.importorskip("numpy")
    table = using("counts", kind=bpfloader.Object, source=maps_object)["counts"]
    table.update({bytes([1, 2, 3, number]): bytes([number] * 8) for number in range(5)})
    keys, values = table.batch(numpy=True)
    assert (
        keys.shape == (5, 4) and values.shape == (5, 8) and (values == keys[:, 3:]).all() and keys.dtype == numpy.uint8
    )


@BATCHES
@pytest.mark.parametrize("name", ["counts", "routes", "big"])
def test_iteration_survives_a_thread_that_deletes(using, maps_skel, name, batches, kernel_s):
    """Keys that stay come exactly once, whatever is added and deleted beside them.

    Stepping through a hash whose entries the kernel allocated beforehand is the exception: an entry that is deleted and
    put into another bucket at once leads the kernel's step there, past the rest of the bucket it was in. A key may be
    missed then; none comes twice, and none that isn't there.
    """
    steps_astray = not batches and name in ("counts", "big")
    table = using(name).maps[name]
    make = (lambda n: table.key(f"10.0.0.{n}")) if name == "routes" else (lambda n: n)
    value = maps_skel.Pair() if name == "big" else 1
    stay, go = [make(n) for n in range(0, 40, 2)], [make(n) for n in range(1, 41, 2)]
    table.update((key, value) for key in stay)
    wanted = {table.network(key) if name == "routes" else key for key in stay}
    ended = threading.Event()

    def disturb():
        while not ended.is_set():
            for key in go:
                table[key] = value
            table.delete(go)

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        for _ in range(30):
            seen = [table.network(key) if name == "routes" else key for key, _ in table.items()]
            assert len(seen) == len(set(seen))
            assert set(seen) <= {*wanted, *(table.network(key) if name == "routes" else key for key in go)}
            assert steps_astray or wanted <= set(seen)
    finally:
        ended.set()
        thread.join()


@pytest.mark.parametrize("name", ["routes", "outer"])
def test_a_batch_that_the_kernel_breaks_off_is_gone_on_with_one_by_one(using, monkeypatch, name):
    """EINTR is what it says before Linux 6.14 where keys have no value, or lost it meanwhile."""
    table = using(f"{name} first_inner").maps[name]
    if name == "routes":
        table.update({table.key(f"10.0.0.{number}"): number for number in range(40)})
    else:
        table[3] = table[1]
    monkeypatch.setattr(batch, "FIRST_BATCH", 1)
    called = []

    def interrupted(verb, *arguments, call=table._call):
        called.append(verb)
        if verb == "lookup_batch" and called.count(verb) == 2:
            raise bpfloader.MapError("interrupted", errno=errno.EINTR)
        call(verb, *arguments)

    monkeypatch.setattr(table, "_call", interrupted)
    keys = [key.address[-1] if name == "routes" else key for key in table]
    assert sorted(keys) == (list(range(40)) if name == "routes" else [1, 3]) and "get_next_key" in called


@BATCHES
def test_a_drained_entry_comes_once(using, maps_skel, batches, kernel_s):
    big, total, found = using("big").maps.big, 20000 if batches else 4000, []

    def produce():
        for start in range(0, total, 100):
            big.update((number, maps_skel.Pair(number, 1)) for number in range(start, start + 100))

    thread = threading.Thread(target=produce)
    thread.start()
    while thread.is_alive():
        found += big.drain()
    found += big.drain()
    assert sorted(key for key, _ in found) == list(range(total)) and all(value.low == key for key, value in found)


def test_destroy_in_another_thread_ends_operations_with_a_state_error(using):
    bpf, said = using("counts"), []

    def work():
        try:
            while True:
                bpf.maps.counts[1] = 1
                dict(bpf.maps.counts)
        except bpfloader.StateError as error:
            said.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    bpf.destroy()
    for thread in threads:
        thread.join()
    assert len(said) == 3


@pytest.mark.parametrize("collecting", [True, False])
def test_the_garbage_collector_is_left_as_it_was(using, monkeypatch, collecting):
    counts = using("counts").maps.counts
    counts[1] = 1
    (gc.enable if collecting else gc.disable)()
    try:
        assert counts.batch() == [(1, 1)] and gc.isenabled() is collecting
        monkeypatch.setattr(counts, "_call", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            counts.batch()
        assert gc.isenabled() is collecting
    finally:
        gc.enable()


def test_bcc_s_names(using):
    counts = using("counts").maps.counts
    counts.items_update_batch([1, 2, 3], [10, 20, 30])
    assert sorted(counts.items_lookup_batch()) == [(1, 10), (2, 20), (3, 30)]
    counts.items_delete_batch([1])
    assert sorted(counts.items_lookup_and_delete_batch()) == [(2, 20), (3, 30)] and len(counts) == 0
    counts[4] = 1
    counts.items_delete_batch()
    assert dict(counts) == {}
