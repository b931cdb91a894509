"""Opens the BTF of a kernel's or module's file, and keeps what was found for the next run."""

import contextlib
import hashlib
import mmap
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from ..btf.distilled import relocated
from ..btf.index import INDEX_MAGIC, dump_index, load_index
from ..btf.modules import ModuleBtf, Modules
from ..btf.reader import COMPILE, Btf
from ..errors import BtfError, KernelImageError, OutputError
from ..files import folder_like, open_regular, read_regular, write_file
from .find_btf import DAMAGED, KERNEL_FILES, DwarfOnlyError, KernelBtf, find_btf
from .modules import dump_modules, load_modules, package_modules
from .packages import is_package
from .pahole import encoded
from .release import release_of

MAPPED = 16 << 20  # bytes from which on a file is mapped: of a vmlinux with DWARF only a hundredth is read
MAX_INDEX_SIZE = 256 << 20
MAX_MODULES_SIZE = 1 << 30
DWARF = "DWARF"  # in the place of a file's part: of that pahole made the BTF


def read_kernel_file(path: str | os.PathLike[str]) -> bytes:
    """Returns a file's bytes, mapped if there are many. Raises KernelImageError with what keeps it from being read."""
    try:
        with open_regular(path, None) as file:
            if os.fstat(file.fileno()).st_size < MAPPED:
                return file.read()
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)  # type: ignore[return-value]
    except OSError as error:
        raise KernelImageError(f"can't be read: {error.strerror}", where=os.fspath(path)) from None


def kernel_btf(data: bytes, where: str, member: str = "") -> KernelBtf:
    """Returns the BTF in a kernel's bytes, as find_btf does; of a vmlinux with DWARF alone, what pahole makes of it."""
    try:
        return find_btf(data, where, member)
    except DwarfOnlyError as error:
        return KernelBtf(encoded(error.data, error), inside=DWARF)


def parse_kernel_btf(found: KernelBtf, where: str, base: Btf | None = None) -> Btf:
    """Returns the types of a kernel, or those of a module on its kernel's, which is `base`.

    A module with a distilled base is fitted to `base`, or is read alone where there is none. Raises BtfError.
    """
    try:
        if not found.base:
            return Btf.parse(found.data, where, None, base)
        distilled = Btf.parse(found.base, f"{where}: .BTF.base", None)
        split = Btf.parse(found.data, where, None, distilled)
        return relocated(split, base) if base else split
    except BtfError as error:
        fix = DAMAGED if error.fix in ("", COMPILE) else error.fix
        raise BtfError(error.what, where=error.where, fix=fix) from None


def open_btf(path: str | os.PathLike[str], base: Btf | None = None, member: str = "") -> Btf:
    """Returns the types in a kernel's, module's or package's file: `member` names a package's file.

    Raises KernelImageError, ArchiveError, ElfError and BtfError with the file's path and what is wrong where.
    """
    where = os.fspath(path)
    return parse_kernel_btf(kernel_btf(read_kernel_file(path), where, member), where, base)


class BtfCache:
    """The BTF of kernels' files: in memory for this run, with an index in the artifact store for the next.

    Others can write into the store as well, so what lies there is believed by a digest that this project recorded
    itself. `fact(key, find)`, a Ledger's, returns the JSON object kept under a key, or keeps what `find()` gives;
    `code` is the digest of what finds and indexes BTF. `tell` is told of what takes long.
    """

    def __init__(
        self,
        folder: Path,
        fact: Callable[[str, Callable[[], Mapping[str, str]]], Mapping[str, str]],
        code: str = "",
        tell: Callable[[str], None] = lambda _: None,
    ):
        self._folder, self._fact, self._code, self._tell = folder / "btf", fact, code, tell
        self._opened: dict[tuple[str, str], Btf] = {}
        self._releases: dict[tuple[str, str], str] = {}

    def get(self, path: str | os.PathLike[str], sha256: str, member: str = "") -> Btf:
        """Returns the types of a kernel's file whose digest is known. Raises as open_btf does."""
        key = sha256, member
        if key not in self._opened:
            self._opened[key] = self._stored_or_found(Path(path), *key)
        return self._opened[key]

    def release(self, path: str | os.PathLike[str], sha256: str) -> str:
        """Returns the release of a kernel, as its file or that one's name says it; empty where nothing does."""
        self.get(path, sha256)
        return self._releases[sha256, ""] or release_of(b"", os.path.basename(path))

    def modules(self, path: str | os.PathLike[str], sha256: str, base: Btf) -> Modules | None:
        """Returns the modules in a package; None for one without any, or another file, which tells nothing of them.

        `base` is the kernel's own BTF. Raises KernelImageError, ArchiveError.
        """
        data = read_kernel_file(path)
        if not is_package(data):
            return None
        place, found = self._folder / f"{sha256}-modules-1", dict[str, ModuleBtf]()

        def find() -> Mapping[str, str]:
            """Reads all modules, keeps their BTF, and returns its digest for the ledger."""
            self._tell(f"{os.path.basename(path)}: reading its modules, once")
            found.update(package_modules(data))
            return self._kept(place, dump_modules(found))

        known = self._fact(f"modules 1 {sha256} {self._code}", find).get("sha256")
        if not found:
            with contextlib.suppress(OSError):
                content = read_regular(place, MAX_MODULES_SIZE)
                if hashlib.sha256(content).hexdigest() == known:
                    found = load_modules(content)
                    return Modules(found, base) if found else None
            find()
        return Modules(found, base) if found else None

    def _kept(self, place: Path, content: bytes) -> Mapping[str, str]:
        """Keeps what was found in the store, and returns its digest for the ledger."""
        with contextlib.suppress(OSError, OutputError):  # a store that is read-only or full serves all the same
            self._folder.parent.mkdir(parents=True, exist_ok=True)
            write_file(folder_like(self._folder.parent, self._folder.name) / place.name, content)
        return {"sha256": hashlib.sha256(content).hexdigest()}

    def _stored_or_found(self, path: Path, sha256: str, member: str) -> Btf:
        of = hashlib.sha256(member.encode()).hexdigest()[:8] if member else "kernel"
        place = self._folder / f"{sha256}-{of}-{INDEX_MAGIC[-1:].decode()}"
        found: list[Btf] = []

        def find() -> Mapping[str, str]:
            """Parses the BTF, keeps its index, and returns the index's digest for the ledger."""
            file = read_kernel_file(path)
            data = kernel_btf(file, os.fspath(path), member)
            if data.base:  # it stands on its own, and has none of the kernel's types
                raise KernelImageError("is a kernel's module, and no kernel", where=os.fspath(path), fix=KERNEL_FILES)
            found.append(parse_kernel_btf(data, os.fspath(path)))
            release = release_of(file, data.inside.partition(":")[0])  # a copy may have another name
            return {**self._kept(place, dump_index(found[0], data.data)), "release": release}

        fact = self._fact(f"btf {INDEX_MAGIC.decode()} {sha256} {member} {self._code}", find)
        self._releases[sha256, member] = fact.get("release", "")
        known = fact.get("sha256")
        if not found:
            with contextlib.suppress(OSError, BtfError):
                content = read_regular(place, MAX_INDEX_SIZE)
                if hashlib.sha256(content).hexdigest() == known:
                    return load_index(content, os.fspath(path))
            find()
        return found[0]
