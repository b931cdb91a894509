"""Reads toolchain.toml, the one place where a build's inputs are declared, into pins."""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import urlsplit

from ..arch import EVERY_ARCH, arch_named
from ..errors import PinError
from ..escape import without_secrets
from ..files import MAX_FILE_SIZE
from .pins import (
    HOST_BTF,
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
    Toolchain,
    TreePin,
    UapiPin,
)
from .toml_lines import Table, read, spelled

CPUS = ("v1", "v2", "v3", "v4")  # clang's -mcpu for BPF; `probe` would ask the machine that builds
PACKAGES = ("ziglang",)
C_LIBRARY = "glibc"  # the name that this one has among a linker's libraries
BUNDLED = ("libbpf", "elfutils", "zlib")  # what a wheel's own libbpf.so.1 is built of
TABLES = ("bundle", "compiler", "clang", "guests", "kernels", "libbpf", "linker", "uapi", "vmlinux")
MAX_KERNEL_FILE = 1 << 30  # bytes of a kernel's package; Debian's largest have 120 MB
BTF_KEYS = ("btf", "btf_member", "btf_sha256", "btf_input_sha256")  # of [kernels.NAME]


def load(path: Path | str, base: Path | str | None = None) -> Toolchain:
    """Reads a toolchain.toml and checks all of it. Raises PinError with file, line, key and the fix.

    A table that it lacks is that of the file `base`, and so is the header of an arch that it lacks. A table that both
    have counts as it stands in the first file, whole: no key of the other one's joins it. Kernels are the first
    file's alone: which ones a program has to work on is its project's decision.

    A header or tree without a sha256 is kept as unpinned: only the bytes tell the line to paste, and this fetches none.
    """
    files = Layers(path, base)
    compiler = _compiler(files.table("compiler"))
    clang = _clang(files.table("clang", required=False))
    libbpf = _tree(files.table("libbpf"))
    own = _headers(files.own.table("vmlinux")) if "vmlinux" in files.own.data or not base else {}
    linker = linker_pin(files.own.table("linker")) if "linker" in files.own.data else None
    uapi = uapi_pin(files.own.table("uapi")) if "uapi" in files.own.data else None
    bundle = bundle_pin(files.own.table("bundle")) if "bundle" in files.own.data else None
    kernels = _kernels(files.own.table("kernels", required=False))
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
        rest = _headers(base.table("vmlinux")) if base else {}
        found = {arch: pin for arch, pin in rest.items() if arch not in self._own} | self._own
        _require_own_bytes(found.values())
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
                found.setdefault(name, _packages(table.table(name), name))
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


def _compiler(table: Table) -> CompilerSpec:
    table.require_known("package", "path", "version")
    package = table.optional_text("package", _is_package)
    path = table.optional_text("path")
    version = table.text("version", _is_version)
    if bool(package) == bool(path):
        both = "has both package and path" if package else "has neither package nor path"
        raise table.error("", both, f'keep one: package = "{PACKAGES[0]}", or the path of a system clang')
    return CompilerSpec(version, package or "", table.path.parent / path if path else None, table.where("version"))


class _ClangOptions(NamedTuple):
    cpu: str
    cflags: tuple[str, ...]


def _clang(table: Table) -> _ClangOptions:
    table.require_known("cpu", "cflags")
    cpu = table.optional_text("cpu", _is_cpu)
    cflags = table.texts("cflags", required=False)
    if cflags:
        from ..cflags import check_cflags  # its table takes 5 ms, which a build without flags needn't pay

        check_cflags(cflags, table.where("cflags"))
    return _ClangOptions(cpu or "v3", cflags)


def _tree(table: Table) -> TreePin:
    table.require_known("version", "date", "sha256", "files", "source")
    version = table.text("version")
    sha256 = table.optional_text("sha256", _is_sha256)
    files = table.texts("files")
    for name in files:
        if _is_inside(name) or "/" in name:
            raise table.error("files", f"holds {name!r}, which is no plain file name")
    if not files:
        raise table.error("files", "is empty", "name the files that are wanted")
    sources = []
    for entry in table.tables("source"):
        entry.require_known("url", "pool", "path", "folder", "archive_sha256")
        sources.append(_source(entry, "folder", pinned=bool(sha256)))
    if not sources:
        raise table.error("source", "is missing", f"add a table [[{table.key[-1]}.source]] with url or pool")
    _each_once(table, "source", [source.location for source in sources])
    where = table.where("sha256") if sha256 else table.where()
    day = table.day("date")
    return TreePin(str(table.key[-1]), version, tuple(sorted(files)), tuple(sources), sha256, where, day)


def linker_pin(table: Table) -> LinkerPin:
    """Reads a table such as [linker]. Raises PinError."""
    arches = [name for name, value in table.data.items() if isinstance(value, dict)]
    table.require_known("glibc", *arches)
    glibc = table.text("glibc", _is_glibc)
    libraries, c_library = {}, {}
    for name in arches:
        arch, machine = arch_named(name, table.where(name)), table.table(name)
        if arch.name != name:
            raise machine.error("", f"{name} is an alias", f"write [{spelled((*table.key, arch.name))}.…]")
        trees = {part: _tree(machine.table(part)) for part in machine.data}
        if C_LIBRARY in trees:
            c_library[name] = trees.pop(C_LIBRARY)
        libraries[name] = tuple(trees.values())
    version = tuple(map(int, glibc.split(".")))
    return LinkerPin(version, MappingProxyType(libraries), MappingProxyType(c_library), table.where())


def bundle_pin(table: Table) -> BundlePin:
    """Reads a table such as [bundle]. Raises PinError."""
    table.require_known("glibc", *BUNDLED)
    major, minor = map(int, table.text("glibc", _is_glibc).split("."))
    sources = MappingProxyType({name: _archive(table.table(name), name) for name in BUNDLED})
    return BundlePin((major, minor), sources, table.where())


def _archive(table: Table, name: str) -> SourcePin:
    """Reads a table of an archive that is pinned whole, such as [bundle.zlib]."""
    table.require_known("version", "url", "pool", "path", "sha256", "size")
    version, sha256 = table.text("version"), table.optional_text("sha256", _is_sha256)
    source = _source(table, "", bool(sha256))
    where, key = table.where("sha256") if sha256 else table.where(), table.where().rpartition(": ")[2]
    return SourcePin(key, "", version, source, sha256, table.count("size", MAX_FILE_SIZE), where)


def uapi_pin(table: Table) -> UapiPin:
    """Reads a table such as [uapi]. Raises PinError."""
    table.require_known("kernel", "package", "path", "sha256")
    kernel = table.text("kernel")
    package = table.optional_text("package", _is_package)
    path = table.optional_text("path")
    sha256 = table.optional_text("sha256", _is_sha256)
    where = table.where("sha256") if sha256 else table.where()
    return UapiPin(kernel, package or PACKAGES[0], table.path.parent / path if path else None, sha256, where)


def _headers(table: Table) -> dict[str, HeaderPin]:
    table.require_known("base", "date", *(name for name, value in table.data.items() if isinstance(value, dict)))
    base, day = table.optional_text("base", _is_url), table.day("date")
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
    _require_own_bytes(found.values())
    return found


def _require_own_bytes(pins: Iterable[HeaderPin]) -> None:
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
    sha256 = table.optional_text("sha256", _is_sha256)
    size = table.count("size", MAX_FILE_SIZE)
    source = _btf_source(table) if "btf" in table.data else _source(table, "member", bool(sha256), base)
    entries = [] if nested else table.tables("alternate")
    alternates = tuple(_header(entry, arch, base, base_day, nested=True) for entry in entries)
    for entry, alternate in zip(entries, alternates):
        if sha256 and alternate.sha256 == sha256:
            raise entry.error("sha256", "is that of the pin itself", "an alternate has other bytes; remove it")
    _each_once(table, "alternate", [alternate.sha256 or alternate.where for alternate in alternates])
    where = table.where("sha256") if sha256 else table.where()
    key = table.where().rpartition(": ")[2]
    below_base = base and "://" not in table.data.get("url", "://")
    day = table.day("date") or (base_day if below_base else None)
    return HeaderPin(key, arch, kernel, source, sha256, size, where, alternates, day)


def _kernels(table: Table) -> Mapping[str, KernelPin]:
    return MappingProxyType({name: _kernel(table.table(name), name) for name in table.data})


def _kernel(table: Table, name: str) -> KernelPin:
    """Reads a table [kernels.NAME]. The digest is that of the file: of a .deb or .rpm whole, of a tar's member."""
    known = ("arch", "kernel", "url", "pool", "path", "archive_sha256", "member", "sha256", "size")
    table.require_known(*known, "modules", "modules_sha256", "hide_btf", "uname", *BTF_KEYS)
    arch, kernel = table.text("arch"), table.text("kernel")
    if arch_named(arch, table.where("arch")).name != arch:
        raise table.error("arch", f"{arch} is an alias", f'write arch = "{arch_named(arch, "").name}"')
    sha256 = table.optional_text("sha256", _is_sha256)
    member = table.optional_text("member", _is_inside) or ""
    location = table.optional_text("url") or table.optional_text("path") or ""
    in_tar = location.endswith((".tar.gz", ".tgz", ".tar.xz"))
    source = _source(table, "member" if in_tar else "", bool(sha256))
    where, key = table.where("sha256") if sha256 else table.where(), table.where().rpartition(": ")[2]
    file = KernelFilePin(key, arch, kernel, source, sha256, table.count("size", MAX_KERNEL_FILE), where)
    uname = table.optional_text("uname", _is_uname) or ""
    if uname and not re.fullmatch(r"[A-Za-z0-9_+-][A-Za-z0-9_.+-]*", name):
        raise table.error("uname", f"packs {name!r}, which is no name for a folder", "call it kernels.board")
    modules = table.optional_text("modules", _is_pool)
    if not modules and "modules_sha256" in table.data:
        raise table.error("modules_sha256", "stands alone", "name the package that it is of: modules")
    pin = _package(table, "modules", modules, table.text("modules_sha256", _is_sha256), arch) if modules else None
    btf = _kernel_btf(table, file) if "btf" in table.data else None
    if not btf and (alone := next((part for part in BTF_KEYS if part in table.data), "")):
        raise table.error(alone, "stands alone", "name the file that it is of: btf")
    return KernelPin(name, file, "" if in_tar else member, uname, pin, table.switch("hide_btf"), btf)


def _kernel_btf(table: Table, kernel: KernelFilePin) -> KernelBtfPin:
    """Reads where a kernel's BTF is that its own file doesn't have: in a BTF file, or as DWARF in debug symbols."""
    source = _named_kernel(table, "btf", "btf_member", "btf_input_sha256")
    sha256 = table.optional_text("btf_sha256", _is_sha256)
    where = table.where("btf_sha256") if sha256 else table.where("btf")
    key = table.where("btf").rpartition(": ")[2]
    return KernelBtfPin(key, kernel.arch, kernel.kernel, source, sha256, None, where)


def _packages(table: Table, arch: str) -> tuple[PackagePin, ...]:
    """Reads a table [guests.ARCH]: a line for each package, its pool path and its sha256."""
    found = []
    for pool in table.data:
        if wrong := _is_pool(pool):
            raise table.error(pool, wrong)
        found.append(_package(table, pool, pool, table.text(pool, _is_sha256), arch))
    if not found:
        raise table.error("", "names no package", 'add lines "pool/…deb" = "sha256"')
    return tuple(found)


def _package(table: Table, key: str, pool: str, digest: str, arch: str) -> PackagePin:
    where = table.where(key)
    source = ArtifactSource("pool", pool, where)
    return PackagePin(where.rpartition(": ")[2], arch, source.name, source, digest, None, where)


def _btf_source(table: Table) -> ArtifactSource:
    """Reads where the kernel is of whose BTF a header is made: `host`, a pool path, a URL, or a local path."""
    for other in ("url", "pool", "path", "archive_sha256"):
        if other in table.data:
            fix = "keep one of them" if other != "archive_sha256" else "call it input_sha256"
            raise table.error(other, "stands beside btf, which says where the kernel is", fix)
    source, base = _named_kernel(table, "btf", "member", "input_sha256"), table.optional_text("btf_base")
    if base and source.kind != "path":
        raise table.error("btf_base", "goes with a module of this machine", "name both by their paths")
    return source._replace(base=_kernel_path(base, table.path.parent)) if base else source


def _named_kernel(table: Table, key: str, member: str, digest: str) -> ArtifactSource:
    """Reads the keys that name a kernel's file: where it is, the file in a package, and the sha256 of it whole."""
    location = table.text(key)
    kind = _kind_of(location)
    if wrong := _is_pool(location) if kind == "pool" else _is_url(location) if kind == "url" else "":
        raise table.error(key, wrong)
    inside, sha256 = table.optional_text(member, _is_inside) or "", table.optional_text(digest, _is_sha256)
    return _kernel_source(kind, location, table.where(key), table.path.parent, inside, sha256)


def _kernel_source(
    kind: str, location: str, where: str, folder: Path, member: str = "", digest: str | None = None
) -> ArtifactSource:
    file = _kernel_path(location, folder) if kind == "path" else None
    return ArtifactSource(kind, location, where, file, member, digest, btf=True)


def _kind_of(location: str) -> str:
    return "pool" if location.startswith("pool/") else "url" if "://" in location else "path"


def _kernel_path(location: str, folder: Path) -> Path:
    return folder / (HOST_BTF if location == "host" else location)


def given_header(arch: str, text: str, folder: Path) -> HeaderPin:
    """Returns the pin that VMLINUX= stands for: `host`, or the path of a kernel's file, from `folder`.

    Behind a module's stands, with a comma before it, that of its kernel.
    """
    file, _, base = text.partition(",")
    source = _kernel_source("path", file, f"VMLINUX={text}", folder)
    source = source._replace(base=_kernel_path(base, folder)) if base else source
    return HeaderPin(f"vmlinux.{arch}", arch, source.name, source, None, None, source.where, given=True)


def given_kernel_btf(name: str, arch: str, kernel: str, location: str) -> KernelBtfPin:
    """Returns the pin that `pins add --btf` stands for: any BTF that comes of a path, a pool path or a URL."""
    kind, where = _kind_of(location), f"--btf={without_secrets(location)}"
    source = _kernel_source(kind, location, where, Path())
    return KernelBtfPin(f"kernels.{name}.btf", arch, kernel, source, None, None, where, given=True)


def _source(table: Table, inside: str, pinned: bool, base: str | None = None) -> ArtifactSource:
    """Reads where a pin's bytes are. `inside` is the key of what is taken out of an archive, empty to take it whole."""
    url = table.optional_text("url", None if base else _is_url)
    pool = table.optional_text("pool", _is_pool)
    path = table.optional_text("path")
    given = [kind for kind, value in (("url", url), ("pool", pool), ("path", path)) if value]
    if len(given) != 1:
        what = f"has {' and '.join(given)}" if given else "has no source"
        raise table.error("", what, "give it one of url, pool (a path below a Debian archive) or path (a local file)")
    kind = given[0]
    location = _joined(table, url, base, pinned) if url else pool or path or ""
    archive = kind == "pool" or inside == "folder" or location.endswith((".deb", ".tar.gz", ".tgz", ".tar.xz"))
    read = table.text if archive else table.optional_text
    member = read(inside, _is_inside) if inside else ""
    digest = table.optional_text("archive_sha256", _is_sha256)
    if digest and not member:
        raise table.error("archive_sha256", "belongs to an archive, and there is none", "remove it, or name the member")
    file = table.path.parent / path if path else None
    return ArtifactSource(kind, location, table.where(kind), file, member or "", digest)


def _joined(table: Table, url: str, base: str | None, pinned: bool) -> str:
    whole = url if "://" in url or not base else f"{base.rstrip('/')}/{url}"
    wrong = _is_url(whole)
    if wrong:
        raise table.error("url", wrong.replace(repr(whole), repr(without_secrets(whole))))
    if whole.startswith("http:") and not pinned:
        raise table.error("url", "is plain http and nothing pins its bytes", "write https, or add the sha256 first")
    return whole


def _each_once(table: Table, part: str, values: list[str]) -> None:
    for i, value in enumerate(values):
        if value in values[:i]:
            raise table.error(part, f"declares {without_secrets(value)} twice", "remove one")


def _is_sha256(text: str) -> str:
    if re.fullmatch("[0-9a-f]{64}", text):
        return ""
    if re.fullmatch("[0-9a-fA-F]{64}", text):
        return f"is in capitals; write it in lower case: {text.lower()}"
    odd = next((letter for letter in text if letter not in "0123456789abcdefABCDEF"), None)
    return f"holds {odd!r}, which is no hex digit" if odd else f"has {len(text)} hex digits, a sha256 has 64"


def _is_uname(text: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9._+~*-]*[A-Za-z0-9][A-Za-z0-9._+~*-]*", text):
        return ""
    return f"is {text!r}; write what `uname -r` says there, with * for any text"


def _is_version(text: str) -> str:
    return "" if re.fullmatch(r"\d+(\.\d+)+\S*", text) else f"is {text!r}; write the exact version, such as 22.1.8"


def _is_glibc(text: str) -> str:
    return "" if re.fullmatch(r"\d+\.\d+", text) else f"is {text!r}; write the version that they need, such as 2.38"


def _is_cpu(text: str) -> str:
    return "" if text in CPUS else f"is {text!r}; take one of {', '.join(CPUS)}"


def _is_package(text: str) -> str:
    return "" if text in PACKAGES else f"is {text!r}; the packages that carry a clang are: {', '.join(PACKAGES)}"


def _is_inside(text: str) -> str:
    if not text or text.startswith("/") or "\\" in text or "\0" in text or {".", "..", ""} & set(text.split("/")):
        return f"is {text!r}; write a plain path inside the archive, without . and .. and a leading /"
    return ""


def _is_pool(text: str) -> str:
    if not text.startswith("pool/") or not re.search(r"\.deb$|\.orig\.tar\.(gz|bz2|xz)$", text):
        return f"is {text!r}; a pool path looks like pool/main/libb/libbpf/libbpf-dev_1.5.0-3_amd64.deb"
    return _is_inside(text)


def _is_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        host, user, _port = parts.hostname, parts.username, parts.port  # each may raise ValueError when it is read
    except ValueError:
        return f"is {text!r}, which is no URL"
    if parts.scheme not in ("http", "https") or not host or re.search(r"[\s\\]", text):
        return f"is {text!r}; write a URL that begins with https://"
    if user is not None:
        return (
            "holds a user name or password; a pin is public, so leave them out, and take a MIRROR that may ask for them"
        )
    if parts.fragment or {".", ".."} & set(parts.path.split("/")):
        return f"is {text!r}; write it without a fragment and without . and .."
    return ""
