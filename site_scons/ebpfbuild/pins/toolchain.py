"""Reads toolchain.toml, the one place where a build's inputs are declared, into pins."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

from ..arch import EVERY_ARCH, arch_named
from .pins import HeaderPin, PackagePin, Toolchain
from .tables import (
    bundle_pin,
    clang_options,
    compiler_spec,
    header_pins,
    kernel_pins,
    linker_pin,
    package_pins,
    require_own_bytes,
    tree_pin,
    uapi_pin,
)
from .toml_lines import Table, read

TABLES = ("bundle", "compiler", "clang", "guests", "kernels", "libbpf", "linker", "uapi", "vmlinux")


def load(path: Path | str, base: Path | str | None = None) -> Toolchain:
    """Reads a toolchain.toml and checks all of it. Raises PinError with file, line, key and the fix.

    A table that it lacks is that of the file `base`, and so is the header of an arch that it lacks. A table that both
    have counts as it stands in the first file, whole: no key of the other one's joins it. Kernels are the first
    file's alone: which ones a program has to work on is its project's decision.

    A header or tree without a sha256 is kept as unpinned: only the bytes tell the line to paste, and this fetches none.
    """
    files = Layers(path, base)
    compiler = compiler_spec(files.table("compiler"))
    clang = clang_options(files.table("clang", required=False))
    libbpf = tree_pin(files.table("libbpf"))
    own = header_pins(files.own.table("vmlinux")) if "vmlinux" in files.own.data or not base else {}
    linker = linker_pin(files.own.table("linker")) if "linker" in files.own.data else None
    uapi = uapi_pin(files.own.table("uapi")) if "uapi" in files.own.data else None
    bundle = bundle_pin(files.own.table("bundle")) if "bundle" in files.own.data else None
    kernels = kernel_pins(files.own.table("kernels", required=False))
    header, guests = Headers(own, files), Guests(files)
    return Toolchain(
        Path(path), compiler, clang.cpu, clang.cflags, libbpf, header, linker, uapi, kernels, guests, bundle
    )


class Layers:
    """A toolchain.toml and the one that completes it, which is read once something is asked for that is not in it."""

    def __init__(self, path: Path | str, base: Path | str | None = None):
        self._base_path = base
        self.own = _root(path)

    @cached_property
    def base(self) -> Table | None:
        """The root table of the file that completes the first one, if there is one. Raises PinError."""
        return _root(self._base_path) if self._base_path else None

    def table(self, name: str, required: bool = True) -> Table:
        """Returns a table of the first file that has it. Raises PinError."""
        if name in self.own.data or self.base is None:
            return self.own.table(name, required)
        return self.base.table(name, required)


class Headers(Mapping[str, HeaderPin]):
    """The headers by the name of their arch: those of the first file, then those of the file that completes it."""

    def __init__(self, own: dict[str, HeaderPin], files: Layers):
        self._own, self._files = own, files

    @cached_property
    def _all(self) -> Mapping[str, HeaderPin]:
        base = self._files.base
        rest = header_pins(base.table("vmlinux")) if base else {}
        found = {arch: pin for arch, pin in rest.items() if arch not in self._own} | self._own
        require_own_bytes(found.values())
        return {arch.name: found[arch.name] for arch in EVERY_ARCH if arch.name in found}

    def __getitem__(self, arch: str) -> HeaderPin:
        return self._own[arch] if arch in self._own else self._all[arch]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)


class Guests(Mapping[str, tuple[PackagePin, ...]]):
    """The packages of guests by their arch: those of the first file, then those of the file that completes it.

    They are read when somebody asks: a build boots nothing.
    """

    def __init__(self, files: Layers):
        self._files = files

    @cached_property
    def _all(self) -> dict[str, tuple[PackagePin, ...]]:
        layers = [layer for layer in (self._files.own, self._files.base) if layer]
        found: dict[str, tuple[PackagePin, ...]] = {}
        for table in (layer.table("guests", required=False) for layer in layers):
            for name in table.data:
                arch = arch_named(name, table.where(name))
                if arch.name != name:
                    raise table.error(name, f"{name} is an alias", f"write [guests.{arch.name}]")
                found.setdefault(name, package_pins(table.table(name), name))
        return found

    def __getitem__(self, arch: str) -> tuple[PackagePin, ...]:
        return self._all[arch]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)


def _root(path: Path | str) -> Table:
    table = read(Path(path))
    table.require_known(*TABLES)
    return table
