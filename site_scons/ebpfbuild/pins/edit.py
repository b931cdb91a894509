"""Rewrites toolchain.toml: what isn't changed keeps its bytes, comments and order among them.

Values are set by tomlkit. It gives the comments between two tables to the first of them, though people write them for
the second: so tables are added and removed by lines. Whatever was done, the text is held against the data that it
should give before anything is written.
"""

import os
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import tomllib

from ..errors import PinError
from ..files import write_file
from .toml_lines import Key, lines_of, read_text
from .toolchain import load


class HeaderEntry(NamedTuple):
    """The lines of a header's table: `kind` is url, pool, path or btf, as toolchain.toml spells the source's key.

    `input_sha256` is the digest of a kernel's file of which the header is made.
    """

    kernel: str
    kind: str
    location: str
    sha256: str
    size: int
    day: date | None = None
    input_sha256: str = ""

    def values(self) -> dict[str, Any]:
        """Returns the table's values by key, in the order in which they are written."""
        more = {"date": self.day, "input_sha256": self.input_sha256}
        found = {"kernel": self.kernel, self.kind: self.location, "sha256": self.sha256, "size": self.size}
        return found | {key: value for key, value in more.items() if value}


class TomlFile:
    """A toolchain.toml, there already or not, that is changed in memory and then written, whole or not at all.

    `data` is what it says after the changes so far. Each method raises PinError.
    """

    def __init__(self, path: Path):
        self.path, self._read = path, self._on_disk(path)
        self.data: dict[str, Any] = tomllib.loads(self._read)
        self._parse(self._read)

    def set(self, key: Sequence[str | int], value: Any) -> None:
        """Sets a value in its place, or behind the last one of its table, which must be there."""
        *parents, last = key
        _at(self.data, parents)[last] = value
        table = _at(self._document, parents)
        if last in table:
            table[last] = value  # a comment beside it stays
        else:
            self._insert(self._own_end(tuple(parents)), [_line(str(last), value)])

    def remove(self, key: Sequence[str | int]) -> None:
        """Removes a table, with the comments between its lines."""
        *parents, last = key
        lines, end = self._lines(), self._own_end(tuple(key))
        start = lines_of("\n".join(lines))[tuple(key)] - 1
        start -= start > 0 and not lines[start - 1].strip()
        self._parse("\n".join(lines[:start] + lines[end:]))
        del _at(self.data, parents)[last]

    def add_header(self, arch: str, entry: HeaderEntry) -> None:
        """Adds the table [vmlinux.<arch>] behind the last of [vmlinux]'s, or at the end where there is none."""
        headers = self.data.setdefault("vmlinux", {})
        if arch in headers:
            where = f"{self.path}: vmlinux.{arch}"
            raise PinError("is pinned already", where=where, fix="have it updated (pins update), or remove its table")
        table = [f"[vmlinux.{arch}]", *(_line(key, value) for key, value in entry.values().items())]
        self._insert(self._last_line(lambda key: key[0] == "vmlinux"), ["", *table] if any(self._lines()) else table)
        headers[arch] = entry.values()

    def text(self) -> str:
        """Returns the file's text as it would be written, held against `data`."""
        text: str = self._document.as_string()
        if "\r\n" in self._read:
            text = text.replace("\r\n", "\n").replace("\n", "\r\n")
        if tomllib.loads(text) != self.data:
            raise self._by_hand()
        return text

    def check(self, base: Path | None) -> None:
        """Refuses what no build would take, before it is written; `base` is the file that completes this one."""
        with TemporaryDirectory() as folder:
            written = Path(folder, self.path.name)
            written.write_bytes(self.text().encode())
            try:
                load(written, base)
            except PinError as error:
                where = error.where.replace(str(written), str(self.path))
                raise PinError(error.what, where=where, fix=error.fix) from None

    def write(self) -> None:
        """Writes the file, through a symlink to it. Raises OSError, and PinError where somebody edited it meanwhile."""
        text = self.text()
        if self._on_disk(self.path) != self._read:
            raise PinError(
                "was edited in the meantime, and was not written", where=str(self.path), fix="run this again"
            )
        write_file(self.path.resolve(), text.encode())

    @staticmethod
    def _on_disk(path: Path) -> str:
        return read_text(path) if os.path.lexists(path) else ""

    def _parse(self, text: str) -> None:
        import tomlkit

        try:
            self._document: Any = tomlkit.parse(text)
        except ValueError:
            raise self._by_hand() from None

    def _by_hand(self) -> PinError:
        fix = "write its tables as [vmlinux.x86_64], each on a line of its own, or edit it by hand"
        return PinError("can't be rewritten with all that stands in it", where=str(self.path), fix=fix)

    def _lines(self) -> list[str]:
        return str(self._document.as_string()).split("\n")

    def _insert(self, place: int, new: list[str]) -> None:
        """Puts lines behind the first `place` ones."""
        lines = self._lines()
        self._parse("\n".join([*lines[:place], *new, *lines[place:]]))

    def _own_end(self, table: Key) -> int:
        """Returns the number of the last line of a table's own values; those of tables below it don't count."""
        values = _at(self.data, table).items()
        own = {table, *((*table, key) for key, value in values if not _is_table(value))}
        return self._last_line(own.__contains__)

    def _last_line(self, counts: Callable[[Key], bool]) -> int:
        """Returns the number of the last line of the keys that count, or of the file where none does."""
        lines = self._lines()
        numbers = [number for key, number in lines_of("\n".join(lines)).items() if counts(key)]
        return _value_end(lines, max(numbers)) if numbers else len(lines) - (not lines[-1])


def _value_end(lines: list[str], number: int) -> int:
    """Returns the number of the line in which what begins in line `number` ends: a list may have several."""
    for end in range(number, len(lines) + 1):
        try:
            tomllib.loads("\n".join(lines[number - 1 : end]))
            return end
        except tomllib.TOMLDecodeError:
            continue
    return number


def _is_table(value: Any) -> bool:
    """Returns True for a table, or a list of tables."""
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(each, dict) for each in value))


def _at(data: Any, key: Sequence[str | int]) -> Any:
    for part in key:
        data = data[part]
    return data


def _line(key: str, value: Any) -> str:
    import tomlkit

    return f"{key} = {tomlkit.item(value).as_string()}"
