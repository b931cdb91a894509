"""Random C structs with an initialized variable of each, and what its members are to be in Python."""

import random
from typing import Any, NamedTuple

INTEGERS = {"__u8": 8, "__s8": 8, "char": 8, "__u16": 16, "__s16": 16, "__u32": 32, "__s32": 32, "__u64": 64, "__s64": 64,
            "counter_t": 32}  # fmt: skip
SIGNED = ("__s", "char")
HEAD = """#include "mini_bpf.h"
typedef signed char __s8;
typedef short __s16;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u64 __be64;
typedef const __u32 plain_t;
typedef plain_t counter_t;
enum shade { SHADE_DARK = -1, SHADE_NONE, SHADE_GREY = 5, SHADE_LIGHT = 0x7fffffff };
enum huge { HUGE_NONE, HUGE_TOP = 0x8000000000000001ULL };
struct shared { __u16 half; __u64 whole; } __attribute__((packed));
"""

Path = tuple[str | int, ...]


class Value(NamedTuple):
    """One initialized member: where it is, what C writes, what Python reads."""

    path: Path
    literal: str
    expected: Any


class Trees:
    """Makes structs, the same ones for the same seed. `little` is the target's byte order."""

    def __init__(self, seed: int, little: bool):
        self.dice, self.little = random.Random(seed), little

    def tree(self, name: str) -> tuple[str, list[Value]]:
        """The C definition of `struct <name>` and of the variable `value_<name>`, and the variable's members."""
        text, values = self.members("m", 0)
        tail = self.dice.choice(["__u16 tail[];", "char tail[];"]) if self.dice.random() < 0.1 else ""
        packed = " __attribute__((packed))" * (self.dice.random() < 0.3)
        inits = ", ".join(f"{c_path(value.path)} = {value.literal}" for value in values)
        return f"struct {name} {{ {text} {tail} }}{packed};\nstruct {name} value_{name} = {{ {inits} }};\n", values

    def members(self, prefix: str, depth: int) -> tuple[str, list[Value]]:
        made = [self.member(f"{prefix}{number}", depth) for number in range(self.dice.randint(1, 6))]
        return " ".join(text for text, _ in made), [value for _, values in made for value in values]

    def member(self, name: str, depth: int) -> tuple[str, list[Value]]:
        kinds = [self.scalar, self.scalar, self.bitfield, self.bitfield, self.array, self.text, self.special]
        if depth < 3:
            kinds += [self.struct, self.structs, self.union, self.anonymous_struct, self.anonymous_union]
        return self.dice.choice(kinds)(name, depth)

    def integer(self, kind: str, bits: int) -> tuple[str, int]:
        low = -(1 << bits - 1) if kind.startswith(SIGNED) else 0
        number = self.dice.choice([low, low + (1 << bits) - 1, self.dice.randrange(low, low + (1 << bits))])
        return f"(__s64){number % 2**64:#x}ULL", number

    def scalar(self, name: str, _depth: int) -> tuple[str, list[Value]]:
        kind, bits = self.dice.choice(list(INTEGERS.items()))
        aligned = f" __attribute__((aligned({self.dice.choice([2, 8, 16])})))" * (self.dice.random() < 0.1)
        return f"{kind} {name}{aligned};", [Value((name,), *self.integer(kind, bits))]

    def special(self, name: str, _depth: int) -> tuple[str, list[Value]]:
        big = self.dice.getrandbits(127)
        bits = self.dice.choice([16, 32, 64])
        ordered = self.dice.getrandbits(bits)
        stored = int.from_bytes(ordered.to_bytes(bits // 8, "big"), "little" if self.little else "big")
        kind, literal, expected = self.dice.choice([
            ("_Bool", "1", True), ("float", "-0.375f", -0.375), ("double", "1e300", 1e300), ("void *", "0", 0),
            ("__int128", f"-((__int128){big >> 64:#x} << 64 | {big % 2**64:#x}ULL)", -big),
            ("enum shade", "SHADE_LIGHT", 0x7FFFFFFF), ("enum shade", "SHADE_DARK", -1),
            ("enum huge", "HUGE_TOP", 0x8000000000000001), (f"__be{bits}", f"{stored:#x}ULL", ordered),
        ])  # fmt: skip
        return f"{kind} {name};", [Value((name,), literal, expected)]

    def bitfield(self, name: str, _depth: int) -> tuple[str, list[Value]]:
        gap = self.dice.choice(["", "", "", "int : 0; ", "unsigned : 3; "])
        special = self.dice.random()
        if special < 0.15:
            return f"{gap}_Bool {name} : 1;", [Value((name,), "1", True)]
        if special < 0.3:
            return f"{gap}enum shade {name} : {self.dice.randint(4, 32)};", [Value((name,), "SHADE_GREY", 5)]
        kind, bits = self.dice.choice(list(INTEGERS.items()))
        width = self.dice.randint(1, bits)
        return f"{gap}{kind} {name} : {width};", [Value((name,), *self.integer(kind, width))]

    def array(self, name: str, _depth: int) -> tuple[str, list[Value]]:
        kind, bits = self.dice.choice(list(INTEGERS.items()))
        kind = kind.replace("char", "__u8")
        rows, columns = self.dice.randint(1, 3), self.dice.randint(1, 3)
        if self.dice.random() < 0.5:
            return f"{kind} {name}[{columns}];", [Value((name,), *self.row(kind, bits, columns))]
        made = [self.row(kind, bits, columns) for _ in range(rows)]
        literal, expected = f"{{{', '.join(text for text, _ in made)}}}", tuple(row for _, row in made)
        return f"{kind} {name}[{rows}][{columns}];", [Value((name,), literal, expected)]

    def row(self, kind: str, bits: int, columns: int) -> tuple[str, Any]:
        made = [self.integer(kind, bits) for _ in range(columns)]
        numbers = [number for _, number in made]
        expected = bytes(number % 256 for number in numbers) if bits == 8 else tuple(numbers)
        return f"{{{', '.join(text for text, _ in made)}}}", expected

    def text(self, name: str, _depth: int) -> tuple[str, list[Value]]:
        text = "".join(self.dice.choice("abc xyz") for _ in range(self.dice.randint(0, 4)))
        return f"char {name}[{self.dice.randint(4, 6)}];", [Value((name,), f'"{text}"', text)]

    def struct(self, name: str, depth: int) -> tuple[str, list[Value]]:
        if self.dice.random() < 0.2:
            shared = [Value((name, "half"), "7", 7), Value((name, "whole"), "9", 9)]
            return f"struct shared {name};", shared
        text, values = self.members(f"{name}_", depth + 1)
        packed = "__attribute__((packed)) " * (self.dice.random() < 0.2)
        return f"struct {{ {text} }} {packed}{name};", [within(value, name) for value in values]

    def structs(self, name: str, depth: int) -> tuple[str, list[Value]]:
        text, values = self.members(f"{name}_", depth + 2)
        at = self.dice.randrange(2)
        return f"struct {{ {text} }} {name}[2];", [within(value, name, at) for value in values]

    def union(self, name: str, depth: int) -> tuple[str, list[Value]]:
        text, values = self.members(f"{name}_", depth + 1)
        return f"union {{ {text} }} {name};", [within(value, name) for value in values[:1]]  # the others lie over it

    def anonymous_struct(self, name: str, depth: int) -> tuple[str, list[Value]]:
        text, values = self.members(f"{name}_", depth + 1)
        return f"struct {{ {text} }};", values

    def anonymous_union(self, name: str, depth: int) -> tuple[str, list[Value]]:
        text, values = self.members(f"{name}_", depth + 1)
        return f"union {{ {text} }};", values[:1]


def within(value: Value, *place: str | int) -> Value:
    """The value of a member, of a struct that is itself a member."""
    return value._replace(path=(*place, *value.path))


def c_path(path: Path) -> str:
    """A designator: `.a[1].b`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
