"""The function that reads a whole struct gives what each member's own codec reads at its offset."""

import bpfloader
import pytest
from bpfloader.codec.records import RecordDecoder, TupleDecoder
from hypothesis import given, settings
from hypothesis import strategies as st


class Shade(bpfloader.Enum):
    """Has a name for one of its values."""

    DARK = 1


@st.composite
def structs(draw, order: str, depth: int = 2):
    """A random struct's class: numbers, text, addresses, bitfields that share storage, arrays, unions, structs within."""
    c, offset, members = bpfloader.CTypes(order), 0, {}
    for number in range(draw(st.integers(1, 6))):
        kind = draw(st.sampled_from(["number", "bits", "array", "union", "text"] + ["struct", "structs"] * (depth > 0)))
        offset += draw(st.sampled_from([0, 0, 1, 4]))
        if kind == "bits":
            size, start = draw(st.sampled_from([1, 2, 3, 4, 5, 8, 16])), 0
            while start < 8 * size and draw(st.booleans()):
                width = draw(st.integers(1, min(64, 8 * size - start)))
                made = draw(st.sampled_from([c.bits(start, width, size), c.bits(start, width, size, signed=True),
                                             c.enum_bits(Shade, start, width, size)]))  # fmt: skip
                members[f"m{number}_{start}"] = made @ offset
                start += width
            offset += size
            continue
        made = draw(one(c, order, kind, depth))
        members[f"m{number}"] = made @ offset
        offset += made.size
    return bpfloader.struct(max(1, offset))(type("Made", (bpfloader.Struct,), members))


@st.composite
def one(draw, c, order, kind, depth):
    number = draw(st.sampled_from([c.u8, c.s16, c.u32, c.s64, c.f32, c.boolean, c.be16, c.be32, c.le64, c.u128, c.s128,
                                   c.enum(Shade, c.u32), c.ipv4, c.ip]))  # fmt: skip
    length = draw(st.integers(0, 4))
    if kind == "array":
        inner = draw(st.sampled_from([number, c.array(number, 2), c.chars(3)]))
        return c.array(inner, length)
    if kind == "union":
        return c.of(bpfloader.union(number.size)(type("Either", (bpfloader.Union,), {"whole": number @ 0})))
    if kind == "text":
        return draw(st.sampled_from([c.chars(5), c.raw(3)]))
    if kind == "number":
        return number
    within = c.of(draw(structs(order, depth - 1)))
    return within if kind == "struct" else c.array(within, length)


@pytest.mark.parametrize("order", "<>")
@settings(max_examples=80, deadline=None)
@given(st.data())
def test_a_struct_is_what_its_members_are(order, data):
    kind = data.draw(structs(order))
    size, fields = kind.codec.size, kind.codec.fields
    raw = data.draw(st.binary(min_size=3 * (size + 11), max_size=3 * (size + 11)))
    rows = RecordDecoder(kind.codec, 8, size + 11).decode_run(memoryview(raw))
    tuples = TupleDecoder(kind.codec, 8, size + 11).decode_run(memoryview(raw))
    assert len(rows) == len(tuples) == 3
    for number, row in enumerate(rows):
        at = number * (size + 11) + 8
        whole = kind.from_bytes(raw[at : at + size])
        assert type(row) is kind and repr(row) == repr(whole)  # by repr, since a NaN equals nothing
        for name, field in fields.items():
            assert repr(getattr(row, name)) == repr(field.codec.unpack(raw, at + field.offset)), name
        assert tuples[number] == pytest.approx(kind.codec.packer.unpack_from(raw, at), nan_ok=True)
        assert repr(kind.from_bytes(whole.to_bytes())) == repr(whole)
