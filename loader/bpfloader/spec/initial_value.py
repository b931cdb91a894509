"""The initial value of a global variable as a person reads it."""

from __future__ import annotations

from ..btf.reader import ARRAY, BOOL, CHAR, ENUMS, INT, PTR, SIGNED, Btf

SHOWN = 16  # bytes of what has no better text


def initial_value(btf: Btf, number: int, data: bytes, offset: int, room: int = 0) -> str:
    """The text of a value at an offset of its section's bytes; `room` is the size of a section that holds zeros only.

    Numbers as C writes them, an enumerator by its name, text in quotes, anything else as hex; "" for what lies outside.
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
        encoding, _ = btf.encoding(kind)
        if encoding & BOOL:
            return "true"
        return str(whole - (1 << 8 * size) if encoding & SIGNED and whole >> 8 * size - 1 else whole)
    if kind.kind in ENUMS:
        signed = whole - (1 << 8 * size) if kind.flag and whole >> 8 * size - 1 else whole
        return next((name for name, each in btf.values(kind) if each == signed), str(signed))
    if kind.kind == PTR:
        return hex(whole)
    return value[:SHOWN].hex() + ("…" if size > SHOWN else "")


def _is_char(btf: Btf, number: int) -> bool:
    kind = btf.resolve(number)
    return kind.kind == INT and kind.word == 1 and (kind.name == "char" or bool(btf.encoding(kind)[0] & CHAR))


def _quoted(value: bytes) -> str:
    text = value.partition(b"\0")[0].decode("utf-8", "backslashreplace")
    return '"' + "".join(letter if letter.isprintable() and letter not in '"\\' else
                         letter.encode("unicode_escape").decode().replace('"', '\\"') for letter in text) + '"'  # fmt: skip
