"""SocketTracker, the generated skeleton: chooses the hooks that this kernel takes when it is opened."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any

from . import socket_tracker_skel
from .bpfloader import AttachError, Choice, Link, Program, RefusedError, StateError, attach_kind, choose, supports
from .bpfloader.errors import OTHER_KINDS

if TYPE_CHECKING:
    from typing_extensions import Self

    from .filters import Filters

# The cheapest first; each is a section's kind and the end of its programs' names.
VARIANTS = ("fentry", "kprobe", "tp_btf")


class SocketTracker(socket_tracker_skel.SocketTracker):
    """The tracker, from open to destroy. `variant` is the one of VARIANTS in use."""

    variant = VARIANTS[-1]

    @classmethod
    def open(cls, *arguments: Any, variant: str | None = None, **options: Any) -> Self:
        """Opens the tracker with the programs of `variant`: by default the first that this kernel attaches.

        The other arguments, and the errors, are those of bpfloader.Object.open.
        """
        opened = super().open(*arguments, **options)
        opened.use(variant or next(filter(supports, VARIANTS), VARIANTS[-1]))
        return opened

    def use(self, variant: str) -> None:
        """Selects the programs of one of VARIANTS for `load`. Raises StateError after it."""
        self.select(program.name for program in self.progs if program.name.endswith(f"_{variant}"))
        self.variant = variant

    def load(self, **options: Any) -> None:
        """Loads the variant's programs. Options and errors are those of bpfloader.Object.load; names other variants."""
        try:
            super().load(**options)
        except RefusedError as error:
            raise self._with_others(error) from None

    def attach(self, *, pin: str | os.PathLike[str] | None = None) -> list[Link]:
        """Attaches the variant's programs, all or none, and returns their links.

        Raises as bpfloader.Object.attach does, and RefusedError where cgroup v2 or tracefs are needed and can't be had;
        names the other variants. The programs of `tp_btf` have targets of their own: with `pin`, raises StateError.
        """
        if pin is not None and self.variant == "tp_btf":
            raise StateError("tp_btf: its links can't be pinned together; take Program.attach_pinned for each")
        try:
            return self._attach(pin)
        except RefusedError as error:
            raise self._with_others(error) from None

    def _with_others(self, error: RefusedError) -> RefusedError:
        one, other = (name for name in VARIANTS if name != self.variant)
        fix, words = f'try SocketTracker.open(variant="{one}"), or "{other}"', error.fix
        other_kind = next((each for each in OTHER_KINDS if each in words), "")
        error.fix = words.replace(other_kind, fix) if other_kind else "; or ".join(filter(None, (words, fix)))
        return error

    def _attach(self, pin: str | os.PathLike[str] | None = None) -> list[Link]:
        return self._attach_tp_btf() if self.variant == "tp_btf" else super().attach(pin=pin)

    def _attach_tp_btf(self) -> list[Link]:
        from .mounts import cgroup2_root, with_tracefs  # the other variants do without

        links: list[Link] = []
        try:
            cgroup = cgroup2_root()
            links += with_tracefs(lambda: _attach_any(self.progs.accept_tp_btf, self.progs.accept4_tp_btf))
            links.append(self.progs.send_tp_btf.attach(cgroup))
            links.append(self.progs.state_tp_btf.attach())
        except BaseException:
            for link in reversed(links):
                link.detach()
            raise
        return links


def _attach_any(*programs: Program) -> list[Link]:
    """Attaches the programs whose hook the kernel has: s390x has an accept4 system call and no accept."""
    links, refused = [], []
    for program in programs:
        try:
            links.append(program.attach())
        except AttachError as error:
            refused.append(error)
    if not links:
        raise refused[0]
    return links


def start(
    filters: Filters | None = None, variant: str | None = None, buffer: int | None = None
) -> Choice[SocketTracker]:
    """Returns the running tracker (`.object`), its `.variant`, and the errors of the variants that were `.refused`.

    SocketTracker.open only asks the kernel; this tries: a variant that fails to load or attach is followed by the next.
    `filters` limit the events, as far as the kernel can; `variant` is one of VARIANTS alone; `buffer` is the ring's
    size in bytes, which libbpf rounds up to a power of two. The caller destroys the object: use it in a `with`. Raises
    BpfError: ObjectError where the package holds no object for this machine, PrivilegeError, VariantsError …
    """

    def run(name: str, tracker: SocketTracker) -> None:
        if not variant and (kind := attach_kind(name)).ok is False:
            raise AttachError(kind.reason)  # takes a tenth of a load that is refused with a log
        tracker.use(name)
        if filters:
            filters.set(tracker.rodata)
        if buffer:
            tracker.maps.events.max_entries = buffer
        super(SocketTracker, tracker).load()
        tracker._attach()

    opened = partial(SocketTracker.open, variant=VARIANTS[0])  # any: `run` chooses, so open needn't ask the kernel
    return choose(opened, {name: partial(run, name) for name in ([variant] if variant else VARIANTS)})
