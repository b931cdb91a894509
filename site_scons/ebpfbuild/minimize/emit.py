"""The minimized header: readable C with the header's own text in its own order."""

import re

from .closure import Closure
from .index import Index
from .names import MARKER


def stub(index: Index) -> str:
    """A header with only the `#` lines of the full one, for `clang -E`: enough for macros, and it marks its own place."""
    leading = _leading(index)
    lines = [index.declaration(number) for number in sorted(index.lines)]
    return "\n".join([*lines[:leading], MARKER, *lines[leading:]]) + "\n"


def emit(index: Index, closure: Closure, comment: list[str]) -> str:
    """The text of a minimized header: `comment`, the leading `#` lines, what is only declared, then what is kept whole."""
    leading = _leading(index)
    parts = ["/*\n" + "".join(f" * {line}\n" for line in comment).replace("*/", "* /") + " */"]
    parts += ["\n".join(index.declaration(number) for number in range(leading))]
    forward = [f"{keyword} {name};" for name, keyword in sorted({**closure.declared, **closure.ahead}.items())]
    if forward:
        parts.append("\n".join(forward))
    kept = closure.whole | {number for number in index.lines if number >= leading}
    parts += [index.declaration(number) for number in sorted(kept)]
    return "\n\n".join(parts) + "\n"


def _leading(index: Index) -> int:
    """How many `#` lines stand before the first declaration."""
    number = 0
    while number in index.lines:
        number += 1
    return number
