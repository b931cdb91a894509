"""Random operations on real maps and on what Python has in their place."""

import ipaddress
from collections import deque

import bpfloader
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# One map serves all examples, each begins with it empty.
SETTINGS = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
KEYS, NUMBERS = st.integers(0, 11), st.integers(0, 2**32 - 1)
ENTRIES = st.lists(st.tuples(KEYS, NUMBERS), max_size=6)
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), KEYS, NUMBERS),
        st.tuples(st.sampled_from(["noexist", "exist"]), KEYS, NUMBERS),
        st.tuples(st.sampled_from(["del", "pop", "get"]), KEYS, st.none()),
        st.tuples(st.just("update"), ENTRIES, st.none()),
        st.tuples(st.just("delete"), st.lists(KEYS, max_size=6), st.none()),
        st.tuples(st.sampled_from(["clear", "drain", "popitem", "batch"]), st.none(), st.none()),
    ),
    max_size=25,
)
ROOM = 8


class Bounded(dict):
    """A dict that takes so many entries, with the maps' own verbs."""

    def put(self, key, value, flags=bpfloader.ANY):
        if flags == bpfloader.NOEXIST and key in self:
            raise bpfloader.MapError("EEXIST")
        if flags == bpfloader.EXIST and key not in self:
            raise KeyError(key)
        if key not in self and len(self) == ROOM:
            raise bpfloader.MapError("E2BIG")
        self[key] = value

    def update(self, entries):
        for key, value in entries:
            self.put(key, value)

    def delete(self, keys):
        return sum(self.pop(key, None) is not None for key in keys)

    def drain(self):
        found = list(self.items())
        self.clear()
        return found

    def batch(self):
        return list(self.items())


def outcome(target, operation, key, value):
    """Returns an operation's result, or the class of its error; entries in no order."""
    try:
        if operation in ("set", "noexist", "exist"):
            flags = dict(set=bpfloader.ANY, noexist=bpfloader.NOEXIST, exist=bpfloader.EXIST)[operation]
            return target.put(key, value, flags)
        if operation == "popitem":
            return len(target.popitem())
        given = () if key is None else (key,)
        called = dict(zip(("del", "get"), ("__delitem__", "__getitem__"))).get(operation, operation)
        result = getattr(target, called)(*given)
        return sorted(result) if isinstance(result, list) else result
    except (KeyError, bpfloader.MapError) as error:
        return type(error)


def compare(table, operations, to_key=lambda key: key, to_value=lambda value: value):
    """Does the operations to a map and to a dict, which must say the same and end the same."""
    table.clear()
    model = Bounded()
    for operation, key, value in operations:
        if operation == "update":
            key = [(to_key(one), to_value(two)) for one, two in key]
        elif operation == "delete":
            key = list(map(to_key, key))
        elif key is not None:
            key, value = to_key(key), to_value(value) if value is not None else None
        if operation == "popitem" and model:
            key, value = table.popitem()
            assert model.pop(key) == value
        else:
            assert outcome(table, operation, key, value) == outcome(model, operation, key, value), operation
        assert dict(table.items()) == model
        assert (len(table), sorted(map(repr, table)), sorted(map(repr, table.values()))) == (
            len(model), sorted(map(repr, model)), sorted(map(repr, model.values()))
        )  # fmt: skip


def loaded(open_, name):
    bpf = open_(name)
    bpf.maps[name].max_entries = ROOM
    bpf.load()
    return bpf.maps[name]


@SETTINGS
@given(operations=OPERATIONS)
def test_a_hash_is_a_dict_with_a_limit(operations, cached):
    compare(cached("counts", loaded), operations)


@SETTINGS
@given(operations=OPERATIONS)
def test_a_hash_is_one_without_batches_too(operations, cached, no_batches):
    compare(cached("counts", loaded), operations)


@SETTINGS
@given(operations=OPERATIONS)
def test_a_per_cpu_hash_is_a_dict_of_tuples(operations, cached):
    table = cached("percpu_counts", loaded)
    cpus = table._value.count
    compare(table, operations, to_value=lambda value: tuple((value + cpu) % 2**32 for cpu in range(cpus)))


@SETTINGS
@given(operations=OPERATIONS)
def test_a_hash_of_structs_is_a_dict(operations, cached, maps_skel):
    """first_inner has structs as values."""
    pair = maps_skel.Pair
    pair.__lt__ = lambda one, two: one.low < two.low  # to sort with
    compare(cached("first_inner", loaded), operations, to_value=lambda value: pair(value, value // 2))


@SETTINGS
@given(writes=st.lists(st.tuples(st.integers(-1, 7), NUMBERS), max_size=12), clear=st.booleans(), many=st.booleans())
@pytest.mark.parametrize("name", ["slots", "percpu_pairs", "shared"])
def test_an_array_is_a_list(name, writes, clear, many, cached, maps_skel):
    array = cached(name, lambda open_, name: (bpf := open_(name)).load() or bpf.maps[name])
    array.clear()
    zero = maps_skel.Pair(0, 0)
    cpus = array._value.count if name == "percpu_pairs" else None
    model = [zero if cpus is None else (zero,) * cpus] * len(array)
    writes = [(key, maps_skel.Pair(value, key & 0xFF)) for key, value in writes]
    writes = [(key, value if cpus is None else (value,) * cpus) for key, value in writes]
    for key, value in writes:
        if 0 <= key < len(model):
            model[key] = value
            if not many:
                array[key] = value
        else:
            with pytest.raises((bpfloader.MapError, bpfloader.LayoutError)):
                array[key] = value
            with pytest.raises((KeyError, bpfloader.LayoutError)):
                array[key]
    if many:
        array.update({key: value for key, value in writes if 0 <= key < len(model)})
    if clear:
        array.clear()
        model = [zero if cpus is None else (zero,) * cpus] * len(array)
    assert [array[key] for key in range(len(model))] == model
    assert array.batch() == list(enumerate(model)) and list(array.values()) == model
    if name == "shared":
        assert list(array.elements) == model


ADDRESSES = st.builds(lambda top, low: (top << 120) | low, st.integers(0, 3), st.integers(0, 3))
NETWORKS = st.builds(
    lambda address, bits: ipaddress.IPv6Network((address, bits), strict=False),
    ADDRESSES, st.sampled_from([0, 1, 7, 8, 9, 64, 126, 127, 128]),
)  # fmt: skip


@SETTINGS
@given(data=st.data())
@pytest.mark.parametrize("batches", [True, False])
def test_a_trie_finds_the_longest_prefix(batches, data, cached, request):
    if not batches:
        request.getfixturevalue("no_batches")
    trie, model = cached("routes", loaded), {}
    trie.clear()
    for operation, net, value in data.draw(
        st.lists(st.tuples(st.sampled_from("swdgb"), NETWORKS, NUMBERS), max_size=20)
    ):
        key = trie.key(net)
        assert trie.network(key) == net
        if operation in "sw":
            if len(model) == ROOM and net not in model:
                with pytest.raises(bpfloader.MapError, match="ENOSPC"):
                    trie[key] = value
            else:
                trie[key] = model[net] = value
        elif operation == "d":
            assert trie.pop(key, None) == model.pop(net, None)
            assert trie.delete([key]) == 0
        elif operation == "b":
            assert {trie.network(key): value for key, value in trie.batch()} == model
        assert trie.get(key) == model_of(model, net)
    assert {trie.network(key): value for key, value in trie.items()} == model and len(trie) == len(model)


def model_of(model, net):
    """Returns the value of the longest prefix that covers a network."""
    covering = [one for one in model if one.supernet_of(net)]
    return model[max(covering, key=lambda one: one.prefixlen)] if covering else None


@SETTINGS
@given(
    operations=st.lists(st.tuples(st.sampled_from(["push", "replace", "pop", "peek", "drain"]), NUMBERS), max_size=30)
)
@pytest.mark.parametrize("name", ["queue", "stack"])
def test_queues_and_stacks(name, operations, cached, maps_skel):
    real, model = cached(name, loaded), deque()
    real.clear()
    take, ahead = (deque.popleft, 0) if name == "queue" else (deque.pop, -1)
    for operation, number in operations:
        value = maps_skel.Pair(number, 1) if name == "queue" else number
        if operation == "push" and len(model) == ROOM:
            with pytest.raises(bpfloader.MapError, match="E2BIG"):
                real.push(value)
        elif operation in ("push", "replace"):
            if len(model) == ROOM:
                model.popleft()
            model.append(value)
            real.push(value, replace=operation == "replace")
        elif operation == "drain":
            assert list(real) == [take(model) for _ in range(len(model))]
        elif model:
            assert real.peek() == model[ahead]
            if operation == "pop":
                assert real.pop() == take(model)
        else:
            with pytest.raises(IndexError, match=f"{name} is empty"):
                getattr(real, operation)()


@SETTINGS
@given(data=st.data())
@pytest.mark.parametrize("name", ["outer_by_name", "outer"])
def test_maps_of_maps_are_dicts_of_dicts(name, data, cached, maps_skel):
    outer = cached(name, lambda open_, name: (bpf := open_(f"{name} first_inner")).load() or bpf.maps[name])
    outer.clear()
    model, numbers = {}, st.integers(0, 3)
    for operation, number, key, value in data.draw(
        st.lists(
            st.tuples(st.sampled_from(["create", "put", "del", "pop", "read"]), numbers, numbers, NUMBERS), max_size=12
        )
    ):
        place = maps_skel.Pair(number, 0) if name == "outer_by_name" else number
        if operation == "create":
            outer[place], model[place] = outer.create(), {}
        elif place not in model:
            with pytest.raises(KeyError):
                outer[place]
        elif operation == "put":
            outer[place][key] = model[place][key] = maps_skel.Pair(value, key)
        elif operation == "del":
            del outer[place], model[place]
        elif operation == "pop":
            assert dict(outer.pop(place)) == model.pop(place)
        assert {each: dict(found) for each, found in outer.items()} == model and len(outer) == len(model)
