"""Finds the declarations of a vmlinux.h in one pass over the lines that start in column 0."""

import re
from array import array

from ..errors import HeaderError

ATTRIBUTE = re.compile(r"__attribute__\s*\(\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)\)")

_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
_ENUMERATOR = re.compile(r"[{,]\s*([A-Za-z_]\w*)")
_HEAD = re.compile(r"(?:typedef\s+)?(struct|union|enum)\s+(?:__attribute__\s*\(\(.*?\)\)\s*)?(\w*)\s*([{;]?)")
_TAIL_NAME = re.compile(r"(\w+)\s*;")
_LAST_WORD = re.compile(r"([A-Za-z_]\w*)[\s)]*$")
_POINTER_NAME = re.compile(r"\(\s*\*[\s*]*(?:(?:const|volatile)\s+)*([A-Za-z_]\w*)")
_PLAIN_NAME = re.compile(r"([A-Za-z_]\w*)\s*\)?\s*\(")
_BRACE = re.compile(r"[{}]")
_NESTED = re.compile(r"\n[ \t]+(?:(enum)|struct|union)\s+([A-Za-z_]\w*)?\s*\{")

# Nine of ten declarations, as bpftool spells them: (1) the declaration, (2) a tag with (3) its body or without, (4) an
# enum's tag and (5) body, (6) (7) a typedef's name, (8) a function's. What doesn't match is read step by step.
_TYPICAL = re.compile(
    r"((?:struct|union) (\w+)(?: \{\n((?:\t.*+\n)*+)\}[^;{}\n]*+)?;"
    r"|enum (?:(\w+) )?\{\n((?:\t\w++(?: = [^,\n]*+)?,?\n)*+)\};"
    r"|typedef [\w *]+\b(\w+);"
    r"|typedef [\w *]+\(\*(\w+)\)\([^()\n]*+\);"
    r"|extern [\w *]+\b(\w+)\([^()\n]*+\)[\w ]*+;"
    r")\n*+"
)
_LINE_START = re.compile(r"\t(\w+)")


def without_comments(text: str) -> str:
    """Returns the text with LF line ends, and without comments if any is inside of a declaration.

    bpftool writes none there.
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    place = text.find("/*")
    while place >= 0:
        line, end = text.rfind("\n", 0, place) + 1, text.find("*/", place + 2)
        if line != place and (text[line] != "#" or "\n" in text[place:end]):
            return _COMMENT.sub(_blank, text)
        place = text.find("/*", end) if end > 0 else -1
    return _COMMENT.sub(_blank, text) if "//" in text else text


def _blank(comment: re.Match[str]) -> str:
    return "\n" * comment[0].count("\n") or " "


class Scanner:
    """The tables of an Index, filled by `scan`. Raises HeaderError, with the line, at what bpftool wouldn't write."""

    def __init__(self, text: str):
        self.text = text
        self.starts, self.ends = array("I"), array("I")
        self.lines: list[int] = []
        self.forwards: list[int] = []
        self.tags: dict[str, int] = {}
        self.ordinary: dict[str, int] = {}

    def scan(self) -> None:
        """Walks over the text once. Lines inside of a declaration are skipped by a search for its closing brace."""
        text = self.text
        position, size, find = 0, len(text), text.find
        while position < size:
            typical = _TYPICAL.match(text, position)
            if typical:
                self._typical(typical)
                position = typical.end()
                continue
            first = text[position]
            if first.isspace() or first == ";":
                position += 1
            elif first == "#":
                position = self._directive(position)
            elif first.isalpha() or first == "_":
                position = self._declaration(position)
            elif text.startswith("/*", position) and find("*/", position + 2) > 0:
                position = find("*/", position + 2) + 2
            else:
                raise self._refuse(position)
        if not self.tags:
            raise HeaderError("no vmlinux.h: it defines no struct", fix="give it a vmlinux.h made by bpftool")

    def _typical(self, found: re.Match[str]) -> None:
        _, tag, body, enum, values, name, pointer, function = found.groups()
        number = len(self.starts)
        self.starts.append(found.start())
        self.ends.append(found.end(1))
        if tag:
            if body is None:
                self.forwards.append(number)
                return
            self.tags.setdefault(tag, number)
            if body.count("{") != body.count("struct {") + body.count("union {"):
                self._nested(number, found.start(3) - 1, found.end(3))
        elif values is None:
            self.ordinary.setdefault(name or pointer or function, number)
        else:
            if enum:
                self.tags.setdefault(enum, number)
            self.ordinary.update(dict.fromkeys(_LINE_START.findall(values), number))

    def _directive(self, start: int) -> int:
        newline = self._line_end(start)
        while self.text[newline - 1] == "\\" and newline < len(self.text):
            newline = self._line_end(newline + 1)
        self.lines.append(len(self.starts))
        self.starts.append(start)
        self.ends.append(newline)
        return newline + 1

    def _line_end(self, start: int) -> int:
        newline = self.text.find("\n", start)
        return len(self.text) if newline < 0 else newline

    def _declaration(self, start: int) -> int:
        """Returns the position after the declaration that starts here; its `;` may be lines further on."""
        text, newline = self.text, self._line_end(start)
        close = start
        brace = newline - 1 if text[newline - 1] == "{" else text.find("{", start, newline)
        if brace >= 0:
            close = text.rfind("}", brace, newline)
            if close < 0:
                close = self._closing(brace, newline)
        end = text.find(";", close) + 1
        if not end:
            raise self._refuse(start)
        number = len(self.starts)
        self.starts.append(start)
        self.ends.append(end)
        self._names(number, start, close, end)
        return end

    def _closing(self, brace: int, newline: int) -> int:
        """Returns the position of the brace that closes the one at the end of a line; of the text's end if none does.

        It stands in column 0, unless bpftool wrote padding last: from 5.16 to 6.2 it forgot the newline behind that.
        """
        text = self.text
        close = text.find("\n}", newline - 1) + 1 or len(text)
        if text.find(";}", brace, close) < 0:
            return close
        depth = 0
        for found in _BRACE.finditer(text, brace):
            depth += 1 if found[0] == "{" else -1
            if depth == 0:
                return found.start()
        return len(text)

    def _names(self, number: int, start: int, close: int, end: int) -> None:
        text = self.text
        head = _HEAD.match(text, start, end)
        typedef = text.startswith("typedef", start)
        if head:
            keyword, tag, mark = head.groups()
            if mark == "{":
                if tag:
                    self.tags.setdefault(tag, number)
                if keyword == "enum":
                    self.ordinary.update(dict.fromkeys(_ENUMERATOR.findall(text, head.end() - 1, end), number))
                elif text.find("{", head.end(), close) >= 0:
                    self._nested(number, head.end(), close)
            elif mark and tag and not typedef:
                self.forwards.append(number)
                return
            if mark == "{" and not typedef:
                return
        tail = _TAIL_NAME.fullmatch(text, close + 2, end) if close > start else None
        name = tail[1] if tail else declared(text[start:end])
        if not name:
            raise self._refuse(start)
        self.ordinary.setdefault(name, number)

    def _nested(self, number: int, first: int, close: int) -> None:
        """Notes enumerators and tags inside of a struct, which are as global as any (bpftool writes no tag there)."""
        text = self.text
        for found in _NESTED.finditer(text, first, close):
            enum, tag = found.groups()
            if tag:
                self.tags.setdefault(tag, number)
            if enum:
                body = text[found.end() - 1 : text.index("}", found.end())]
                self.ordinary.update(dict.fromkeys(_ENUMERATOR.findall(body), number))

    def _refuse(self, start: int) -> HeaderError:
        line = self.text[start:].split("\n", 1)[0].strip()
        return HeaderError(
            f"{line[:60]!r} is no declaration that bpftool writes, or has no end",
            where=f"line {self.text.count(chr(10), 0, start) + 1}",
            fix="give it a vmlinux.h made by `bpftool btf dump file … format c`, or build with MINIMIZE=off",
        )


def declared(declaration: str) -> str:
    """Returns the name that a typedef, function or variable declares; empty if none is found."""
    if "}" in declaration:
        declaration = declaration[declaration.rindex("}") + 1 :]
    if "__attribute__" in declaration:
        declaration = ATTRIBUTE.sub("", declaration)
    opening = declaration.find("(")
    if opening < 0:
        found = _LAST_WORD.search(declaration.split("[", 1)[0].rstrip("; \t\n"))
    elif declaration[opening + 1 :].lstrip()[:1] in ("*", "("):
        found = _POINTER_NAME.search(declaration)
    else:
        found = _PLAIN_NAME.search(declaration)
    return found[1] if found else ""
