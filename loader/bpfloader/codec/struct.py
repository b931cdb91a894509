"""Generated structs and unions: classes whose attributes are fields, each a codec at an offset.

    @bpfloader.struct(16)
    class Sample(bpfloader.Struct):
        '''struct sample, 16 bytes'''

        time = c.u64 @ 0  # __u64 time
        pid = c.u32 @ 8  # __u32 pid

A Struct behaves as a slotted dataclass, compared and hashed by value. Members that the constructor isn't given are
zero, as padding always is. `dataclasses` would do, but its import and `exec` take longer than the rest of a skeleton's.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar, cast

from ..errors import LayoutError
from .base import Codec, Field, order_among
from .struct_codec import StructCodec

if TYPE_CHECKING:
    from typing_extensions import Self

S = TypeVar("S", bound="Struct")
T = TypeVar("T")
U = TypeVar("U", bound="Union")


class _DataclassAttribute:
    """Makes `dataclasses.asdict`, `replace` and others accept a Struct: creates their attribute on access."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, value: Any, kind: type[Struct]) -> Any:
        import dataclasses

        if kind is Struct:
            raise AttributeError(self.name)
        return getattr(dataclasses.make_dataclass(kind.__name__, kind.__match_args__), self.name)


class _Value:
    """A C struct or union by value."""

    __slots__ = ()
    codec: ClassVar[Codec[Any]]

    @classmethod
    def from_bytes(cls, data: Any) -> Self:
        """Reads the struct or union at the start of a buffer. Raises LayoutError for a buffer that is too short."""
        value: Self = cls.codec.unpack(data)
        return value


def _fill(value: Struct, /, *values: Any, **members: Any) -> None:
    """Sets the members of a new struct: those given in order, those given by name, all others zero."""
    codec, kind = value.codec, type(value).__name__
    assert isinstance(codec, StructCodec)
    if len(values) > len(codec.fields):
        raise TypeError(f"{kind} takes {len(codec.fields)} values, not {len(values)}")
    given = dict(zip(codec.fields, values))
    if twice := given.keys() & members.keys():
        raise TypeError(f"{kind} got two values for {min(twice)}")
    for name, field in codec.fields.items():
        member = given[name] if name in given else members.pop(name) if name in members else field.codec.zero()
        setattr(value, name, member)
    for name, member in members.items():
        if name not in codec.promoted:
            raise TypeError(f"{kind} has no member {name}")
        setattr(value, name, member)


class _Initialized:
    """The usual `__init__`, for a class that derives from a generated one and has its own, or another base with one."""

    __slots__ = ()
    __init__ = _fill


class StructType(type):
    """The type of Struct: fills a new struct here, so that a generated class needs no `__init__`.

    Without one, type.__call__ makes the empty struct of each record, in two thirds of the time that object.__new__
    takes (see DecoderSource).
    """

    def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> StructType:
        own = "__init__" in namespace or "__new__" in namespace
        if own or any(base.__init__ is not object.__init__ for base in bases):  # type: ignore[misc]
            last = max(number for number, base in enumerate(bases) if isinstance(base, StructType)) + 1
            bases = *bases[:last], _Initialized, *bases[last:]
        return super().__new__(cls, name, bases, namespace)

    if not TYPE_CHECKING:  # a type checker would take these parameters for those of each class

        def __call__(cls, /, *values: Any, **members: Any) -> Any:
            if issubclass(cls, _Initialized):
                return super().__call__(*values, **members)
            value = object.__new__(cls)
            _fill(value, *values, **members)
            return value


class Struct(_Value, metaclass=StructType):
    """A C struct by value. Base of the generated classes; don't change a struct that is a key of a dict."""

    __slots__ = ()
    __match_args__: ClassVar[tuple[str, ...]] = ()
    __dataclass_fields__: ClassVar[Any] = _DataclassAttribute()
    __dataclass_params__: ClassVar[Any] = _DataclassAttribute()

    if TYPE_CHECKING:  # StructType.__call__ does it

        def __init__(self, *values: Any, **members: Any): ...

    def to_bytes(self) -> bytes:
        """Returns the struct's bytes, padding zero. Raises LayoutError naming the field that doesn't fit."""
        return self.codec.pack(self)

    def to_dict(self) -> dict[str, Any]:
        """Returns the members by name; nested structs and unions as dicts, too."""
        return {name: _plain(getattr(self, name)) for name in self.__match_args__}

    def _values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.__match_args__)

    def __eq__(self, other: object) -> bool:
        same = isinstance(other, Struct) and other.codec is self.codec
        return self._values() == cast("Struct", other)._values() if same else NotImplemented

    def __hash__(self) -> int:
        return hash(self._values())

    def __repr__(self) -> str:
        members = (f"{name}={getattr(self, name)!r}" for name in self.__match_args__)
        return f"{type(self).__name__}({', '.join(members)})"


def _plain(value: Any) -> Any:
    if isinstance(value, (Struct, Union)):
        return value.to_dict()
    return tuple(map(_plain, value)) if isinstance(value, tuple) else value


def struct(size: int) -> Callable[[type[S]], type[S]]:
    """Decorates a class: makes its fields a Struct of `size` bytes. Raises LayoutError for overlaps."""

    def decorate(kind: type[S]) -> type[S]:
        fields = {name: field for name, field in vars(kind).items() if isinstance(field, Field)}
        promoted = {
            member: _Promoted(name, member)
            for name, field in fields.items()
            for member in (field.codec.promotes if isinstance(field.codec, Anonymous) else ())
            if member not in fields
        }
        left = {name: value for name, value in vars(kind).items() if name not in (*fields, "__dict__", "__weakref__")}
        slots = {"__slots__": tuple(fields), "__match_args__": tuple(fields)}
        slotted = cast("type[S]", StructType(kind.__name__, kind.__bases__, {**left, **promoted, **slots}))
        slotted.codec = StructCodec(slotted, size, fields, frozenset(promoted))
        return slotted

    return decorate


class _Promoted:
    """A member of an anonymous union, seen through the struct around it: `event.port` is `event.anon0.port`."""

    def __init__(self, union: str, name: str):
        self.union, self.name = attrgetter(union), name

    def __get__(self, value: Any, kind: type) -> Any:
        return self if value is None else getattr(self.union(value), self.name)

    def __set__(self, value: Any, member: Any) -> None:
        setattr(self.union(value), self.name, member)


class Union(_Value):
    """A C union: bytes that are read and written through any of its members. Base of the generated classes."""

    __slots__ = ("_bytes",)

    def __init__(self, _bytes: bytes = b"", /, **members: Any):
        self._bytes = bytearray(self.codec.size)
        self._bytes[: len(_bytes)] = _bytes
        if len(self._bytes) != self.codec.size:
            raise LayoutError(f"{len(_bytes)} bytes don't fit {type(self).__name__}, which has {self.codec.size}")
        for name, value in members.items():
            if not isinstance(getattr(type(self), name, None), Field):
                raise TypeError(f"{type(self).__name__} has no member {name}")
            setattr(self, name, value)

    def to_bytes(self) -> bytes:
        """Returns all bytes of the union."""
        return bytes(self._bytes)

    def to_dict(self) -> dict[str, Any]:
        """Returns the value of each member by name; nested structs and unions as dicts, too."""
        return {name: _plain(getattr(self, name)) for name in members_of(type(self))}

    def _read(self, offset: int, size: int) -> bytearray:
        return self._bytes[offset : offset + size]

    def _write(self, field: Field[T], value: T) -> None:
        field.store(type(self).__name__, self._bytes, value)

    def _bind(self, value: T, field: Field[T]) -> T:
        return bind(value, field.codec, Place(self, field.offset, field.name))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Union) and other.codec is self.codec and self._bytes == other._bytes

    def __hash__(self) -> int:
        return hash(bytes(self._bytes))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({bytes(self._bytes)!r})"


class Anonymous(Codec[U]):
    """The codec of an anonymous union in a struct, which gets the union's members as its own."""

    def __init__(self, kind: type[U]):
        codec = kind.codec
        super().__init__(codec.order, codec.code, codec.decode, codec.encode, codec.name)
        self.ordered = codec.ordered
        self.promotes = members_of(kind)


def members_of(kind: type[Union]) -> tuple[str, ...]:
    """Returns the names of a union's members."""
    return tuple(name for each in kind.__mro__ for name, field in vars(each).items() if isinstance(field, Field))


def union(size: int) -> Callable[[type[U]], type[U]]:
    """Decorates a class: gives a Union of `size` bytes its codec."""

    def decorate(kind: type[U]) -> type[U]:
        def decode(item: bytes) -> U:
            value = kind.__new__(kind)
            value._bytes = bytearray(item)
            return value

        order = order_among(field.codec for field in vars(kind).values() if isinstance(field, Field))
        kind.codec = Codec(order or "<", f"{size}s", decode, kind.to_bytes, kind.__name__)
        kind.codec.ordered = bool(order)
        return kind

    return decorate


class Place(NamedTuple):
    """The memory of a value: the owner that writes there, such as a section, an offset in it, and the value's name."""

    owner: Any
    offset: int
    name: str

    def at(self, offset: int, name: str) -> Place:
        """Returns the place of a part."""
        return Place(self.owner, self.offset + offset, self.name + name)

    def write(self, field: Field[Any], value: Any) -> None:
        """Writes a member. Raises LayoutError, and what the owner does."""
        member = Field(field.codec, self.offset + field.offset)
        member.name = f"{self.name}.{field.name}"
        self.owner._write(member, value)


def bind(value: T, codec: Codec[Any], place: Place) -> T:
    """Returns a value that was read at a place as one whose members, when they are set, are written there as well.

    So `bpf.bss.limits.low = 3` is no change of a copy that nobody keeps.
    """
    if isinstance(value, Struct):
        kind = _bound_kind(value, {"__setattr__": _set_bound, "__reduce__": _parts})
        bound: Any = object.__new__(kind)
        object.__setattr__(bound, "_place", place)
        for name, field in value.codec.fields.items():  # type: ignore[attr-defined]
            member = bind(getattr(value, name), field.codec, place.at(field.offset, f".{name}"))
            object.__setattr__(bound, name, member)
        return cast(T, bound)
    if isinstance(value, Union):
        bound = object.__new__(_bound_kind(value, {"_write": _write_bound, "__reduce__": _parts}))
        bound._bytes, bound._place = value._bytes, place
        return cast(T, bound)
    if isinstance(value, tuple) and value and isinstance(value[0], (_Value, tuple)) and (part := codec.element):
        parts = (bind(each, part, place.at(number * part.size, f"[{number}]")) for number, each in enumerate(value))
        return cast(T, tuple(parts))
    return value


def _bound_kind(value: _Value, methods: dict[str, Any]) -> type:
    """Returns the class of a value's bound ones, of which `dataclasses.replace` and copies make plain ones."""
    codec = value.codec
    if codec.bound_kind is None:
        kind: Any = type(value)
        named = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__}

        def __new__(_: type, *values: Any, **members: Any) -> Any:
            return kind.from_bytes(kind(*values, **members).to_bytes())  # in which nothing is bound

        names = {"__slots__": ("_place",), "__new__": __new__, **named, **methods}
        codec.bound_kind = type(kind.__name__, (kind,), names)
    return codec.bound_kind


def _set_bound(self: Any, name: str, value: Any) -> None:
    if (field := self.codec.fields.get(name)) is not None:
        self._place.write(field, value)
        value = bind(value, field.codec, self._place.at(field.offset, f".{name}"))
    object.__setattr__(self, name, value)


def _write_bound(self: Any, field: Field[Any], value: Any) -> None:
    self._place.write(field, value)
    Union._write(self, field, value)


def _parts(self: Any) -> tuple[Callable[[bytes], Any], tuple[bytes]]:
    kind: Any = type(self).__bases__[0]
    return kind.from_bytes, (self.to_bytes(),)
