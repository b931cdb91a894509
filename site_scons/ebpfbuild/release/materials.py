"""Lists the inputs of a build as papers name them, from pins and lock: the same list on every machine.

Digests are named as in-toto's DigestSet does (spec/v1/digest_set.md): `sha256` of one file, `dirHash` of a set of
files. That one is the sha256 of the lines `<sha256>  <name>`, by name, which is how toolchain.toml pins a set.
`pipHashes` is this project's own, of a package that has a file for each machine: the sha256 over the lines
`<sha256>  <name>-<version>` of all hashes that the lock has for it.
"""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple
from urllib.parse import quote

from ..pins.pins import (
    ArtifactSource,
    BundlePin,
    CompilerSpec,
    HeaderPin,
    KernelPin,
    LinkerPin,
    SourcePin,
    TreePin,
    UapiPin,
)
from ..python_lock import LOCK_NAME as LOCK
from ..python_lock import Lock

VMLINUX, LIBBPF, UAPI, COMPILER, LINKER, BUNDLED, LOCKED, PACKAGE, KERNEL = (
    "vmlinux.h", "libbpf", "uapi", "compiler", "linker", "bundled", "lock", "package", "kernel",
)  # fmt: skip
_DEB = re.compile(r"(?P<name>[^_/]+)_(?P<version>[^_/]+)_(?P<arch>[^_/]+)\.deb")

_ORIG = re.compile(r"(?P<name>[^_/]+)_(?P<version>[^_/]+)\.orig\.tar\.\w+")  # upstream's, as Debian keeps it


class Material(NamedTuple):
    """An input: what it is, its name and version, where it is declared to be, its digest by the digest's kind.

    `arch` is that of a vmlinux.h or a kernel, and of the machine that builds for a linker's library; empty for all
    others.
    """

    kind: str
    name: str
    version: str
    uri: str
    digest: Mapping[str, str]
    arch: str = ""

    @property
    def key(self) -> str:
        """The name that no other input of a build has: a Python package may be called as anything is."""
        return self.uri if self.kind == PACKAGE else self.name


class Declared(NamedTuple):
    """What a package's build declares: its pins, and clang's flags in toolchain.toml.

    `headers` are the full vmlinux.h by arch, `kernels` those whose minimal BTF is packed, `bundle` the sources of a
    libbpf that a wheel carries. A pin that no object needs is None, or isn't among `headers`.
    """

    compiler: CompilerSpec | None = None
    headers: Mapping[str, HeaderPin] = {}
    libbpf: TreePin | None = None
    uapi: UapiPin | None = None
    linker: LinkerPin | None = None
    cpu: str = ""
    cflags: tuple[str, ...] = ()
    kernels: tuple[KernelPin, ...] = ()
    bundle: BundlePin | None = None


def materials(
    declared: Declared,
    lock: Lock | None,
    otherwise: Mapping[str, str],
    used: Mapping[str, str],
    compiler: str = "",
) -> list[Material]:
    """Returns the inputs, by kind and name.

    `otherwise` are the versions of packages that are installed in another one than the lock's, `used` the sha256 of
    the vmlinux.h that was compiled with, by arch: the pin's, or that of one of its alternates. `compiler` is what the
    package's manifest calls clang by: the lock's digest only where the installed binary is that of a locked wheel.
    """
    found = [_header(pin, used.get(arch, "")) for arch, pin in sorted(declared.headers.items())]
    found += [_tree(declared.libbpf, LIBBPF)] if declared.libbpf else []
    found += [_uapi(declared.uapi, lock)] if declared.uapi else []
    found += [_compiler(declared.compiler, lock, compiler)] if declared.compiler else []
    found += _linker(declared.linker) if declared.linker else []
    found += map(_kernel, declared.kernels)
    found += [_archive(pin) for pin in declared.bundle.pins()] if declared.bundle else []
    if lock:
        found.append(Material(LOCKED, LOCK, "", f"file:{LOCK}", {"sha256": lock.sha256}))
        for each in lock.packages:
            if each.name in otherwise:  # the lock doesn't know these bytes, so no digest vouches for them
                version = otherwise[each.name]
                found.append(Material(PACKAGE, each.name, version, f"pkg:pypi/{each.name}@{quote(version)}", {}))
            else:
                found.append(Material(PACKAGE, each.name, each.version, each.purl, {"pipHashes": each.digest}))
    return found


def uri_of(source: ArtifactSource) -> str:
    """Returns the URI of a declared source: its URL, a package URL of a .deb in a pool, `file:` for a path."""
    if source.kind == "url":
        return source.shown
    if source.kind == "pool" and (deb := _DEB.fullmatch(source.name)):
        where = f"#{quote(source.inside)}" if source.inside else ""
        return f"pkg:deb/debian/{quote(deb['name'])}@{quote(deb['version'])}?arch={quote(deb['arch'])}{where}"
    if source.kind == "pool" and (archive := _ORIG.fullmatch(source.name)):
        return f"pkg:deb/debian/{quote(archive['name'])}@{quote(archive['version'])}?arch=source"
    return f"file:{quote(source.name if source.btf else source.location)}"  # a kernel's may be a path of this machine


def _header(pin: HeaderPin, used: str) -> Material:
    taken = next((each for each in (pin, *pin.alternates) if each.sha256 == used), pin)
    digest = used or pin.sha256
    return Material(
        VMLINUX, f"vmlinux.h of {pin.arch}", taken.kernel, uri_of(taken.source), _digest("sha256", digest), pin.arch
    )


def _tree(pin: TreePin, kind: str, name: str = "", arch: str = "") -> Material:
    # Any of its sources has the pinned bytes, so the first one stands for all of them.
    return Material(kind, name or pin.key, pin.version, uri_of(pin.sources[0]), _digest("dirHash", pin.sha256), arch)


def _uapi(pin: UapiPin, lock: Lock | None) -> Material:
    package = lock.package(pin.package) if lock else None
    uri = f"file:{quote(str(pin.path))}" if pin.path else package.purl if package else f"pkg:pypi/{pin.package}"
    return Material(UAPI, "UAPI headers of Linux", pin.kernel, uri, _digest("dirHash", pin.sha256))


def _compiler(spec: CompilerSpec, lock: Lock | None, compiler: str) -> Material:
    if spec.path:
        return Material(COMPILER, "clang", spec.version, f"file:{quote(str(spec.path))}", {})
    package = lock.package(spec.package) if lock else None
    if package is None or package.digest != compiler:
        return Material(COMPILER, "clang", spec.version, f"pkg:pypi/{spec.package}", {})
    return Material(COMPILER, "clang", spec.version, package.purl, {"pipHashes": package.digest})


def _linker(pin: LinkerPin) -> Iterator[Material]:
    """Yields the libraries for every machine that may build: each of them makes the same bytes."""
    for arch, trees in sorted(pin.libraries.items()):
        for tree in (*trees, *filter(None, [pin.c_library.get(arch)])):
            yield _tree(tree, LINKER, f"{tree.key} for {arch}", arch)


def _kernel(pin: KernelPin) -> Material:
    types = pin.types
    digest = _digest("sha256", types.sha256)
    return Material(KERNEL, f"kernel {pin.name}", types.kernel, uri_of(types.source), digest, types.arch)


def _archive(pin: SourcePin) -> Material:
    return Material(BUNDLED, pin.key, pin.kernel, uri_of(pin.source), _digest("sha256", pin.sha256))


def _digest(kind: str, value: str | None) -> dict[str, str]:
    return {kind: value} if value else {}
