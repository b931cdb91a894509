"""Keys of text whatever their bytes: each key of a map is a key of a dict, and finds its entry again."""

import os
import warnings

import bpfloader
import pytest
from compiling import compile_text

NAMES = [b"plain", b"\xff", b"\\xff", b"gr\xc3\xbc", b"gr\xc3", b"gr\\xc3", b"\xed\xb3\xa9", b"\x1b[2J", b""]


def test_each_key_of_a_map_is_a_key_of_a_dict(using, maps_skel):
    table = using("by_text").maps.by_text
    names = {data: number for number, data in enumerate(NAMES)}
    table.update((maps_skel.Text(data), number) for data, number in names.items())
    found = dict(table.items())
    assert len(found) == len(table) == len(NAMES)
    assert {os.fsencode(key.name): number for key, number in found.items()} == names
    assert {key.name: number for key, number in found.items()} == {os.fsdecode(data): n for data, n in names.items()}
    for key, number in found.items():
        assert table[key] == number == found[key]
    assert table.delete(list(found)) == len(NAMES) and len(table) == 0


PADDED = """#include "mini_bpf.h"
char LICENSE[] SEC("license") = "GPL";
struct key { __u8 kind; __u32 number; __u16 port; };
struct { __uint(type, %d); __uint(max_entries, 64); __type(key, struct key); __type(value, __u64); } counts SEC(".maps");
"""
READ = {
    "items": lambda table: dict(table.items()), "iteration": list, "batch": lambda table: table.batch(),
    "tuples": lambda table: table.tuples(), "numpy": lambda table: table.batch(numpy=True), "drain": lambda table: table.drain(),
}  # fmt: skip


@pytest.mark.parametrize("kind", [1, 9], ids=["hash", "LRU hash"])
@pytest.mark.parametrize("way", READ)
def test_keys_that_differ_in_padding_alone_are_warned_of(clang, kernel, kind, way):
    """A program that fills a key's members leaves what was on its stack between them (sched-ext/scx #3693)."""
    if way == "numpy":
        pytest.importorskip("numpy")
    with bpfloader.Object.open(compile_text(clang, PADDED % kind)) as bpf:
        bpf.load()
        with bpfloader.open_map(bpf.maps.counts.id) as counts:

            def put(padding: int, number: int) -> None:
                packed = bytes([1, padding, 0, 0, number, 0, 0, 0, 3, 0, 0, padding])
                counts._call("update_elem", packed, bytes(8), 0)

            for padding, number in ((0, 1), (0, 2), (7, 2), (8, 2)):
                put(padding, number)
            said = "counts: the key Key.kind=1, number=2, port=3. holds bytes that no member shows"
            with pytest.warns(RuntimeWarning, match=said):
                READ[way](counts)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                READ[way](counts)  # it is said once
                with bpfloader.open_map(bpf.maps.counts.id) as clean:
                    clean.clear()
                with bpfloader.open_map(bpf.maps.counts.id) as clean:
                    put(0, 1)
                    READ[way](clean)


def test_text_behind_a_keys_nul_is_warned_of(using):
    table = using("by_text").maps.by_text
    size = table.key_size
    for tail in (b"x", b"y"):
        table._call("update_elem", b"name\0".ljust(size - 1, b"\0") + tail, bytes(table.value_size), 0)
    with pytest.warns(RuntimeWarning, match="by_text: the key .*name.* holds bytes that no member shows, .* text behind its NUL"):
        assert len(dict(table.items())) == 1
