"""Checks the inputs that a wheel's statement names against toolchain.toml and requirements.lock."""

from collections.abc import Iterator

from ..errors import PaperError
from ..pins.pins import LinkerPin, Toolchain
from ..python_lock import Lock
from ..release.materials import BUNDLED, COMPILER, KERNEL, LIBBPF, LINKER, LOCKED, PACKAGE, UAPI, VMLINUX, Material
from .package_checks import PackageFile

FIX = "build it with these pins, or check it by those that it was built with: --toolchain=FILE --lock=FILE"


def check_pins(package: PackageFile, toolchain: Toolchain, lock: Lock) -> Iterator[PaperError]:
    """Yields each input that isn't the pinned one. `toolchain` has all that a build would find."""
    for each in package.materials():
        wrong = _wrong(each, toolchain, lock)
        if wrong:
            yield PaperError(wrong, where=f"{package.statement_path}: {each.key}", fix=FIX)


def _wrong(each: Material, toolchain: Toolchain, lock: Lock) -> str:
    """Says what is wrong with an input; nothing if it is the pinned one."""
    if each.kind == VMLINUX:
        return _wrong_header(each, toolchain)
    if each.kind == KERNEL and (kernel := toolchain.kernels.get(each.name.removeprefix("kernel "))):
        pin = kernel.types
        return _unlike(each.digest.get("sha256"), pin.sha256, pin.where)
    if each.kind == LIBBPF:
        return _unlike(each.digest.get("dirHash"), toolchain.libbpf.sha256, toolchain.libbpf.where)
    if each.kind == UAPI and toolchain.uapi:
        return _unlike(each.digest.get("dirHash"), toolchain.uapi.sha256, toolchain.uapi.where)
    if each.kind == LINKER and toolchain.linker:
        return _wrong_library(each, toolchain.linker)
    if each.kind == BUNDLED and toolchain.bundle:
        archive = next((one for one in toolchain.bundle.pins() if one.key == each.name), None)
        wanted, where = (archive.sha256, archive.where) if archive else (None, toolchain.bundle.where)
        return _unlike(each.digest.get("sha256"), wanted, where)
    if each.kind == COMPILER:
        spec = toolchain.compiler
        locked = lock.package(spec.package) if spec.package else None
        wrong = "" if each.version == spec.version else f"is clang {each.version}, {spec.where} pins {spec.version}"
        return wrong or (_unlike(each.digest.get("pipHashes"), locked.digest, "the lock") if locked else "")
    if each.kind == LOCKED:
        return _unlike(each.digest.get("sha256"), lock.sha256, "the lock here", "has")
    if each.kind == PACKAGE:
        package = lock.package(each.name)
        if package is None or package.version != each.version:
            return f"isn't the lock's {package.version if package else 'at all'}"
        return _unlike(each.digest.get("pipHashes"), package.digest, "the lock")
    return f"is a {each.kind}, which nothing pins"


def _wrong_header(each: Material, toolchain: Toolchain) -> str:
    if each.arch not in toolchain.vmlinux:
        return f"is of {each.arch}, which {toolchain.path} pins no header for"
    pin, digest = toolchain.vmlinux[each.arch], each.digest.get("sha256")
    if digest != pin.sha256 and digest in [other.sha256 for other in pin.alternates]:
        return f"is the alternate of Linux {each.version}, which no release takes"
    return _unlike(digest, pin.sha256, pin.where)


def _wrong_library(each: Material, pin: LinkerPin) -> str:
    trees = (*pin.libraries.get(each.arch, ()), *filter(None, [pin.c_library.get(each.arch)]))
    tree = next((tree for tree in trees if f"{tree.key} for {each.arch}" == each.name), None)
    return _unlike(each.digest.get("dirHash"), tree.sha256, tree.where) if tree else f"isn't among those of {pin.where}"


def _unlike(found: str | None, pinned: str | None, where: str, verb: str = "pins") -> str:
    """Says that a digest is another one than the pinned; nothing if it is that one."""
    return "" if found and found == pinned else f"has digest {found or 'none'}, {where} {verb} {pinned or 'none'}"
