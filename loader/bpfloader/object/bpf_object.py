"""Object: opens, loads, attaches and destroys a BPF object through libbpf. Generated skeletons derive from it."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import warnings
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from ..arch import require_arch, this_arch
from ..codec.base import Field
from ..errors import BpfError, CallError, StateError
from ..files import read_file
from ..fork import call_after_fork
from ..libbpf.library import library, require
from ..libbpf.log import captured
from ..link.base import Link
from ..link.collection import Links
from ..map.base import Map
from ..map.info import NAME_LENGTH
from ..program.sections import libbpf_needed
from ..program.struct_ops import StructOpsMap
from ..signals import DeferredSignals, without_repeated_signals
from .attach_method import AttachMethod
from .bcc import BccPolling
from .btf_file import BtfFile
from .collections import Maps, Progs, nothing_attached, program_names
from .declared import DeclaredMaps
from .descriptors import require_descriptors
from .open import open_bytes, require_digest
from .pinned_maps import taking_pinned_maps
from .skeleton_file import SkeletonFile
from .variables import Section, SectionOwner

if TYPE_CHECKING:
    from typing_extensions import Self

    from ..map.info import MapInfo
    from ..owner import ObjectPart
    from ..program.base import Program
    from .pinned_types import ObjectBtf

GIVE_PATH = "give the path of a file that this user may read"


class Object(SkeletonFile, BccPolling, SectionOwner):
    """A BPF object, from open to destroy; it owns its links, so the end of a `with` detaches all programs.

    Without a skeleton, libbpf finds `maps` and `progs`, with keys and values as bytes. `bpf["name"]` is a map, as with
    bcc.

    Any thread may use it, or destroy it while others use it: they get a StateError. A child of fork has its maps and
    programs, but no links: those stay the parent's, whatever the child does.
    """

    if TYPE_CHECKING:  # an instance's own; of the class, only their `open` may be used
        maps: Maps
    else:
        maps = DeclaredMaps()
    progs: Progs
    _data = b""  # the object's bytes, until it is loaded: they help to explain a refusal

    def __init__(self, handle: int):
        self._handle, self._load_tried, self._is_prepared, self._is_loaded = handle, False, False, False
        self._name, self._btf = type(self).__name__, BtfFile()
        self.lock = threading.RLock()  # hold it while libbpf has a pointer, so that no other thread frees that
        self.parts: list[ObjectPart] = []
        self._own_btf: ObjectBtf | None = None  # once a map that exists is compared with the declared one
        self._pin_folder = ""  # where load(pin=…) has pinned the maps
        self._not_created: frozenset[int] = frozenset()  # the maps without autocreate, by their struct bpf_map *
        self.links = Links(self)
        if not self.FILE:
            from .untyped import maps_of, programs_of

            self.maps, self.progs = maps_of(self), programs_of(self)
        call_after_fork(self)

    @classmethod
    def open(
        cls,
        source: str | os.PathLike[str] | bytes | None = None,
        *,
        btf: str | None = None,
        pin_root: str | None = None,
        kconfig: Mapping[str, str | int] | None = None,
        token: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Opens an object, by default the skeleton's file; any other source is a path or the bytes.

        `btf` is a file with the kernel's BTF, for a kernel without BTF. `pin_root` is the folder of maps pinned by name
        (by default /sys/fs/bpf). `kconfig` has values of `__kconfig` externs that override the kernel's own, such as
        {"CONFIG_HZ": 250, "CONFIG_BPF": "y"}. `token` is a BPF file system that delegates to this user namespace, of
        which libbpf takes a token for all that the object makes; "" keeps it from doing so of /sys/fs/bpf by itself
        (libbpf 1.5). Raises LibraryError, DigestError, ObjectError.
        """
        if cls.OBJECTS:
            require_arch(cls.FILE, cls.OBJECTS)
        path = cls._default_path() if source is None else source
        fix = cls._missing_fix(str(path)) if source is None else GIVE_PATH
        data = path if isinstance(path, bytes) else read_file(path, fix)
        if btf:
            read_file(btf, GIVE_PATH, 0)  # libbpf would fail at load only, with nothing but an errno
        packed = source is None and cls.MANIFEST and not btf
        where = "the object given" if isinstance(path, bytes) else os.fspath(path)
        if expected := cls.OBJECTS.get(this_arch()):  # the object was checked when its skeleton was generated
            require_digest(data, expected, where, packed=bool(cls.MANIFEST) and source is None)
        else:
            from ..elf import require_bpf_object
            from ..spec.vet import vet

            require_bpf_object(data, where)
            vet(data, where)
        name = cls.FILE or (cls.__name__ if isinstance(path, bytes) else os.path.basename(path))
        with DeferredSignals():
            types = BtfFile.packed(cls._folder(), cls.FILE, cls.MANIFEST) if packed else BtfFile(btf)
            try:
                return cls._from_handle(open_bytes(data, name, types.path, pin_root, kconfig, token), name, types, data)
            except BaseException:
                types.close()
                raise

    @classmethod
    def _from_handle(cls, handle: int, name: str, btf: BtfFile, data: bytes) -> Self:
        opened = cls.__new__(cls)
        opened._handle, opened._data = handle, data
        try:
            opened.__init__(handle)  # type: ignore[misc]
            opened._name, opened._btf = name, btf
        except BaseException:
            opened._handle = 0  # __del__ can't destroy an object of which half is missing; nothing is attached yet
            library().bpf_object__close(handle)
            raise
        return opened

    def _after_fork(self) -> None:
        """Replaces the lock, which a thread missing in the child may hold, and drops the links.

        The child's copies of the descriptors would keep the programs attached when the parent detaches them, and
        libbpf's way to end a link would disable perf events and remove tc filters of the parent.
        """
        self.lock = threading.RLock()
        for link in self.links:
            link._abandon()
        self.links._clear()

    @property
    def kernel_btf(self) -> str:
        """The BTF that CO-RE is resolved against: the kernel's own, the file given to open, or the package's."""
        return self._btf.shown

    @property
    def handle(self) -> int:
        """libbpf's struct bpf_object *. Raises StateError after destroy."""
        if not self._handle:
            raise StateError("the object is destroyed", fix="open it again")
        return self._handle

    def require_open(self, what: str) -> None:
        """Raises StateError unless `what` can still be set: after open and before load."""
        if self.handle and self._load_tried:
            raise StateError(f"{what} can't be changed after load", fix="set it between open and load")

    def require_loaded(self, what: str) -> None:
        """Raises StateError unless `what` exists: after load and before destroy."""
        if self.handle and not (self._is_loaded or self._is_prepared):
            raise StateError(f"{what} doesn't exist before load", fix="call load first")

    def find_map(self, name: str) -> int:
        """Returns libbpf's struct bpf_map * of that name. Raises CallError."""
        return cast(int, library().bpf_object__find_map_by_name(self.handle, name.encode()))

    def map_name(self, handle: int) -> str:
        """Returns the name of a map; of a data section all of it, of which libbpf has 15 characters for `.bss.NAME`."""
        name = str(library().bpf_map__name(handle).decode())
        if name.startswith(".bss.") and len(name) == NAME_LENGTH and self._data:
            from ..elf import Elf

            for section in Elf(self._data, self._name).sections:
                with contextlib.suppress(CallError):  # an empty section has no map
                    if section.name.startswith(name) and self.find_map(section.name) == handle:
                        return section.name
        return name

    def map_fd(self, handle: int) -> int:
        """Returns the descriptor of a map of the object; negative for one that was not created."""
        return -1 if handle in self._not_created else cast(int, library().bpf_map__fd(handle))

    def _notify_loaded(self) -> None:
        """Calls each part after load, and notes the maps without autocreate, for which libbpf may have descriptors."""
        for part in self.parts:
            if isinstance(part, Map) and not part.autocreate:
                self._not_created |= {part._bpf_map}
            else:
                part._loaded()

    def map_attribute(self, handle: int, name: str) -> Any:
        """Returns an attribute of a map of the object, by libbpf's name for it without `bpf_map__`."""
        return getattr(library(), f"bpf_map__{name}")(self.handle and handle)

    def map_difference(self, handle: int, info: MapInfo) -> str:
        """Names a member in which an existing map differs from the declared one; empty for none, or without BTF."""
        from .pinned_types import ObjectBtf

        self._own_btf = self._own_btf or ObjectBtf(self.handle)
        return self._own_btf.difference(self.handle and handle, info)

    def close_map(self, name: str) -> None:
        """Raises StateError: `destroy` closes all maps of an object."""
        raise StateError(f"the map {name} belongs to an object", fix="destroy the object, which closes its maps")

    def program_count(self, name: str) -> int | None:
        """Returns the value of a global variable of that name, or the sum of an array, per CPU or not; else None.

        Raises StateError if it can't be read now.
        """
        for section in self.parts:
            if isinstance(section, Section) and isinstance(vars(type(section)).get(name), Field):
                return _total(getattr(section, name))
        for part in self.parts:
            if getattr(part, "name", None) == name and hasattr(part, "values"):
                return sum(map(_total, part.values()))
        return None

    def select(self, programs: Iterable[str | Program]) -> None:
        """Selects the programs that `load` loads, given by name or as a Program.

        Raises KeyError for an unknown name, TypeError for what is no program, StateError after load.
        """
        wanted = set(program_names(self, self.progs, programs))
        for program in self.progs:
            program.autoload = program.name in wanted

    def prepare(self) -> None:
        """Creates the maps, without loading programs: fill them before `load`, or load clones (Program.clone).

        Settings can't be changed from then on. Needs libbpf 1.6. Raises what `load` does but for the verifier's.
        """
        with self.lock, DeferredSignals(), captured() as messages:
            self.require_open("what is prepared")
            self._require_descriptors()
            with taking_pinned_maps(self):
                self._load_tried = True
                try:
                    library().bpf_object__prepare(self.handle)
                except CallError as error:
                    raise self._refused(error, messages) from None
            self._is_prepared = True
            self._notify_loaded()

    def _require_descriptors(self) -> None:
        """Raises LoadError where there aren't enough descriptors left for the maps and programs."""
        wanted = sum(each.autoload for each in self.progs) + (0 if self._is_prepared else len(self.maps))
        require_descriptors(self.FILE or self._name, wanted)

    def _refused(self, error: CallError, messages: Iterable[str]) -> BpfError:
        from ..diagnose.refusal import load_refused

        logs = {program.name: program._log.text() for program in self.progs if program._log}
        name = self.FILE or self._name
        return load_refused(name, error, messages, self.handle, self._btf.path, self._data, logs, self._btf.kernels)

    def load(self, *, log_level: int = 0, pin: str | os.PathLike[str] | None = None) -> None:
        """Creates the maps and loads the selected programs, all or nothing.

        With a `log_level`, each program's `verifier_log` and `verifier` tell what the verifier did: 4 for its figures
        alone, 1 or 2 for its course as well, which slows it down.

        With `pin`, a folder of a BPF file system, the maps stay pinned in its `maps`, and those that an earlier start
        pinned there are used again; constants (.rodata) and maps with a pin of their own are left out. Raises MapError
        for a pinned map of another declaration, AttachError for a folder that can't be there.

        Raises VerifierError, MissingBtfError, LoadError, PrivilegeError, StateError; MapError for a map of another
        declaration where one pins itself (pin_path); LibraryError if libbpf is too old for a selected program. After a
        refusal, the object can only be destroyed.
        """
        if pin is not None:
            from .pins import load_pinned

            return load_pinned(self, os.path.abspath(pin), log_level)
        with self.lock, DeferredSignals(), captured() as messages:
            if self.handle and self._load_tried and not (self._is_prepared and not self._is_loaded):
                state = "is already loaded" if self._is_loaded else "was refused when it was loaded"
                raise StateError(f"the object {state}", fix="open it again to load it anew")
            for program in self.progs:
                if program.autoload:
                    section = program.section
                    require(libbpf_needed(section), f'SEC("{section}"), which {program.name} is')
                    if log_level:
                        program._keep_log(log_level)
            if self._data and any(isinstance(part, StructOpsMap) for part in self.parts):
                from .idle_tables import require_types_of_tables

                name = self.FILE or self._name
                require_types_of_tables([each for each in self.progs if each.autoload], self._data, name)
            self._require_descriptors()
            with contextlib.nullcontext() if self._is_prepared else taking_pinned_maps(self):
                self._load_tried = True
                try:
                    with without_repeated_signals():
                        library().bpf_object__load(self.handle)
                except CallError as error:
                    self._is_prepared = False
                    raise self._refused(error, messages) from None
            self._is_loaded, self._data = True, b""
            self._btf.close()
            if not self._is_prepared:
                self._notify_loaded()

    @AttachMethod
    def attach(self, *, pin: str | os.PathLike[str] | None = None) -> list[Link]:
        """Attaches each loaded program whose section has a target, and each struct_ops map; returns the new links.

        All or nothing; leaves out programs and maps whose `autoattach` is off. Programs of other sections (cgroup, XDP
        …) need their own attach. Raises as Program.attach does; AttachError if there are only programs of such sections
        and none of them is attached.

        With `pin`, the links stay pinned in that folder's `links`, beyond this process, and those that an earlier start
        pinned there are taken over: see Program.attach_pinned. The object is loaded with `load(pin=…)` first, if it
        isn't. Raises also what that does. On the class, `Execs.attach(pin=…)` opens and attaches in one (attach_class).
        """
        if pin is not None:
            from .pins import attach_pinned

            return attach_pinned(self, os.path.abspath(pin))
        links: list[Link] = []
        with self.lock, DeferredSignals():
            self.require_loaded("a link")
            try:
                for program in self.progs:
                    if program.autoload and program.autoattach and (link := program.attach_by_section()):
                        links.append(link)
                for part in self.parts:
                    if isinstance(part, StructOpsMap) and part.autoattach:
                        links.append(part.attach())
                if not links and (error := nothing_attached(self.progs, self.links)):
                    raise error
            except BaseException:
                for link in reversed(links):
                    link.detach()
                raise
        return links

    def destroy(self) -> None:
        """Detaches all links, unloads programs and maps; does nothing the second time, from any thread."""
        with self.lock, DeferredSignals(), contextlib.ExitStack() as stack:
            handle, self._handle = self._handle, 0
            stack.callback(self._btf.close)
            if handle:
                stack.callback(library().bpf_object__close, handle)
                for part in self.parts:
                    stack.callback(part._close)
                for link in self.links:
                    stack.callback(link.detach)

    close = destroy

    def __del__(self) -> None:
        """Destroys an object that nobody refers to, with a ResourceWarning, as a file does.

        Not while Python exits: the kernel frees everything then.
        """
        if getattr(self, "_handle", 0) and not sys.is_finalizing():
            try:
                warnings.warn(f"{self!r} was not destroyed", ResourceWarning, source=self, stacklevel=1)
            finally:  # where warnings are exceptions, too
                self.destroy()

    def __reduce__(self) -> Any:
        raise TypeError("a BPF object can't be pickled or copied: it belongs to this process")

    def __getitem__(self, name: str) -> Map:
        """Returns the map of that name. Raises KeyError."""
        return self.maps[name]

    def __repr__(self) -> str:
        state = "loaded" if self._is_loaded else "opened"
        return f"<{type(self).__name__} {self.FILE} {state if self._handle else 'destroyed'}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.destroy()


def _total(value: object) -> int:
    return sum(map(_total, value)) if isinstance(value, tuple) else int(value)  # type: ignore[call-overload]
