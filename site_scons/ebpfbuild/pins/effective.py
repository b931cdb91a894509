"""Lists the pins that hold: of what, by which digest, how old, from which file and line, and what they replace."""

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from ..escape import printable
from .pins import HeaderPin, Toolchain, TreePin
from .tables import bundle_pin, linker_pin, uapi_pin
from .toml_lines import Table
from .toolchain import Layers, load

SHOWN_DIGITS = 12  # of a sha256, enough to tell two apart
ORDER = ("vmlinux", "libbpf", "uapi", "compiler", "clang", "linker", "bundle", "kernels", "guests")  # by use
HEAD = ("pin", "version", "sha256", "age", "store", "file:line", "source")


class EffectivePin(NamedTuple):
    """A pin, or a table that pins no bytes but shapes objects, such as [clang].

    key       its key path
    arch      of a header, or of a machine that links; else empty
    version   that of the kernel, of libbpf, of clang; of [clang] what it says
    sha256    None where the Python lock pins the bytes, or nothing does yet
    day       when upstream made the bytes, if the file says it
    sources   where they are had; `wheel ziglang` is the Python lock's
    in_store  True if a build keeps them in the store: not those of a wheel, or of the project
    place     `file:line` of the table
    replaces  that of the table which it replaces, if any
    """

    key: str
    arch: str
    version: str
    sha256: str | None
    day: date | None
    sources: tuple[str, ...]
    in_store: bool
    place: str
    replaces: str = ""


def effective_pins(path: Path | str, base: Path | str | None = None, *, kernels: bool = True) -> list[EffectivePin]:
    """Returns the pins in the order of the file, each header's alternates below it. Raises PinError, as `load` does.

    Without `kernels` those of the file don't count: it isn't the project's own.
    """
    files, chain = Layers(path, base), load(path, base)  # which has checked what is listed here
    chain = chain if kernels else chain._replace(kernels={})
    own, rest = _tables(files.own), _tables(files.base) if files.base else {}
    found = []
    for key, table in {**rest, **own}.items():
        replaces = _place(rest[key]) if key in own and key in rest else ""
        found += [pin._replace(replaces=replaces) for pin in _pins_of(key, table, chain)]
    return found


def report(pins: list[EffectivePin], stored: Callable[[EffectivePin], bool], today: date) -> str:
    """Returns the pins as a table, in the order of use. `stored` tells if the store has a pin's bytes."""
    ordered = sorted(pins, key=lambda pin: ORDER.index(pin.key.partition(".")[0]))
    rows = [HEAD, *(_row(pin, stored, today) for pin in ordered)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD) - 1)]
    return "\n".join("  ".join([*map(str.ljust, row[:-1], widths), row[-1]]).rstrip() for row in rows)


def as_data(pins: list[EffectivePin], stored: Callable[[EffectivePin], bool], today: date) -> list[dict[str, Any]]:
    """Returns the same for JSON."""
    return [
        {
            "key": pin.key,
            "arch": pin.arch or None,
            "version": pin.version,
            "sha256": pin.sha256,
            "date": pin.day.isoformat() if pin.day else None,
            "age_days": (today - pin.day).days if pin.day else None,
            "in_store": stored(pin) if pin.in_store else None,
            "sources": list(pin.sources),
            "place": pin.place,
            "replaces": pin.replaces or None,
        }
        for pin in pins
    ]


def _row(pin: EffectivePin, stored: Callable[[EffectivePin], bool], today: date) -> tuple[str, ...]:
    age = (today - pin.day).days if pin.day else None
    more = f" (+{len(pin.sources) - 1})" if len(pin.sources) > 1 else ""
    instead = f" (instead of {pin.replaces})" if pin.replaces else ""
    cells = (
        pin.key,
        pin.version,
        pin.sha256[:SHOWN_DIGITS] if pin.sha256 else "-",
        "-" if age is None else f"{age} day{'' if age == 1 else 's'}",
        ("yes" if stored(pin) else "no") if pin.in_store else "-",
        pin.place,
        f"{pin.sources[0] if pin.sources else ''}{more}{instead}",
    )
    return tuple(printable(cell) for cell in cells)


def _tables(root: Table) -> dict[str, Table]:
    """Returns the tables that count whole, by key path: those of the root, and each header of [vmlinux] by itself."""
    whole = {name: root.table(name) for name in root.data if name != "vmlinux"}
    headers = root.table("vmlinux", required=False)
    return whole | {
        f"vmlinux.{name}": headers.table(name) for name, value in headers.data.items() if isinstance(value, dict)
    }


def _pins_of(key: str, table: Table, chain: Toolchain) -> Iterator[EffectivePin]:
    place = _place(table)
    if key == "compiler":
        spec = chain.compiler
        source = f"wheel {spec.package}" if spec.package else str(spec.path)
        yield EffectivePin(key, "", spec.version, None, None, (source,), False, place)
    elif key == "clang":
        flags = " ".join(chain.cflags) or "no more flags"
        yield EffectivePin(key, "", f"-mcpu={chain.cpu}, {flags}", None, None, (), False, place)
    elif key == "uapi":
        uapi = uapi_pin(table)
        sources = ((str(uapi.path),) if uapi.path else ()) + (f"wheel {uapi.package}",)
        yield EffectivePin(key, "", f"Linux {uapi.kernel}", uapi.sha256, None, sources, False, place)
    elif key == "libbpf":
        yield _tree(chain.libbpf, key, "", place)
    elif key == "linker":
        for tree in linker_pin(table).every_tree():
            _, arch, library = tree.key.split(".", 2)
            yield _tree(tree, tree.key, arch, _place(table.table(arch).table(library)))
    elif key == "bundle":
        for archive in bundle_pin(table).pins():
            yield _header(archive, _place(table.table(archive.key.rpartition(".")[2])), archive.kernel)
    elif key == "kernels":
        for kernel in chain.kernels.values():
            for file in kernel.files:
                yield _header(file, _place(table.table(kernel.name)))
    elif key == "guests":
        for package in (each for arch in table.data for each in chain.guests.get(arch, ())):
            version = package.source.name.split("_")[1]
            yield _header(package, package.where.partition(": ")[0])._replace(version=version)
    else:
        pin = chain.vmlinux[key.partition(".")[2]]
        yield _header(pin, place)
        for number, alternate in enumerate(pin.alternates):
            yield _header(alternate, _place(table.tables("alternate")[number]))


def _tree(tree: TreePin, key: str, arch: str, place: str) -> EffectivePin:
    own = all(source.in_project for source in tree.sources)
    sources = tuple(source.shown for source in tree.sources)
    return EffectivePin(key, arch, tree.version, tree.sha256, tree.day, sources, not own, place)


def _header(pin: HeaderPin, place: str, version: str = "") -> EffectivePin:
    source, version = pin.source, version or f"Linux {pin.kernel}"
    return EffectivePin(pin.key, pin.arch, version, pin.sha256, pin.day, (source.shown,), not source.in_project, place)


def _place(table: Table) -> str:
    return table.where().partition(": ")[0]
