"""Writes the minimized header: readable C with the header's own text in its own order."""

from collections.abc import Callable

from .closure import SEED, Closure
from .index import Index
from .names import MARKER


def stub(index: Index) -> str:
    """Writes a header with only the `#` lines of the full one, for `clang -E`.

    Macros need those; a mark among them shows the header's place.
    """
    leading = _leading(index)
    lines = [index.declaration(number) for number in sorted(index.lines)]
    return "\n".join([*lines[:leading], MARKER, *lines[leading:]]) + "\n"


def emit(index: Index, closure: Closure, comment: list[str], text_of: Callable[[int], str]) -> str:
    """Writes a minimized header: `comment`, the leading `#` lines, what is only declared, what is kept.

    `text_of` gives the text of a declaration in `closure.trimmed`.
    """
    leading = _leading(index)
    parts = ["/*\n" + "".join(f" * {line}\n" for line in comment).replace("*/", "* /") + " */"]
    if leading:
        parts.append(index.text[index.starts[0] : index.ends[leading - 1]])
    for tags in (closure.declared, closure.ahead):
        if tags:
            parts.append("\n".join(f"{tags[name]} {name};" for name in sorted(tags)))
    previous = SEED
    for number in sorted(closure.whole | closure.forwards | {number for number in index.lines if number >= leading}):
        text = text_of(number) if number in closure.trimmed else index.declaration(number)
        if text.startswith("#endif") and parts[-1].startswith("#if") and "\n" not in parts[-1]:
            parts.pop()  # nothing is kept of what stood between
        elif number in index.lines and previous in index.lines and previous == number - 1:
            parts[-1] += index.text[index.ends[previous] : index.starts[number]] + text
        else:
            parts.append(text)
        previous = number
    return "\n\n".join(parts) + "\n"


def _leading(index: Index) -> int:
    """Counts the `#` lines before the first declaration."""
    number = 0
    while number in index.lines:
        number += 1
    return number
