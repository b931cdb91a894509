"""C strings as Python text that can always be printed and never loses a byte."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with `\\x1b` and the like in place of what doesn't print as itself, but for tabs.

    Names of maps, processes and files may hold what steers a terminal: controls, changes of direction, lone surrogates.
    """
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() or sign == "\t" else _escaped(sign) for sign in text)


def _escaped(sign: str) -> str:
    return sign.encode("unicode_escape").decode("ascii")


class Text(str):
    """Text made of bytes that are no UTF-8, such as a name cut in the middle of a letter: those show as `\\xe4`.

    `raw` is what they were. Packed, as a map's key for example, it is these bytes again. A process can call itself
    whatever it likes: surrogate escapes would keep the bytes too, but end a monitor that prints them.
    """

    __slots__ = ("raw",)
    raw: bytes

    def __reduce__(self) -> tuple[object, tuple[bytes]]:
        return text_of, (self.raw,)


def text_of(data: bytes) -> str:
    """The text before the first NUL: a str, or a Text where it is no UTF-8."""
    data = data.partition(b"\0")[0]
    try:
        return data.decode()
    except UnicodeDecodeError:
        text = Text(data.decode("utf-8", "backslashreplace"))
        text.raw = data
        return text


def bytes_of(text: str | bytes) -> bytes:
    """The bytes of a text, a Text's own; a file's name as Python gives it (PEP 383) counts as the bytes that it has."""
    if isinstance(text, Text):
        return text.raw
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
