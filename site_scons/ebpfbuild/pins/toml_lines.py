"""Reads a TOML file so that every key knows its line, through checks that name the key and the fix."""

import codecs
import re
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import tomllib

from ..errors import PinError
from ..escape import without_secrets
from ..files import read_regular

Key = tuple[str | int, ...]

MAX_TOML_SIZE = 1 << 20  # bytes of a toolchain.toml: the project's own has 5000

# A table's header or a key at the start of a line. tomllib tells no positions, so they are found beside it.
_LINE = re.compile(r"""\s*(?:(\[\[?)\s*([^\]#]+?)\s*\]|([\w-]+|"[^"]*"|'[^']*')\s*[=.])""")
_PART = re.compile(r"""[\w-]+|"[^"]*"|'[^']*'""")


def spelled(key: Key) -> str:
    """Returns a key path as a person writes it: `vmlinux.x86_64.alternate[0].sha256`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key)
    return text.removeprefix(".")


def lines_of(text: str) -> dict[Key, int]:
    """Returns the line, counted from 1, of each table header and key. What is inside a value is not looked at."""
    lines: dict[Key, int] = {}
    table: Key = ()
    counts: dict[Key, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        found = _LINE.match(line)
        if not found:
            continue
        bracket, header, key = found.groups()
        if not bracket:
            lines.setdefault((*table, key.strip("\"'")), number)
            continue
        table = tuple(part.strip("\"'") for part in _PART.findall(header))
        if bracket == "[[":
            counts[table] = counts.get(table, -1) + 1
            lines.setdefault(table, number)
            table = (*table, counts[table])
        lines.setdefault(table, number)
    return lines


class Table:
    """A table of the file. `only` refuses keys that it doesn't take, each reader then checks type and form."""

    def __init__(self, data: dict[str, Any], key: Key, path: Path, lines: dict[Key, int]):
        self.data, self.key, self.path, self.lines = data, key, path, lines

    def where(self, *parts: str | int) -> str:
        """Returns `file:line: key.path` of a key below this table, or of the nearest table above it that has a line."""
        key = (*self.key, *parts)
        line = next(filter(None, (self._line(key[:end]) for end in range(len(key), 0, -1))), None)
        at = f"{self.path}:{line}" if line else str(self.path)
        return f"{at}: {spelled(key)}" if key else at

    def _line(self, key: Key) -> int | None:
        """Returns the line of a key; of the first one below it where `[kernels.board]` alone says that it is there."""
        return self.lines.get(key) or next((self.lines[each] for each in self.lines if each[: len(key)] == key), None)

    def error(self, part: str, what: str, fix: str = "") -> PinError:
        """Returns a PinError at a key of this table, or at the table itself where `part` is empty."""
        return PinError(what, where=self.where(*([part] if part else [])), fix=fix)

    def require_known(self, *known: str) -> None:
        """Refuses a key that is not `known`: raises PinError with its nearest neighbour.

        To be called first: a misspelt key shall not be reported as the absence of the right one.
        """
        for part in self.data:
            if part in known:
                continue
            import difflib  # only a mistake pays for it

            near = difflib.get_close_matches(part, known, n=1, cutoff=0.5)
            fix = f"did you mean {near[0]}?" if near else f"what may stand here: {', '.join(known)}"
            raise self.error(part, "is not known here", fix)

    def _value(self, part: str, kind: type, noun: str, required: bool) -> Any:
        if part not in self.data:
            if required:
                raise self.error(part, "is missing", f"add {part} = {_EXAMPLES[kind]}")
            return None
        value = self.data[part]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise self.error(part, f"is {_noun(value)}, not {noun}", f"write {part} = {_EXAMPLES[kind]}")
        return value

    def text(self, part: str, check: Callable[[str], str] | None = None) -> str:
        """Returns a string. `check` gives what is wrong with it, else "". Raises PinError, also where it is missing."""
        value: str = self._value(part, str, "a string", True)
        return self._checked(part, value, check)

    def optional_text(self, part: str, check: Callable[[str], str] | None = None) -> str | None:
        """Returns a string as `text` does, or None if it is absent."""
        value: str | None = self._value(part, str, "a string", False)
        return None if value is None else self._checked(part, value, check)

    def _checked(self, part: str, value: str, check: Callable[[str], str] | None) -> str:
        if "\0" in value:
            raise self._nul(part)
        wrong = check(value) if check else "" if value.strip() else "is empty"
        if wrong:  # which may name the value, and that may be a URL with a password
            raise self.error(part, wrong.replace(repr(value), repr(without_secrets(value))))
        return value

    def _nul(self, part: str) -> PinError:
        # TOML can spell it (\u0000); no path and no argument of a program can hold it.
        return self.error(part, "holds a NUL character", "remove it")

    def count(self, part: str, most: int) -> int | None:
        """Returns a number of bytes from 1 to `most`, or None if it is absent. Raises PinError."""
        value: int | None = self._value(part, int, "a number", False)
        if value is not None and not 0 < value <= most:
            shown = value if abs(value) < 1 << 63 else "far away"  # Python spells no integer of 5000 digits
            raise self.error(part, f"is {shown}, not a number of bytes from 1 to {most}")
        return value

    def switch(self, part: str) -> bool:
        """Returns a boolean, False if it is absent. Raises PinError."""
        value = self.data.get(part, False)
        if not isinstance(value, bool):
            raise self.error(part, f"is {_noun(value)}, not true or false", f"write {part} = true")
        return value

    def day(self, part: str) -> date | None:
        """Returns a date without a time, or None if it is absent. Raises PinError."""
        value: date | None = self._value(part, date, "a date", False)
        if isinstance(value, datetime):
            raise self.error(part, "is a date with a time", f"write {part} = {_EXAMPLES[date]}")
        return value

    def texts(self, part: str, required: bool = True) -> tuple[str, ...]:
        """Returns a list of strings, each once, in the file's order. Raises PinError."""
        values = self._value(part, list, "a list", required) or []
        for value in values:
            if not isinstance(value, str):
                raise self.error(part, f"holds {_noun(value)}, not only strings")
            if "\0" in value:
                raise self._nul(part)
        twice = next((value for value in values if values.count(value) > 1), None)
        if twice is not None:
            raise self.error(part, f"holds {twice!r} twice", "remove one")
        return tuple(values)

    def table(self, part: str, required: bool = True) -> "Table":
        """Returns the table below this one; an empty one if it may be absent. Raises PinError."""
        if part not in self.data and required:
            raise self.error(part, "is missing", f"add a table [{spelled((*self.key, part))}]")
        value = self.data.get(part, {})
        if not isinstance(value, dict):
            name = spelled((*self.key, part))
            raise self.error(part, f"is {_noun(value)}, not a table", f"write [{name}] on a line of its own")
        return Table(value, (*self.key, part), self.path, self.lines)

    def tables(self, part: str) -> list["Table"]:
        """Returns the tables of a list `[[…]]`, none if it is absent. Raises PinError."""
        values = self.data.get(part, [])
        if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
            name = spelled((*self.key, part))
            raise self.error(part, f"is {_noun(values)}, not a list of tables", f"write [[{name}]]")
        return [Table(value, (*self.key, part, i), self.path, self.lines) for i, value in enumerate(values)]


_EXAMPLES = {str: '"…"', int: "12345", list: '["…"]', date: "2026-08-18"}


def _noun(value: Any) -> str:
    nouns = {bool: "a boolean", str: "a string", int: "a number", float: "a number", list: "a list", dict: "a table"}
    return nouns.get(type(value), "a date")


def read(path: Path) -> Table:
    """Returns the file's root table. Raises PinError, with the line, if the file can't be read or is no TOML."""
    text = read_text(path)
    try:
        return Table(tomllib.loads(text), (), path, lines_of(text))
    except (ValueError, RecursionError) as error:  # an integer of 5000 digits is no TOMLDecodeError
        found = re.search(r" \(at line (\d+), column (\d+)\)", str(error))
        at = f"{path}:{found[1]}" if found else str(path)
        what = str(error).replace(found[0], f", column {found[2]}") if found else str(error)
        raise PinError(f"is no TOML: {what}", where=at) from None


def read_text(path: Path) -> str:
    """Returns the file's text. Raises PinError if it can't be read."""
    try:
        data = read_regular(path, MAX_TOML_SIZE)
        if data.startswith(codecs.BOM_UTF8):
            raise PinError("begins with a byte order mark", where=str(path), fix="save it as UTF-8 without one")
        return data.decode()
    except FileNotFoundError:
        fix = "it declares the inputs; copy the project's own"
        raise PinError("there is no such file", where=str(path), fix=fix) from None
    except OSError as error:
        raise PinError(f"can't be read: {error.strerror}", where=str(path)) from None
    except UnicodeDecodeError as error:
        raise PinError(f"is not UTF-8 (byte {error.start})", where=str(path), fix="save it as UTF-8") from None
