"""Picks the first of several ways to do a thing that this kernel takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from ..errors import RefusedError, VariantsError
from .bpf_object import Object

S = TypeVar("S", bound=Object)


class Choice(Generic[S]):
    """What `choose` found: the running object, the name of its variant, and why the ones before it were refused."""

    def __init__(self, object: S, variant: str, refused: dict[str, RefusedError]):
        self.object, self.variant, self.refused = object, variant, refused


def choose(open_object: Callable[[], S], variants: Mapping[str, Callable[[S], None]]) -> Choice[S]:
    """The first variant, in the mapping's order, that this kernel takes: its object, loaded and attached.

    A load is all or nothing, so each variant gets an object of its own from `open_object` and does with it all that
    may fail: chooses programs, sets constants, loads, attaches. One that raises RefusedError (the verifier, an attach
    type that the kernel lacks) is destroyed with all its links, and the next is tried. Other errors, such as missing
    root, would hit every variant: they destroy the object and are raised at once. Raises VariantsError when none works.

        def start(programs: list[str]) -> Callable[[SocketTracker], None]:
            def run(skel: SocketTracker) -> None:
                skel.select(programs)
                skel.rodata.target_pid = 42
                skel.load()
                skel.attach()
            return run

        choice = choose(SocketTracker.open, {"fentry": start([…]), "kprobe": start([…])})
        with choice.object as skel: …
    """
    refused: dict[str, RefusedError] = {}
    for name, start in variants.items():
        candidate = open_object()
        try:
            start(candidate)
        except RefusedError as error:
            candidate.destroy()
            refused[name] = error
        except BaseException:
            candidate.destroy()
            raise
        else:
            return Choice(candidate, name, refused)
    raise VariantsError(refused)
