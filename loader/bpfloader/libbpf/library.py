"""libbpf.so.1 through ctypes: finds it, and binds its functions as prototypes.py declares them.

The soname .so.1 keeps the declarations until 2.0. A call of a function younger than the installed libbpf raises
LibraryError.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import c_char_p
from functools import lru_cache
from typing import Any

from ..errors import LibraryError, StateError
from .prototypes import PROTOTYPES, Prototype, infallible

LIBRARY = "libbpf.so.1"
VARIABLE, SYSTEM, BUNDLED = "BPFLOADER_LIBBPF", "system", "bundled"
OLD_LIBRARY = "libbpf.so.0"  # of the versions before 1.0, whose functions differ


class Library:
    """libbpf's functions by their C names, each one raising CallError as its row in PROTOTYPES says."""

    def __init__(self, name: str):
        try:
            self._shared = ctypes.CDLL(name, use_errno=True)
        except OSError as error:
            raise _no_library(name, error) from None
        self.name = name
        self._rows = {row.name: row for row in PROTOTYPES}
        self.libbpf_version_string = self._bind(self._rows["libbpf_version_string"])  # it is libbpf

    def _bind(self, row: Prototype) -> Any:
        try:
            bound = getattr(self._shared, row.name)
        except AttributeError:
            if row.since == "1.0":
                raise LibraryError(f"{self.name} has no {row.name}", fix="install libbpf 1.0 or newer") from None
            return self._missing_function(row)
        bound.restype, bound.argtypes = row.result, row.arguments
        if row.convention is not infallible:
            bound.errcheck = row.convention
        return bound

    def _missing_function(self, row: Prototype) -> Callable[..., Any]:
        """Returns a stand-in for a function that this libbpf is too old for: calling it raises LibraryError."""

        def absent(*_: object) -> Any:
            raise LibraryError(f"libbpf {version()} has no {row.name}", fix=_newer(row.since))

        return absent

    def __getattr__(self, function: str) -> Any:
        """Binds and returns the function when it is first named: a program calls a few of them."""
        if function not in self._rows:
            raise AttributeError(f"{function} is not in bpfloader's table of libbpf functions")
        bound = self._bind(self._rows[function])
        setattr(self, function, bound)
        return bound


def _no_library(name: str, error: OSError) -> LibraryError:
    """Returns the error where there is no libbpf, or only one from before 1.0, or the package's own can't be loaded."""
    if "/" in name:
        fix = f"move the package, if its file system is mounted noexec, or take the system's: {VARIABLE}={SYSTEM}"
        return LibraryError(f"can't load {name}", fix=fix, details=(str(error),))
    try:
        old = ctypes.CDLL(OLD_LIBRARY)
    except OSError:
        fix = "install it: apt install libbpf1 (Debian, Ubuntu), dnf install libbpf (Fedora)"
        return LibraryError(f"can't load {name}", fix=fix, details=(str(error),))
    version = b"0.x"
    if hasattr(old, "libbpf_version_string"):  # since 0.6
        old.libbpf_version_string.restype = c_char_p
        version = old.libbpf_version_string().lstrip(b"v")
    what = f"can't load {name}: libbpf {version.decode()} (libbpf.so.0) is installed, which is too old"
    return LibraryError(what, fix="install libbpf 1.0 or newer", details=(str(error),))


_wanted = ""  # what use_libbpf was told


def use_libbpf(which: str) -> None:
    """Chooses a libbpf before the first use of one: "system", or "bundled" for the one in the loader's package.

    It goes before the environment's BPFLOADER_LIBBPF. Without either, the system's is taken or, where there is none
    that is new enough, the package's. Raises StateError once libbpf is loaded.
    """
    global _wanted
    if library.cache_info().currsize:
        what = f"libbpf is loaded already ({library().name})"
        raise StateError(what, fix="call use_libbpf before anything else of the loader")
    _wanted = _known(which, "use_libbpf")


@lru_cache(maxsize=1)
def library() -> Library:
    """Returns libbpf, loaded at the first call. Raises LibraryError where there is none, or one older than 1.0.

    DigestError for a package's own that isn't the one that was packed.
    """
    import os

    which = _wanted or _known(os.environ.get(VARIABLE, ""), VARIABLE)
    if which == BUNDLED:
        return _package_library(None)
    try:
        return Library(LIBRARY)
    except LibraryError as error:
        if which == SYSTEM:
            raise
        return _package_library(error)


def _known(which: str, where: str) -> str:
    """Returns a choice. Raises LibraryError for one that is none."""
    if which not in ("", SYSTEM, BUNDLED):
        raise LibraryError(f"{where}: there is no libbpf {which!r}", fix=f'choose "{SYSTEM}" or "{BUNDLED}"')
    return which


def _package_library(error: LibraryError | None) -> Library:
    """Returns the libbpf of the loader's package. Raises `error`, or another LibraryError, where it carries none."""
    from .bundled import bundled_library, verified_path

    own = bundled_library()
    if own is None:
        if error:
            raise error
        fix = f"build it with bundle_libbpf=True, or take the system's: {VARIABLE}={SYSTEM}"
        raise LibraryError("the package of this loader carries no libbpf for this machine", fix=fix)
    return Library(verified_path(own))


def version() -> str:
    """Returns libbpf's version as it states it, such as `1.1`. Raises LibraryError."""
    text: bytes = library().libbpf_version_string()
    return text.decode().removeprefix("v")


def require(since: str, what: str) -> None:
    """Raises LibraryError, which names both versions, if libbpf is older than `since` and so has no `what`."""
    if tuple(map(int, version().split(".")[:2])) < tuple(map(int, since.split("."))):
        raise LibraryError(f"libbpf {version()} has no {what}", fix=_newer(since))


def _newer(since: str) -> str:
    """Returns the next step where libbpf is too old: another one, or the package's own where it isn't in use."""
    from .bundled import bundled_library

    fix = f"install libbpf {since} or newer"
    own = bundled_library()
    return f"{fix}, or try the package's own: {VARIABLE}={BUNDLED}" if own and library().name != own.path else fix
