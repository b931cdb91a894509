"""Holds what toolchain.toml declares, as frozen values without bytes; touches neither disk nor network."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from ..arch import OTHER_ARCHES
from ..errors import PinError
from ..escape import without_secrets

HOST_BTF = "/sys/kernel/btf/vmlinux"  # the types of the kernel that runs; toolchain.toml and VMLINUX= call it host


class CompilerSpec(NamedTuple):
    """The compiler: a clang out of a wheel (`package`) or of the system (`path`), of exactly this `version`."""

    version: str
    package: str
    path: Path | None
    where: str


class ArtifactSource(NamedTuple):
    """A declared place of bytes: `kind` says whether `location` is a url, a Debian pool path or a local path.

    location        as declared; a relative url is joined with its base
    file            of a path only: the file itself, below toolchain.toml's folder
    inside          of an archive only: the member, or for a tree of files the folder, that is taken out of it
    archive_sha256  of an archive only, and optional: what is taken out has a digest of its own
    btf             True of a kernel's file, from whose BTF the header is made; `archive_sha256` is that file's
    base            of a module's file only: that of its kernel, whose BTF the module's continues
    where           `toolchain.toml:LINE: key.path`
    """

    kind: str
    location: str
    where: str
    file: Path | None = None
    inside: str = ""
    archive_sha256: str | None = None
    btf: bool = False
    base: Path | None = None

    @property
    def name(self) -> str:
        """The last part of the location's path: a file name."""
        path = self.location.partition("?")[0] if self.kind == "url" else self.location
        return path.rsplit("/", 1)[-1]

    @property
    def shown(self) -> str:
        """The location as messages and records have it: a query may hold a token."""
        return without_secrets(self.location) if "://" in self.location else self.location

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of this machine that are read: with a module its kernel's, too, which may be the one that runs."""
        if self.file is None:
            return ()
        if self.base:
            return (self.file, self.base)
        host = Path(HOST_BTF)
        module = self.btf and self.file.parent == host.parent and self.file != host
        return (self.file, host) if module else (self.file,)

    @property
    def in_project(self) -> bool:
        """True if it is a file of the project, which anybody may edit: it is read before the store is."""
        return self.kind == "path"


class HeaderPin(NamedTuple):
    """A vmlinux.h: of which arch and kernel, where it is, and which bytes it must be.

    `sha256` is None while the pin is incomplete: fetching it then prints the line to paste and uses nothing.
    `alternates` have other bytes and a digest of their own; a build that is no release may take one. `day` is when
    upstream made the bytes, if the file says it. One that is `given`, by VMLINUX=, has no digest and takes any bytes.
    """

    key: str
    arch: str
    kernel: str
    source: ArtifactSource
    sha256: str | None
    size: int | None
    where: str
    alternates: tuple["HeaderPin", ...] = ()
    day: date | None = None
    given: bool = False

    @property
    def prefix(self) -> str:
        """The beginning of the keys that toolchain.toml calls the digests by: sha256 and input_sha256."""
        return ""

    @property
    def title(self) -> str:
        """The pin in a person's words."""
        return f"vmlinux.h for {self.arch} ({'of' if self.given else 'Linux'} {self.kernel})"

    @property
    def recipe(self) -> str:
        """The command whose output is such a header, for a file of the project's that is gone."""
        return f"cat {HOST_BTF}" if self.source.btf else f"bpftool btf dump file {HOST_BTF} format c"

    @property
    def signature(self) -> str:
        """The text that a build step signs: the pinned digest, and nothing that may change without changing the bytes.

        The alternates are left out on purpose: `accepts` recognises a build that took one, the others don't care.
        """
        return self.sha256 or ("given" if self.given else "unpinned")

    def accepts(self, sha256: str, release: bool = False) -> bool:
        """Returns True if a header with this digest may be compiled in: the pin or, in no release, an alternate."""
        allowed = [self.sha256] if release else [self.sha256, *(alternate.sha256 for alternate in self.alternates)]
        return self.given or (sha256 is not None and sha256 in allowed)


class KernelFilePin(HeaderPin):
    """The file that holds a kernel's BTF: a BTF file, a kernel's image or package."""

    __slots__ = ()

    @property
    def title(self) -> str:
        """The pin in a person's words."""
        return f"kernel {self.key.rpartition('.')[2]} (Linux {self.kernel} for {self.arch})"

    @property
    def recipe(self) -> str:
        """The command whose output is such a file, for one that is gone."""
        return "cat /sys/kernel/btf/vmlinux"


class KernelBtfPin(HeaderPin):
    """The BTF that is made of a kernel's file or of its debug symbols: `sha256` is its digest, not that file's."""

    __slots__ = ()

    @property
    def prefix(self) -> str:
        """The beginning of the keys of [kernels.NAME] that are about the BTF."""
        return "btf_"

    @property
    def title(self) -> str:
        """The pin in a person's words."""
        return f"BTF of kernel {self.key.split('.')[1]} (Linux {self.kernel} for {self.arch})"

    @property
    def recipe(self) -> str:
        """The command whose output is such a file, for one that is gone."""
        return "pahole -J --btf_encode_detached=/dev/stdout vmlinux"


class PackagePin(HeaderPin):
    """A .deb of Debian's pool: of a guest's userland, or with a kernel's modules; `kernel` is its file name."""

    __slots__ = ()

    @property
    def title(self) -> str:
        """The pin in a person's words."""
        return f"package {self.kernel}"


class SourcePin(HeaderPin):
    """An archive of sources, pinned whole; `kernel` is the version of what it holds."""

    __slots__ = ()

    @property
    def title(self) -> str:
        """The pin in a person's words."""
        return f"sources of {self.key.rpartition('.')[2]} {self.kernel}"

    @property
    def recipe(self) -> str:
        """The command that gets such an archive, for one that is gone."""
        return f"apt-get source --download-only {self.key.rpartition('.')[2]}"


class BundlePin(NamedTuple):
    """The sources of the libbpf.so.1 that a wheel may carry, by name; `glibc` is the oldest that it runs with."""

    glibc: tuple[int, int]
    sources: Mapping[str, SourcePin]
    where: str

    def pins(self) -> list[SourcePin]:
        """Returns the sources' pins, libbpf's first."""
        return list(self.sources.values())


class KernelPin(NamedTuple):
    """A kernel that programs are checked against: its name and its file; of a package with several, which `member`.

    `uname` is what `uname -r` says there, `*` standing for any text; empty where the file doesn't say.
    `modules` is the package of its modules, where they have one of their own, `btf` its BTF, where that isn't read out
    of `file`. `hide_btf`: when it is booted, user space doesn't see its BTF.
    """

    name: str
    file: KernelFilePin
    member: str = ""
    uname: str = ""
    modules: PackagePin | None = None
    hide_btf: bool = False
    btf: KernelBtfPin | None = None

    @property
    def types(self) -> HeaderPin:
        """Returns the pin of the file that has its BTF."""
        return self.btf or self.file

    @property
    def files(self) -> tuple[HeaderPin, ...]:
        """All that is fetched to check programs against it and to boot it."""
        return tuple(pin for pin in (self.file, self.modules, self.btf) if pin)


class TreePin(NamedTuple):
    """A set of files pinned by one digest over all of them, so that any source with the same bytes will do.

    The digest is that of the lines `<sha256>  <name>`, in the order of the names: `sha256sum NAMES | sha256sum`.
    `day` is when upstream made the bytes, if the file says it.
    """

    key: str
    version: str
    files: tuple[str, ...]
    sources: tuple[ArtifactSource, ...]
    sha256: str | None
    where: str
    day: date | None = None

    @property
    def title(self) -> str:
        """The pin in a person's words."""
        return f"{self.key} {self.version}"

    @property
    def signature(self) -> str:
        """The text that a build step signs: the digest over the files."""
        return self.sha256 or "unpinned"


class LinkerPin(NamedTuple):
    """libbpf's linker: for each arch of a machine that builds, the libraries in the order in which they are loaded.

    `glibc` is the oldest C library that they run with; where the machine's is older, the linker runs with
    `c_library`'s.
    """

    glibc: tuple[int, ...]
    libraries: Mapping[str, tuple[TreePin, ...]]
    c_library: Mapping[str, TreePin]
    where: str

    def trees(self, host: str) -> list[TreePin]:
        """Returns what is loaded on a machine of an arch, the C library last; none where nothing is pinned for it."""
        return [*self.libraries.get(host, ()), *([self.c_library[host]] if host in self.c_library else [])]

    def every_tree(self) -> list[TreePin]:
        """Returns those of all machines, the key of each being its path: `linker.x86_64.libz`."""
        arches = dict.fromkeys((*self.libraries, *self.c_library))
        return [tree._replace(key=f"linker.{arch}.{tree.key}") for arch in arches for tree in self.trees(arch)]


class UapiPin(NamedTuple):
    """The kernel's UAPI headers and clang's own, pinned by one digest over them all, as a TreePin's.

    They are read out of the installed wheel `package`; those of the kernel, where there is a `path`, out of that folder
    of the project's. `kernel` is the Linux that they are of.
    """

    kernel: str
    package: str
    path: Path | None
    sha256: str | None
    where: str

    @property
    def title(self) -> str:
        """The pin in a person's words."""
        return f"UAPI headers of Linux {self.kernel}"

    @property
    def signature(self) -> str:
        """The text that a build step signs: the digest over the files."""
        return self.sha256 or "unpinned"


class Toolchain(NamedTuple):
    """All that toolchain.toml says. `vmlinux` is keyed by the arch's name.

    `linker`, `uapi` and `bundle` are None where it has no such table. `kernels` is keyed by their names, `guests` by
    the arch's: the packages of a guest's userland.
    """

    path: Path
    compiler: CompilerSpec
    cpu: str
    cflags: tuple[str, ...]
    libbpf: TreePin
    vmlinux: Mapping[str, HeaderPin]
    linker: LinkerPin | None = None
    uapi: UapiPin | None = None
    kernels: Mapping[str, KernelPin] = MappingProxyType({})
    guests: Mapping[str, tuple[PackagePin, ...]] = MappingProxyType({})
    bundle: BundlePin | None = None

    def header(self, arch: str) -> HeaderPin:
        """Returns the header pin of an arch. Raises PinError with the list of those that have one."""
        try:
            return self.vmlinux[arch]
        except KeyError:
            pinned = ", ".join(self.vmlinux)
            fix = f"add a table [vmlinux.{arch}] or take one of those pinned: {pinned}"
            if any(other.name == arch for other in OTHER_ARCHES):
                made = "bpftool btf dump file /sys/kernel/btf/vmlinux format c"
                fix = (
                    f"make the header on such a machine, {made}, and pin it in [vmlinux.{arch}] with path=: "
                    "libbpf/vmlinux.h has none of that arch"
                )
            raise PinError(f"{arch} has no pin", where=f"{self.path}: vmlinux.{arch}", fix=fix) from None
