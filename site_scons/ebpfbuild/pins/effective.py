"""Lists the tables of toolchain.toml that hold: from which file and line, and what stood in their place."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ..escape import without_secrets
from .pins import HeaderPin
from .toml_lines import Table
from .toolchain import Layers, load

SHOWN_DIGITS = 12  # of a sha256, enough to tell two apart
MAX_NAMED = 4  # of a list, which are printed by name


class EffectiveTable(NamedTuple):
    """One table: its key path, what it says, its `file:line`, and that of the table which it replaces, if any."""

    key: str
    says: str
    place: str
    replaces: str


def effective_tables(path: Path | str, base: Path | str | None = None) -> list[EffectiveTable]:
    """Returns the tables in the order of the file, each header below the others. Raises PinError, as `load` does."""
    pins = {pin.key: pin for pin in load(path, base).vmlinux.values()}  # it has checked what is listed here
    files = Layers(path, base)
    own, rest = _tables(files.own), _tables(files.base) if files.base else {}
    return [
        EffectiveTable(
            key, _says(table, pins.get(key)), _place(table), _place(rest[key]) if key in own and key in rest else ""
        )
        for key, table in ({**rest, **own}).items()
    ]


def report(path: Path | str, base: Path | str | None = None) -> str:
    """Returns the list as text, a line a table. Raises PinError."""
    rows = effective_tables(path, base)
    keys, places = max(len(row.key) for row in rows), max(len(row.place) for row in rows)
    return "\n".join(
        f"{row.key:{keys}}  {row.place:{places}}  {row.says}{f' (instead of {row.replaces})' if row.replaces else ''}"
        for row in rows
    )


def _tables(root: Table) -> dict[str, Table]:
    """Returns the tables that count whole, by key path: those of the root, and each header of [vmlinux] by itself."""
    whole = {name: root.table(name) for name in root.data if name != "vmlinux"}
    headers = root.table("vmlinux", required=False)
    return whole | {
        f"vmlinux.{name}": headers.table(name) for name, value in headers.data.items() if isinstance(value, dict)
    }


def _place(table: Table) -> str:
    return table.where().partition(": ")[0]


def _says(table: Table, pin: HeaderPin | None) -> str:
    """Puts into words what a table says; a header's `url` as it is asked for, joined with its file's base."""
    joined = {"url": pin.source.location} if pin and pin.source.kind == "url" else {}
    return ", ".join(_words({**table.data, **joined})) or "nothing"


def _words(data: dict[str, Any]) -> Iterator[str]:
    for name, value in data.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            yield f"{len(value)} {name}{'s' if len(value) > 1 else ''}"
        elif isinstance(value, dict):
            yield f"{name}: {' '.join(value)}"
        elif isinstance(value, list):
            yield f"{len(value)} {name}" if len(value) > MAX_NAMED else f"{name} {' '.join(map(str, value)) or 'none'}"
        elif name.endswith("sha256"):
            yield f"{name} {str(value)[:SHOWN_DIGITS]}…"
        else:
            yield f"{name} {without_secrets(value) if isinstance(value, str) else value}"
