"""The method `attach` of an object, which its class has as well: `Execs.attach(pin=FOLDER)` opens the object first."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import MethodType
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

if TYPE_CHECKING:
    import os
    from typing import Protocol

    from ..link.base import Link
    from ..program.base import Program

    K = TypeVar("K", covariant=True)  # a class derived from Object

    class OnObject(Protocol):
        """`attach` of an object."""

        def __call__(self, *, pin: str | os.PathLike[str] | None = None) -> list[Link]: ...

    class OnClass(Protocol[K]):
        """`attach` of a class."""

        def __call__(
            self, *, pin: str | os.PathLike[str], programs: Iterable[str | Program] | None = None, **options: Any
        ) -> K: ...


class AttachMethod:
    """A descriptor: of an object it gives its function as a method, of a class `attach_class`."""

    def __init__(self, function: Callable[..., list[Link]]):
        self._function = function
        self.__doc__ = function.__doc__

    @overload
    def __get__(self, bpf: None, kind: type[K]) -> OnClass[K]: ...

    @overload
    def __get__(self, bpf: object, kind: type[object]) -> OnObject: ...

    def __get__(self, bpf: object, kind: type[Any]) -> Any:
        return MethodType(attach_class, kind) if bpf is None else MethodType(self._function, bpf)


def attach_class(
    kind: type[K], *, pin: str | os.PathLike[str], programs: Iterable[str | Program] | None = None, **options: Any
) -> K:
    """Opens an object of a class, takes over what an earlier start pinned in the folder, and attaches the rest there.

    `programs` are those to load, as `select` takes them, by default all; `options` go to `open`. Returns the object,
    whose links tell by `takeover` how each was come by. Raises what `open`, `select` and `attach(pin=…)` do, and leaves
    nothing behind then. Constants and sizes have to be set between open and load: then open it, and call
    `attach(pin=…)` of the object.
    """
    bpf: Any = cast(Any, kind).open(**options)
    try:
        if programs is not None:
            bpf.select(programs)
        bpf.attach(pin=pin)
    except BaseException:
        bpf.destroy()
        raise
    return cast("K", bpf)
