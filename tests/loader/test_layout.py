"""Codecs and structs without a kernel: whatever bytes come in, whatever values go out."""

import bpfloader
import pytest
from bpfloader import LayoutError
from hypothesis import given
from hypothesis import strategies as st

c = bpfloader.big_endian


class Shade(bpfloader.Enum):
    """Has no member 0."""

    DARK = 1


@bpfloader.struct(4)
class Inner(bpfloader.Struct):
    """Bitfields that share bytes, as an array's element."""

    low: int = c.bits(0, 12, 4, signed=True) @ 0
    high: int = c.bits(12, 20, 4) @ 0


@bpfloader.struct(40)
class Outer(bpfloader.Struct):
    """Padding, text, an enum, a nested array, a tail."""

    shade: Shade = c.enum(Shade, c.u16) @ 0
    text: str = c.chars(6) @ 4
    inner: tuple[Inner, ...] = c.array(c.of(Inner), 2) @ 12
    ratio: float = c.f64 @ 24
    yes: bool = c.boolean @ 32
    tail: bytes = c.tail() @ 33


@given(st.binary(min_size=40, max_size=80))
def test_any_bytes_decode_and_their_value_survives(data):
    value = Outer.from_bytes(data)
    again = Outer.from_bytes(value.to_bytes())
    assert repr(again) == repr(value)  # by repr, since a NaN equals nothing
    assert value.tail == data[33:]


@given(st.binary(max_size=39))
def test_too_few_bytes_are_an_error(data):
    with pytest.raises(LayoutError, match="can't hold Outer, which has 40"):
        Outer.from_bytes(data)


@given(st.text().filter(lambda text: "\0" not in text))
def test_text_fits_or_is_refused(text):
    try:
        data = Outer(text=text).to_bytes()
    except LayoutError as error:
        assert "Outer.text" in str(error)
        return
    assert Outer.from_bytes(data).text == text


@given(st.one_of(st.none(), st.integers(), st.text(), st.floats(), st.binary(), st.lists(st.integers())),
       st.sampled_from(["shade", "text", "inner", "ratio", "yes"]))  # fmt: skip
def test_any_value_packs_or_names_its_field(value, name):
    outer = Outer()
    setattr(outer, name, value)
    try:
        assert len(outer.to_bytes()) == 40
    except LayoutError as error:
        assert str(error).startswith(f"Outer.{name}: ")


def test_what_is_not_given_is_zero():
    assert Outer().to_bytes() == bytes(40)
    assert Outer(tail=bytes(7)) == Outer.from_bytes(bytes(40)) and hash(Outer()) == hash(Outer())
    assert Outer().shade.name == "0"


def test_each_value_has_its_own_parts():
    @bpfloader.struct(4)
    class Holder(bpfloader.Struct):
        inner: Inner = c.of(Inner) @ 0

    one, other = Holder(), Holder()
    one.inner.high = 5
    assert other.inner.high == 0


@pytest.mark.parametrize("place, size", [(2, 8), (5, 8), (0, 3)])
def test_members_that_overlap_are_refused(place, size):
    with pytest.raises(LayoutError, match="overlaps its neighbour or the end"):

        @bpfloader.struct(size)
        class Wrong(bpfloader.Struct):
            first: int = c.u32 @ 0
            second: int = c.u32 @ place


def test_a_memory_of_texts_stays_small():
    codec = c.chars(8)
    for number in range(3000):
        assert codec.unpack(number.to_bytes(8, "big").replace(b"\0", b"+")) != ""
    assert len(codec.decode.__self__) <= 1024
