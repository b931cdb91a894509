"""Damage for the parsers' tests: edits of real files, drawn by hypothesis."""

from hypothesis import strategies as st

EDITS = st.lists(
    st.tuples(st.sampled_from(("flip", "cut", "insert", "word")), st.floats(0, 1), st.binary(min_size=1, max_size=8)),
    min_size=1,
    max_size=4,
)


def mutate(data: bytes, edits) -> bytes:
    """The data after each edit: what, the place as a fraction of the length, new bytes."""
    out = bytearray(data)
    for what, fraction, new in edits:
        place = int(fraction * max(0, len(out) - 1))
        if what == "flip":
            out[place : place + 1] = bytes([out[place] ^ (new[0] or 1)]) if out else b""
        elif what == "cut":
            del out[place : place + len(new)]
        elif what == "insert":
            out[place:place] = new
        else:
            out[place // 4 * 4 : place // 4 * 4 + len(new)] = new
    return bytes(out)
