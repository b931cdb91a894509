"""The pinned artifacts that builds for some arches, on some machines, may ask for."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ..arch import Arch
from ..console import Reporter
from ..errors import FetchError, MismatchError
from ..fetch.obtain import obtain_header, obtain_tree
from ..fetch.options import FetchOptions
from ..fetch.store import BLOBS
from ..pins.pins import ArtifactSource, HeaderPin, LinkerPin, SourcePin, Toolchain, TreePin
from ..pins.tables import linker_pin
from ..pins.toml_lines import read
from .manifest import MANIFEST_NAME

Pin = HeaderPin | TreePin


class Artifact(NamedTuple):
    """A pinned artifact in the store: the digests of its files; of a tree the first is that of its list."""

    pin: Pin
    digests: tuple[str, ...]
    size: int


def wanted_pins(
    toolchain: Toolchain,
    linker: LinkerPin | None,
    arches: Iterable[Arch],
    hosts: Iterable[str],
    kernels: Collection[str] = (),
    bundled: Iterable[SourcePin] = (),
) -> list[Pin]:
    """Returns the pins of the arches' headers, of libbpf, and of the linker's libraries for `hosts`.

    And of the kernels whose BTF packages may hold, and the `kernels` of those names, with what boots them: nothing that
    builds needs these, and they are large. `bundled` are the sources of a libbpf that packages carry, if any does.
    Without those of the project's own files: they are in the project. Raises PinError for an arch without a pin.
    """
    names = [arch.name for arch in arches]
    pins: list[Pin] = [toolchain.header(name) for name in names]
    wanted = [kernel for kernel in toolchain.kernels.values() if kernel.name in kernels and kernel.file.arch in names]
    pins += [file for kernel in wanted for file in kernel.files]
    packed = (kernel for kernel in toolchain.kernels.values() if kernel.uname and kernel not in wanted)
    pins += [kernel.types for kernel in packed if kernel.file.arch in names]
    booted = {*(kernel.file.arch for kernel in wanted), *(hosts if wanted else ())}
    pins += [package for arch in sorted(booted) for package in toolchain.guests.get(arch, ())]
    pins += [toolchain.libbpf, *(tree for host in hosts for tree in (linker.trees(host) if linker else ()))]
    pins += bundled
    return [pin for pin in pins if not all(source.in_project for source in pin_sources(pin))]


def library_pins(file: Path, hosts: Iterable[str]) -> list[Pin]:
    """Returns the pins of a checkout's tests/libraries.toml: the older libbpf that its tests load on `hosts`.

    None for a checkout without tests. Raises PinError.
    """
    older = linker_pin(read(file).table("older")) if file.is_file() else None
    return [tree for host in hosts for tree in (older.trees(host) if older else ())]


def lacking_pins(pins: Iterable[Pin], files: Mapping[str, str], folder: Path, store: Path) -> list[str]:
    """Returns, in words, the pins that neither a vendor folder nor the store's folder of files by digest has.

    `files` are those of the folder's manifest. A listed file that is gone counts as missing.
    """
    listed = (path for path in files if path.startswith(f"{BLOBS}/"))
    gone = [path for path in listed if not (folder / path).is_file() and not (store / files[path]).is_file()]
    missing = [pin for pin in pins if pin.sha256 and not all(source.in_project for source in pin_sources(pin))]
    missing = [pin for pin in missing if f"{BLOBS}/{pin.sha256}" not in files]
    return [
        *(
            f"{pin.where}: {pin.title}, sha256 {pin.sha256}"
            for pin in missing
            if not (store / str(pin.sha256)).is_file()
        ),
        *(f"{path}, which {MANIFEST_NAME} lists" for path in gone),
    ]


def fetch_artifacts(pins: Sequence[Pin], options: FetchOptions, report: Reporter) -> list[Artifact]:
    """Has each pin in the store. Raises as obtain_header does, and one error for all sources that can't be reached."""
    found, failures = [], []
    for pin in pins:
        try:
            found.append(_fetched(pin, options, report))
        except MismatchError:
            raise
        except FetchError as error:
            failures.append(error)
    if len(failures) == 1:
        raise failures[0]
    if failures:
        first, details = failures[0], tuple(line for error in failures for line in (error.what, *error.details))
        raise FetchError(f"{len(failures)} of {len(pins)} artifacts can't be had", fix=first.fix, details=details)
    return found


def _fetched(pin: Pin, options: FetchOptions, report: Reporter) -> Artifact:
    if isinstance(pin, HeaderPin):
        header = obtain_header(pin, options, report)
        return Artifact(pin, (header.sha256,), header.size)
    tree = obtain_tree(pin, options, report)
    paths = list(tree.files.values())
    return Artifact(pin, (tree.sha256, *(path.name for path in paths)), sum(path.stat().st_size for path in paths))


def pin_sources(pin: Pin) -> tuple[ArtifactSource, ...]:
    """Returns where a pin's bytes may be had, without those of its alternates."""
    return (pin.source,) if isinstance(pin, HeaderPin) else pin.sources
