"""Formats the initial value of a global variable for people."""

from __future__ import annotations

from ..btf.reader import ARRAY, BOOL, CHAR, ENUMS, INT, PTR, SIGNED, Btf

SHOWN_BYTES = 16  # the most bytes shown as hex


def initial_value(btf: Btf, number: int, data: bytes, offset: int, room: int = 0) -> str:
    """Formats the value at an offset of its section's bytes; `room` is the size of a section of zeros (.bss).

    Numbers as in C, enumerators by name, text in quotes, other types as hex; "" for a value outside of the section.
    """
    size = btf.size(number)
    if offset + size <= room:
        return "0"
    value = data[offset : offset + size]
    if not size or len(value) < size:
        return ""
    kind = btf.resolve(number)
    if kind.kind == ARRAY and _is_char(btf, btf.element(kind)):
        return _quoted(value)
    if not any(value):
        return "0"
    whole = int.from_bytes(value, "little" if btf.little else "big")
    if kind.kind == INT:
        encoding = btf.encoding(kind)
        if encoding & BOOL:
            return "true"
        return str(whole - (1 << 8 * size) if encoding & SIGNED and whole >> 8 * size - 1 else whole)
    if kind.kind in ENUMS:
        signed = whole - (1 << 8 * size) if kind.flag and whole >> 8 * size - 1 else whole
        return next((name for name, each in btf.values(kind) if each == signed), str(signed))
    if kind.kind == PTR:
        return hex(whole)
    return value[:SHOWN_BYTES].hex() + ("…" if size > SHOWN_BYTES else "")


def _is_char(btf: Btf, number: int) -> bool:
    kind = btf.resolve(number)
    return kind.kind == INT and kind.word == 1 and (kind.name == "char" or bool(btf.encoding(kind) & CHAR))


def _quoted(value: bytes) -> str:
    text = value.partition(b"\0")[0].decode("utf-8", "backslashreplace")
    return '"' + "".join(map(_c_escaped, text)) + '"'


def _c_escaped(char: str) -> str:
    if char.isprintable() and char not in '"\\':
        return char
    return char.encode("unicode_escape").decode().replace('"', '\\"')
