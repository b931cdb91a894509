"""Keys of text whatever their bytes: each key of a map is a key of a dict, and finds its entry again."""

import os

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
