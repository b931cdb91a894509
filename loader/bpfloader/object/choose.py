"""Chooses the first of several variants that this kernel accepts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from ..errors import RefusedError, VariantsError
from .bpf_object import Object

S = TypeVar("S", bound=Object)


class Choice(Generic[S]):
    """The result of `choose`: the running object, its variant's name, and the errors of the variants before it."""

    def __init__(self, object: S, variant: str, refused: dict[str, RefusedError]):
        self.object, self.variant, self.refused = object, variant, refused


def choose(open_object: Callable[[], S], variants: Mapping[str, Callable[[S], None]]) -> Choice[S]:
    """Runs the variants in order until the kernel accepts one, and returns its object, loaded and attached.

    A load is all or nothing, so each variant gets an object of its own from `open_object` and does all that may fail:
    selects programs, sets constants, loads, attaches. If it raises RefusedError (from the verifier, or for a missing
    attach type), its object is destroyed with all links, and the next variant runs. Other errors, such as missing
    root, would hit every variant: they destroy the object and are raised. Raises VariantsError if no variant works.

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
