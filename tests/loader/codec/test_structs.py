"""Codecs and structs without a kernel: whatever bytes come in, whatever values go out."""

import copy
import dataclasses
import os
import pickle
import pprint
from ipaddress import IPv4Address, IPv6Address, ip_address

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


def test_omitted_members_are_zero():
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


@bpfloader.union(4)
class Either(bpfloader.Union):
    """An anonymous union of Both."""

    word = c.u32 @ 0
    halves = c.array(c.u16, 2) @ 0


@bpfloader.struct(8)
class Both(bpfloader.Struct):
    """A struct with an anonymous union."""

    first = c.u32 @ 0
    anon0 = c.anonymous(Either) @ 4


def test_an_anonymous_union_s_members_are_the_struct_s():
    value = Both(1, halves=(2, 3))
    assert (value.word, value.anon0.word, value.to_bytes()) == (0x20003, 0x20003, bytes([0, 0, 0, 1, 0, 2, 0, 3]))
    assert Both.from_bytes(value.to_bytes()) == value and value != Both(1) and hash(value) == hash(Both(1, word=0x20003))
    assert value.to_dict() == {"first": 1, "anon0": {"word": 0x20003, "halves": (2, 3)}}


@pytest.mark.parametrize("values, members, said", [
    ((1, Either(), 3), {}, "Both takes 2 values, not 3"), ((1,), {"first": 2}, "got two values for first"),
    ((), {"other": 1}, "Both has no member other"),
])  # fmt: skip
def test_a_constructor_says_what_it_does_not_take(values, members, said):
    with pytest.raises(TypeError, match=said):
        Both(*values, **members)


class Counted(Inner):
    """Has its own __init__, which calls the usual one."""

    __slots__ = ("calls",)

    def __init__(self, low, *, calls=0):
        super().__init__(low=low)
        self.calls = calls


class Again(Counted):
    """Derives from a class with its own __init__."""

    def __init__(self, calls):
        super().__init__(7, calls=calls)


class Created(Inner):
    """Has its own __new__."""

    def __new__(cls, *values, **members):
        value = super().__new__(cls)
        assert isinstance(value, cls)
        return value


class Noted:
    """Another base, with an __init__ that goes on to the next one."""

    def __init__(self, *values, **members):
        super().__init__(*values, **members)
        self.noted = True


class NotedFirst(Noted, Inner):
    """The other base's __init__ comes first, and goes on to the struct's."""


class NotedLast(Inner, Noted):
    """The struct's __init__ comes first, and doesn't go on."""


class Plain(Inner):
    """Adds a method."""

    def total(self):
        return self.low + self.high


def test_a_class_may_derive_from_a_generated_one_and_construct_as_it_likes():
    assert (Counted(-3, calls=2).low, Counted(-3).high, Counted(1, calls=2).calls) == (-3, 0, 2)
    assert (Again(5).low, Again(5).calls) == (7, 5)
    assert (Created(1, high=2).low, Created(1, high=2).high) == (1, 2)
    assert (NotedFirst(1, high=2).high, NotedFirst(1).noted) == (2, True)
    assert NotedLast(1, high=2).high == 2 and not hasattr(NotedLast(1), "noted")
    assert Plain(1, high=2).total() == 3
    for kind in Plain, Created, NotedLast:
        with pytest.raises(TypeError, match=f"{kind.__name__} has no member low_"):
            kind(low_=1)
    assert all(type(kind.__new__(kind)) is kind for kind in (Counted, Again, Plain))


@bpfloader.struct(12)
class Words(bpfloader.Struct):
    """Members by the names that Python's own parameters have."""

    self: int = c.u32 @ 0
    cls: int = c.u32 @ 4
    value: int = c.u32 @ 8


def test_a_member_may_be_called_self():
    assert Words(self=1, cls=2, value=3) == Words(1, 2, 3) == Words.from_bytes(Words(1, 2, 3).to_bytes())


def test_a_struct_works_as_a_dataclass():
    value = Outer(shade=Shade.DARK, inner=(Inner(1, 2), Inner()), text="x")
    assert dataclasses.asdict(value)["inner"] == ({"low": 1, "high": 2}, {"low": 0, "high": 0})
    assert dataclasses.replace(value, text="y") == Outer(shade=Shade.DARK, inner=(Inner(1, 2), Inner()), text="y")
    assert [field.name for field in dataclasses.fields(Inner)] == ["low", "high"] == list(Inner.__match_args__)
    assert copy.copy(value) == copy.deepcopy(value) == pickle.loads(pickle.dumps(value)) == value
    assert pprint.pformat(Inner(1, 2)) == repr(Inner(1, 2)) == "Inner(low=1, high=2)"
    with pytest.raises(AttributeError):
        value.txet = "a typo"


@pytest.mark.parametrize("codec, value, data", [
    (c.ipv4, IPv4Address("10.0.0.1"), bytes([10, 0, 0, 1])), (c.ipv6, IPv6Address("::2"), bytes(15) + b"\2"),
    (c.ip, IPv4Address("10.0.0.1"), bytes(10) + b"\xff\xff\x0a\0\0\1"), (c.ip, IPv6Address("fe80::"), b"\xfe\x80" + bytes(14)),
    (c.le16, 0x0102, b"\2\1"), (bpfloader.little_endian.be32, 0x01020304, b"\1\2\3\4"), (c.be64, 1, bytes(7) + b"\1"),
    (c.f16, 1.5, b"\x3e\0"), (c.u128, 1 << 127, b"\x80" + bytes(15)), (c.flag(3, 1), True, b"\x10"),
    (c.enum_bits(Shade, 1, 3, 1), Shade.DARK, b"\x10"), (bpfloader.little_endian.bits(3, 4, 1, signed=True), -2, b"\x70"),
])  # fmt: skip
def test_a_codec_reads_what_it_writes(codec, value, data):
    assert codec.pack(value) == data
    assert codec.unpack(data) == value and type(codec.unpack(data)) is type(value)


@pytest.mark.parametrize("codec, text", [(c.ipv4, "127.0.0.1"), (c.ipv6, "::1"), (c.ip, "10.1.2.3"), (c.ip, "2001:db8::7")])
def test_an_address_may_be_written_as_text(codec, text):
    assert codec.unpack(codec.pack(text)) == ip_address(text)


@pytest.mark.parametrize("codec, value, said", [
    (c.ipv4, "::1", "'::1' doesn't fit IPv4"), (c.ipv6, "127.0.0.1", "doesn't fit IPv6"), (c.ip, "nowhere", "doesn't fit"),
    (c.ip, 5, "5 doesn't fit IPv4 or 6"), (c.ipv4, None, "None doesn't fit IPv4"), (c.be16, 65536, "65536 is not in 0 … 65535"),
    (c.le32, "1", "'1' is no u32"), (c.flag(0, 1), "yes", "'yes' is no bitfield of 1 bit"),
    (c.enum_bits(Shade, 0, 1, 1), 2, "2 is not in 0 … 1"), (c.u32, 3.5, "3.5 is no u32"),
    (c.u32, -1, "-1 is not in 0 … 4294967295"), (c.s8, 128, "128 is not in -128 … 127"), (c.u128, -1, "-1 is not in 0 … 3402"),
    (c.enum(Shade, c.u8), 256, "256 is not in 0 … 255"), (c.enum(Shade, c.u8), "DARK", "'DARK' is no enum Shade"),
    (c.f64, "1", "'1' is no f64"), (c.f32, 1e300, "1e+300 is too large for f32"), (c.chars(4), 3, "3 doesn't fit char[4] (it is no text but int)"),
    (c.raw(3), 3, "3 doesn't fit __u8[3] (it is no bytes but int)"), (c.array(c.u8, 2), (1, 256), "(256 is not in 0 … 255)"),
])  # fmt: skip
def test_a_value_that_does_not_fit_is_refused(codec, value, said):
    with pytest.raises(LayoutError) as caught:
        codec.pack(value)
    assert said in str(caught.value)


@given(st.binary(max_size=40))
def test_a_flexible_array_takes_any_bytes(data):
    numbers = c.array_tail(c.u16)
    assert numbers.pack(numbers.unpack(data)) == data[: len(data) // 2 * 2]
    assert c.text_tail().pack(c.text_tail().unpack(data)) == data.partition(b"\0")[0]
    assert c.tail().pack(c.tail().unpack(data)) == data


@given(st.binary(max_size=16))
def test_text_can_be_printed_and_is_its_bytes_again(data):
    text = c.chars(16).unpack(data.ljust(16, b"\0"))
    text.encode()  # raises for what print would choke on
    whole = data.partition(b"\0")[0].ljust(16, b"\0")
    assert c.chars(16).pack(text) == c.chars(16).pack(pickle.loads(pickle.dumps(text))) == whole


def test_text_shows_what_is_no_utf8_and_takes_names_of_files():
    assert str(c.chars(8).unpack("grün".encode()[:3] + bytes(5))) == "gr\\xc3"
    assert c.chars(4).pack(os.fsdecode(b"a\xff")) == b"a\xff\0\0"


@pytest.mark.parametrize("wrap", [lambda codec: codec, lambda codec: bpfloader.big_endian.array(codec, 2)])
def test_a_struct_without_members_lends_nobody_its_byte_order(wrap):
    big = bpfloader.big_endian
    empty = bpfloader.struct(2)(type("Empty", (bpfloader.Struct,), {}))
    within = bpfloader.union(2)(type("Within", (bpfloader.Union,), {"none": big.of(empty) @ 0}))
    for first in (empty, within):
        one = wrap(big.of(first))
        kind = bpfloader.struct(one.size + 2)(
            type("Made", (bpfloader.Struct,), {"first": one @ 0, "number": big.u16 @ one.size})
        )
        assert kind.from_bytes(bytes(one.size) + b"\1\2").number == 0x0102
