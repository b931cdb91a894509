"""An object in libbpf's hands: open, load, attach, destroy. Generated skeletons derive from Object."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import os
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, ClassVar, Generic, Protocol, TypeVar, cast

from .arch import object_path, require_arch, require_order, this_arch
from .errors import AttachError, CallError, DigestError, ObjectError, StateError, errno_text
from .libbpf import library
from .log import captured
from .maps import Map
from .program import Link, Program
from .refusal import lines, load_refused
from .structures import OpenOptions, sized

if TYPE_CHECKING:
    from typing_extensions import Self

P = TypeVar("P")
GIVEN = "give the path of a file that this user may read"


class Part(Protocol):
    """What an object tells of its life: its maps and sections."""

    def _loaded(self) -> None: ...

    def _close(self) -> None: ...


class Collection(Generic[P]):
    """The maps or programs of an object, each an attribute; also by name (`progs["x"]`), and iterable."""

    def __init__(self, owner: Object):
        """Generated classes set one attribute for each part of their owner."""

    def __iter__(self) -> Iterator[P]:
        return iter(vars(self).values())

    def __len__(self) -> int:
        return len(vars(self))

    def __getitem__(self, name: str) -> P:
        for part in self:
            if part.name == name:  # type: ignore[attr-defined]
                return part
        raise KeyError(name)


class Maps(Collection[Map]):
    """Base of the generated maps."""


class Progs(Collection[Program]):
    """Base of the generated programs."""


class Object:
    """A BPF object, from open to destroy; it owns its links, so all of it is detached at the end of a `with`.

    A skeleton states its file's name and, by arch, the sha256 of each object of that name (see arch.object_path).
    """

    FILE: ClassVar[str] = ""
    OBJECTS: ClassVar[dict[str, str]] = {}
    progs: Progs

    def __init__(self, handle: int):
        self._handle, self._load_tried, self._is_loaded = handle, False, False
        self.links: list[Link] = []
        self.parts: list[Part] = []

    @classmethod
    def open(cls, source: str | os.PathLike[str] | bytes | None = None, *, btf: str | None = None) -> Self:
        """The object, opened and not yet loaded. A skeleton knows its file; any other source is a path or the bytes.

        `btf` is a file with the kernel's BTF, for a kernel that doesn't carry it. Raises LibraryError, DigestError,
        ObjectError.
        """
        if cls.OBJECTS:
            require_arch(cls.FILE, cls.OBJECTS)
        path = cls._beside() if source is None else source
        data = path if isinstance(path, bytes) else _read(path, cls._where_it_belongs() if source is None else GIVEN)
        if btf:
            _read(btf, GIVEN, 0)  # libbpf would tell at load, and of its errno only
        where = "the object given" if isinstance(path, bytes) else os.fspath(path)
        require_order(data, where)
        cls._check_digest(data, where)
        name = cls.FILE or (cls.__name__ if isinstance(path, bytes) else os.path.basename(path))
        handle = open_bytes(data, name.split(".")[0], btf)
        try:
            return cls(handle)
        except BaseException:
            library().bpf_object__close(handle)
            raise

    @classmethod
    def _beside(cls) -> str:
        module = sys.modules[cls.__module__].__file__
        if not cls.FILE or not module:
            raise ObjectError("no BPF object was given", fix="call open(path), or use a generated skeleton")
        return object_path(os.path.dirname(module), cls.FILE, cls.OBJECTS)

    @classmethod
    def _where_it_belongs(cls) -> str:
        skeleton = os.path.basename(sys.modules[cls.__module__].__file__ or "")
        folder = f" in a folder {this_arch()}" if len(cls.OBJECTS) > 1 else ""
        return f"put {cls.FILE}{folder} beside {skeleton}, both from the same build"

    @classmethod
    def _check_digest(cls, data: bytes, where: str) -> None:
        digest, expected = hashlib.sha256(data).hexdigest(), cls.OBJECTS.get(this_arch())
        if expected and digest != expected:
            fix = "take object and skeleton from the same build"
            raise DigestError(f"{where} has sha256 {digest}, its skeleton was made for {expected}", fix=fix)

    @property
    def handle(self) -> int:
        """libbpf's struct bpf_object *. Raises StateError once the object is destroyed."""
        if not self._handle:
            raise StateError("the object is destroyed", fix="open it again")
        return self._handle

    def require_open(self, what: str) -> None:
        """Raises StateError unless the object is open and not yet loaded; `what` can only be set then."""
        if self.handle and self._load_tried:
            raise StateError(f"{what} can't be changed after load", fix="set it between open and load")

    def require_loaded(self, what: str) -> None:
        """Raises StateError unless the object is loaded; `what` exists only then."""
        if self.handle and not self._is_loaded:
            raise StateError(f"{what} doesn't exist before load", fix="call load first")

    def select(self, programs: Iterable[str]) -> None:
        """Lets `load` load these programs and no other. Raises KeyError for a name there isn't, StateError."""
        wanted = {self.progs[name].name for name in programs}
        for program in self.progs:
            program.autoload = program.name in wanted

    def load(self) -> None:
        """Makes the maps and hands the chosen programs to the verifier, all or nothing.

        Raises VerifierError, MissingBtfError, LoadError, PrivilegeError, StateError. Afterwards only destroy helps.
        """
        self.require_open("the object")
        self._load_tried = True
        with captured() as messages:
            try:
                library().bpf_object__load(self.handle)
            except CallError as error:
                raise load_refused(self.FILE or type(self).__name__, error, messages) from None
        self._is_loaded = True
        for part in self.parts:
            part._loaded()

    def attach(self) -> list[Link]:
        """The new links, one for each loaded program whose section says where it attaches and whose autoattach is on.

        All or nothing. Programs of other sections (cgroup, XDP …) wait for their attach_… call. Raises what
        Program.attach does.
        """
        made = []
        try:
            for program in self.progs:
                if program.autoload and program.autoattach and (link := _attach_if_targeted(program)):
                    made.append(link)
        except BaseException:
            for link in reversed(made):
                link.detach()
            raise
        return made

    def destroy(self) -> None:
        """Detaches all links, unloads programs and maps; does nothing the second time."""
        handle, self._handle = self._handle, 0
        if not handle:
            return
        with contextlib.ExitStack() as stack:
            stack.callback(library().bpf_object__close, handle)
            for part in self.parts:
                stack.callback(part._close)
            for link in self.links:
                stack.callback(link.detach)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.destroy()


def _read(path: str | os.PathLike[str], fix: str, size: int = -1) -> bytes:
    """The first bytes of a file, all of them for -1. Raises ObjectError."""
    try:
        with open(path, "rb") as file:
            return file.read(size)
    except OSError as error:
        raise ObjectError(f"can't read {os.fspath(path)} ({errno_text(error.errno or 0)})", fix=fix) from None


def _attach_if_targeted(program: Program) -> Link | None:
    """The link, or None where libbpf says, without a message, that the section names no target."""
    try:
        return program.attach()
    except AttachError as error:
        if error.errno == errno.EOPNOTSUPP and not error.details:
            return None
        raise


def open_bytes(data: bytes, name: str, btf: str | None = None) -> int:
    """libbpf's struct bpf_object * for an object's bytes; `name` begins its maps' names. Raises ObjectError."""
    options = sized(OpenOptions, object_name=name.encode(), btf_custom_path=os.fsencode(btf) if btf else None)
    with captured() as messages:
        try:
            return cast(int, library().bpf_object__open_mem(data, len(data), ctypes.byref(options)))
        except CallError as error:
            what = f"libbpf can't open {name} ({errno_text(error.errno)})"
            raise ObjectError(
                what, fix="compile it with clang -target bpf -g", details=lines("".join(messages))
            ) from None
