"""Converts C strings to Python text that can always be printed and never loses a byte."""

from __future__ import annotations


def printable(text: str) -> str:
    """Returns the text with escapes such as `\\x1b` in place of unprintable characters other than tabs.

    Names of maps, processes and files may hold characters that control a terminal, or lone surrogates.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\t" else _escape(char) for char in text)


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


class Text(str):
    """Text decoded from bytes that are no UTF-8, such as a name cut within a character: bad bytes show as `\\xe4`.

    `raw` keeps the bytes, which packing (as a map's key, for example) and os.fsencode write back. A process can take
    any name: surrogate escapes would keep the bytes too, but crash a monitor that prints them.

    It equals only what has the same bytes: another Text, or a name with surrogate escapes (PEP 383), but not the text
    that it shows, which other bytes may have. So different keys of a map stay different keys of a dict.
    """

    __slots__ = ("raw",)
    raw: bytes

    @property
    def _escaped(self) -> str:
        """The bytes as a str that no other bytes have: with surrogate escapes."""
        return self.raw.decode("utf-8", "surrogateescape")

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Text):
            return self.raw == other.raw
        return isinstance(other, str) and self._escaped == other

    def __ne__(self, other: object) -> bool:  # str has its own, which compares what is shown
        return not self == other

    def __hash__(self) -> int:
        return hash(self._escaped)

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Returns the bytes for `surrogateescape`, as os.fsencode asks; else those of what is shown."""
        return self.raw if errors == "surrogateescape" else str.encode(self, encoding, errors)

    def __reduce__(self) -> tuple[object, tuple[bytes]]:
        return text_of, (self.raw,)


def text_of(data: bytes) -> str:
    """Decodes the bytes before the first NUL: a str, or a Text if they are no UTF-8."""
    data = data.partition(b"\0")[0]
    try:
        return data.decode()
    except UnicodeDecodeError:
        text = Text(data.decode("utf-8", "backslashreplace"))
        text.raw = data
        return text


def bytes_of(text: str | bytes) -> bytes:
    """Encodes a text: a Text as its raw bytes, a file's name with surrogate escapes (PEP 383) as the name's bytes."""
    if isinstance(text, Text):
        return text.raw
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
