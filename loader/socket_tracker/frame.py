"""The live table as lines of text that fit a number of columns and rows."""

from __future__ import annotations

from .tally import SORTS, Tally, ordered
from .text import fitted

# (least width, columns and their widths, negative for right-aligned); the first layout that fits is used.
TABLE_LAYOUTS = {
    "connection": (
        (112, {"state": 6, "proto": 5, "pid": -7, "comm": 15, "local": 21, "": 2, "remote": 21, "sent": -7, "recv": -7,
               "age": -7}),
        (72, {"state": 6, "proto": 5, "pid": -7, "comm": 10, "": 2, "remote": 15, "sent": -7, "recv": -7, "age": -7}),
        (0, {"state": 6, "pid": -7, "": 2, "remote": 1}),
    ),
    "process": (
        (60, {"pid": -7, "comm": 15, "open": -5, "failed": -6, "events": -7, "sent": -7, "recv": -7}),
        (0, {"pid": -7, "comm": 10, "open": -5, "sent": -7, "recv": -7}),
    ),
}  # fmt: skip
ENDPOINT = 47  # columns at most: an IPv6 address in brackets and a port
ARROW_COLUMN = {"received": "recv"}  # the column with the arrow, where the order has another name


class View:
    """The settings of the table: rows `by` connection or process, `sort`ed by one of SORTS, `reverse`d or not."""

    def __init__(self, by: str, sort: str):
        self.by, self.sort, self.reverse = by, sort, False

    def pressed(self, key: str) -> bool:
        """Applies a key: s takes the next order, r reverses it, b switches the rows. Returns True if it changed."""
        if key == "s":
            self.sort = SORTS[(SORTS.index(self.sort) + 1) % len(SORTS)]
        elif key == "r":
            self.reverse = not self.reverse
        elif key == "b":
            self.by = "process" if self.by == "connection" else "connection"
        return key in {"s", "r", "b"}


def frame(tally: Tally, view: View, status: str, width: int, height: int | None = None) -> list[str]:
    """Returns the lines of the table: the status, the columns' names, the rows that `height` leaves room for."""
    cells: dict[str, int] = next(cells for least, cells in TABLE_LAYOUTS[view.by] if width >= least)
    if "remote" in cells:
        left = width - sum(map(abs, cells.values())) - (len(cells) - 1)
        cells = {**cells, "remote": min(ENDPOINT, cells["remote"] + left)}
    arrow = {ARROW_COLUMN.get(view.sort, view.sort): "+" if view.reverse else "*"}
    names = {name: name.upper() + arrow.get(name, "") for name in cells}
    rows = ordered(tally.rows(view.by), view.sort, view.reverse)
    shown = rows if height is None else rows[: max(0, height - 2)]
    lines = [_table_line(names, cells), *(_table_line(row.cells(), cells) for row in shown)]
    return [status[:width], *(fitted(line, width).rstrip() for line in lines)]


def _table_line(row: dict[str, str], cells: dict[str, int]) -> str:
    return " ".join(fitted(row[name], abs(width), width < 0) for name, width in cells.items())
