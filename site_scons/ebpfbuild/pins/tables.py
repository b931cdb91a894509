"""Reads each table of toolchain.toml into its pin. Every function raises PinError with file, line, key and the fix."""

import re
from collections.abc import Iterable, Mapping
from datetime import date
from types import MappingProxyType
from typing import NamedTuple

from ..arch import arch_named
from ..errors import PinError
from ..files import MAX_FILE_SIZE
from .checks import (
    PACKAGES,
    cpu_fault,
    glibc_fault,
    inside_fault,
    package_fault,
    pool_fault,
    sha256_fault,
    uname_fault,
    url_fault,
    version_fault,
)
from .pins import (
    ArtifactSource,
    BundlePin,
    CompilerSpec,
    HeaderPin,
    KernelBtfPin,
    KernelFilePin,
    KernelPin,
    LinkerPin,
    PackagePin,
    SourcePin,
    TreePin,
    UapiPin,
)
from .sources import btf_source, named_kernel, require_each_once, source_of
from .toml_lines import Table, spelled

C_LIBRARY = "glibc"  # the name that this one has among a linker's libraries
BUNDLED = ("libbpf", "elfutils", "zlib")  # what a wheel's own libbpf.so.1 is built of
MAX_KERNEL_FILE = 1 << 30  # bytes of a kernel's package; Debian's largest have 120 MB
BTF_KEYS = ("btf", "btf_member", "btf_sha256", "btf_input_sha256")  # of [kernels.NAME]


def compiler_spec(table: Table) -> CompilerSpec:
    """Reads [compiler]."""
    table.require_known("package", "path", "version")
    package = table.optional_text("package", package_fault)
    path = table.optional_text("path")
    version = table.text("version", version_fault)
    if bool(package) == bool(path):
        both = "has both package and path" if package else "has neither package nor path"
        raise table.error("", both, f'keep one: package = "{PACKAGES[0]}", or the path of a system clang')
    return CompilerSpec(version, package or "", table.path.parent / path if path else None, table.where("version"))


class ClangOptions(NamedTuple):
    cpu: str
    cflags: tuple[str, ...]


def clang_options(table: Table) -> ClangOptions:
    """Reads [clang]."""
    table.require_known("cpu", "cflags")
    cpu = table.optional_text("cpu", cpu_fault)
    cflags = table.texts("cflags", required=False)
    if cflags:
        from ..cflags import check_cflags  # its table takes 5 ms, which a build without flags needn't pay

        check_cflags(cflags, table.where("cflags"))
    return ClangOptions(cpu or "v3", cflags)


def tree_pin(table: Table) -> TreePin:
    """Reads the pin of a set of files, such as [libbpf]."""
    table.require_known("version", "date", "sha256", "files", "source")
    version = table.text("version")
    sha256 = table.optional_text("sha256", sha256_fault)
    files = table.texts("files")
    for name in files:
        if inside_fault(name) or "/" in name:
            raise table.error("files", f"holds {name!r}, which is no plain file name")
    if not files:
        raise table.error("files", "is empty", "name the files that are wanted")
    sources = []
    for entry in table.tables("source"):
        entry.require_known("url", "pool", "path", "folder", "archive_sha256")
        sources.append(source_of(entry, "folder", pinned=bool(sha256)))
    if not sources:
        raise table.error("source", "is missing", f"add a table [[{table.key[-1]}.source]] with url or pool")
    require_each_once(table, "source", [source.location for source in sources])
    where = table.where("sha256") if sha256 else table.where()
    day = table.day("date")
    return TreePin(str(table.key[-1]), version, tuple(sorted(files)), tuple(sources), sha256, where, day)


def linker_pin(table: Table) -> LinkerPin:
    """Reads a table such as [linker]. Raises PinError."""
    arches = [name for name, value in table.data.items() if isinstance(value, dict)]
    table.require_known("glibc", *arches)
    glibc = table.text("glibc", glibc_fault)
    libraries, c_library = {}, {}
    for name in arches:
        arch, machine = arch_named(name, table.where(name)), table.table(name)
        if arch.name != name:
            raise machine.error("", f"{name} is an alias", f"write [{spelled((*table.key, arch.name))}.…]")
        trees = {part: tree_pin(machine.table(part)) for part in machine.data}
        if C_LIBRARY in trees:
            c_library[name] = trees.pop(C_LIBRARY)
        libraries[name] = tuple(trees.values())
    version = tuple(map(int, glibc.split(".")))
    return LinkerPin(version, MappingProxyType(libraries), MappingProxyType(c_library), table.where())


def bundle_pin(table: Table) -> BundlePin:
    """Reads a table such as [bundle]. Raises PinError."""
    table.require_known("glibc", *BUNDLED)
    major, minor = map(int, table.text("glibc", glibc_fault).split("."))
    sources = MappingProxyType({name: _archive(table.table(name), name) for name in BUNDLED})
    return BundlePin((major, minor), sources, table.where())


def _archive(table: Table, name: str) -> SourcePin:
    """Reads a table of an archive that is pinned whole, such as [bundle.zlib]."""
    table.require_known("version", "url", "pool", "path", "sha256", "size")
    version, sha256 = table.text("version"), table.optional_text("sha256", sha256_fault)
    source = source_of(table, "", bool(sha256))
    where, key = table.where("sha256") if sha256 else table.where(), table.where().rpartition(": ")[2]
    return SourcePin(key, "", version, source, sha256, table.count("size", MAX_FILE_SIZE), where)


def uapi_pin(table: Table) -> UapiPin:
    """Reads a table such as [uapi]. Raises PinError."""
    table.require_known("kernel", "package", "path", "sha256")
    kernel = table.text("kernel")
    package = table.optional_text("package", package_fault)
    path = table.optional_text("path")
    sha256 = table.optional_text("sha256", sha256_fault)
    where = table.where("sha256") if sha256 else table.where()
    return UapiPin(kernel, package or PACKAGES[0], table.path.parent / path if path else None, sha256, where)


def header_pins(table: Table) -> dict[str, HeaderPin]:
    """Reads [vmlinux]: a header for each arch that it has."""
    table.require_known("base", "date", *(name for name, value in table.data.items() if isinstance(value, dict)))
    base, day = table.optional_text("base", url_fault), table.day("date")
    found = {}
    for name in table.data:
        if name in ("base", "date"):
            continue
        arch = arch_named(name, table.where(name))
        if arch.name != name:
            raise table.error(name, f"{name} is an alias", f"write [vmlinux.{arch.name}]")
        found[name] = _header(table.table(name), name, base, day)
    if not found:
        raise table.error("", "pins no header", "add a table such as [vmlinux.x86_64]")
    require_own_bytes(found.values())
    return found


def require_own_bytes(pins: Iterable[HeaderPin]) -> None:
    """Raises PinError for two arches whose headers are pinned by one digest."""
    arches: dict[str, str] = {}
    for pin in pins:
        other = arches.setdefault(pin.sha256, pin.arch) if pin.sha256 else pin.arch
        if other != pin.arch:
            raise PinError(f"is the digest of vmlinux.{other} too: each arch has a header of its own", where=pin.where)


def _header(table: Table, arch: str, base: str | None, base_day: date | None, nested: bool = False) -> HeaderPin:
    known = ("kernel", "date", "url", "pool", "path", "btf", "btf_base", "archive_sha256", "input_sha256", "member")
    table.require_known(*known, "sha256", "size", *(() if nested else ("alternate",)))
    kernel = table.text("kernel")
    sha256 = table.optional_text("sha256", sha256_fault)
    size = table.count("size", MAX_FILE_SIZE)
    source = btf_source(table) if "btf" in table.data else source_of(table, "member", bool(sha256), base)
    entries = [] if nested else table.tables("alternate")
    alternates = tuple(_header(entry, arch, base, base_day, nested=True) for entry in entries)
    for entry, alternate in zip(entries, alternates):
        if sha256 and alternate.sha256 == sha256:
            raise entry.error("sha256", "is that of the pin itself", "an alternate has other bytes; remove it")
    require_each_once(table, "alternate", [alternate.sha256 or alternate.where for alternate in alternates])
    where = table.where("sha256") if sha256 else table.where()
    key = table.where().rpartition(": ")[2]
    below_base = base and "://" not in table.data.get("url", "://")
    day = table.day("date") or (base_day if below_base else None)
    return HeaderPin(key, arch, kernel, source, sha256, size, where, alternates, day)


def kernel_pins(table: Table) -> Mapping[str, KernelPin]:
    """Reads [kernels]."""
    return MappingProxyType({name: _kernel(table.table(name), name) for name in table.data})


def _kernel(table: Table, name: str) -> KernelPin:
    """Reads a table [kernels.NAME]. The digest is that of the file: of a .deb or .rpm whole, of a tar's member."""
    known = ("arch", "kernel", "url", "pool", "path", "archive_sha256", "member", "sha256", "size")
    table.require_known(*known, "modules", "modules_sha256", "hide_btf", "uname", *BTF_KEYS)
    arch, kernel = table.text("arch"), table.text("kernel")
    if arch_named(arch, table.where("arch")).name != arch:
        raise table.error("arch", f"{arch} is an alias", f'write arch = "{arch_named(arch, "").name}"')
    sha256 = table.optional_text("sha256", sha256_fault)
    member = table.optional_text("member", inside_fault) or ""
    location = table.optional_text("url") or table.optional_text("path") or ""
    in_tar = location.endswith((".tar.gz", ".tgz", ".tar.xz"))
    source = source_of(table, "member" if in_tar else "", bool(sha256))
    where, key = table.where("sha256") if sha256 else table.where(), table.where().rpartition(": ")[2]
    file = KernelFilePin(key, arch, kernel, source, sha256, table.count("size", MAX_KERNEL_FILE), where)
    uname = table.optional_text("uname", uname_fault) or ""
    if uname and not re.fullmatch(r"[A-Za-z0-9_+-][A-Za-z0-9_.+-]*", name):
        raise table.error("uname", f"packs {name!r}, which is no name for a folder", "call it kernels.board")
    modules = table.optional_text("modules", pool_fault)
    if not modules and "modules_sha256" in table.data:
        raise table.error("modules_sha256", "stands alone", "name the package that it is of: modules")
    pin = _package(table, "modules", modules, table.text("modules_sha256", sha256_fault), arch) if modules else None
    btf = _kernel_btf(table, file) if "btf" in table.data else None
    if not btf and (alone := next((part for part in BTF_KEYS if part in table.data), "")):
        raise table.error(alone, "stands alone", "name the file that it is of: btf")
    return KernelPin(name, file, "" if in_tar else member, uname, pin, table.switch("hide_btf"), btf)


def _kernel_btf(table: Table, kernel: KernelFilePin) -> KernelBtfPin:
    """Reads where a kernel's BTF is that its own file doesn't have: in a BTF file, or as DWARF in debug symbols."""
    source = named_kernel(table, "btf", "btf_member", "btf_input_sha256")
    sha256 = table.optional_text("btf_sha256", sha256_fault)
    where = table.where("btf_sha256") if sha256 else table.where("btf")
    key = table.where("btf").rpartition(": ")[2]
    return KernelBtfPin(key, kernel.arch, kernel.kernel, source, sha256, None, where)


def package_pins(table: Table, arch: str) -> tuple[PackagePin, ...]:
    """Reads a table [guests.ARCH]: a line for each package, its pool path and its sha256."""
    found = []
    for pool in table.data:
        if wrong := pool_fault(pool):
            raise table.error(pool, wrong)
        found.append(_package(table, pool, pool, table.text(pool, sha256_fault), arch))
    if not found:
        raise table.error("", "names no package", 'add lines "pool/…deb" = "sha256"')
    return tuple(found)


def _package(table: Table, key: str, pool: str, digest: str, arch: str) -> PackagePin:
    where = table.where(key)
    source = ArtifactSource("pool", pool, where)
    return PackagePin(where.rpartition(": ")[2], arch, source.name, source, digest, None, where)
