"""Holds a kernel that programs are checked against: its BTF, and what follows from its release."""

from functools import cached_property

from ..btf.reader import Btf
from ..btf.types import ENUMS, Kind, Type
from .versions import version_of


class Kernel:
    """A kernel by the name that toolchain.toml gives it; `release` is its Linux, such as `6.1.192`, `arch` our name.

    One without BTF of its own has `btf` from elsewhere, for CO-RE alone.
    """

    def __init__(self, name: str, arch: str, release: str, btf: Btf, has_own_btf: bool = True):
        self.name, self.arch, self.release, self.btf = name, arch, release, btf
        self.has_own_btf = has_own_btf

    @cached_property
    def version(self) -> tuple[int, int]:
        """The release's first two numbers; (0, 0) where it isn't known."""
        return version_of(self.release)

    @cached_property
    def version_code(self) -> int:
        """LINUX_KERNEL_VERSION as libbpf gives it to programs; 0 where it isn't known."""
        numbers = [int("".join(filter(str.isdigit, part)) or 0) for part in self.release.split("-")[0].split(".")[:3]]
        first, second, third = (numbers + [0, 0, 0])[:3]
        return (first << 16) + (second << 8) + min(third, 255)

    def is_at_least(self, version: str) -> bool:
        """Returns True unless the release is known to be older."""
        return self.version == (0, 0) or self.version >= version_of(version)

    def function(self, name: str) -> Type | None:
        """Returns the function of that name."""
        return self.btf.find(name, Kind.FUNC)

    def tracepoint(self, name: str) -> Type | None:
        """Returns the prototype of a tracepoint, whose first parameter isn't the program's; None for no such one."""
        typedef = self.btf.find(f"btf_trace_{name}", Kind.TYPEDEF)
        pointer = self.btf.resolve(typedef.type) if typedef else None
        proto = self.btf.resolve(pointer.type) if pointer else None
        return proto if proto and proto.kind == Kind.FUNC_PROTO else None

    def knows(self, enum: str, value: str, version: str) -> bool:
        """Returns True if an enum of linux/bpf.h has a value: what the kernel says itself, else by the release."""
        values = self._values(enum)
        return value in values if values else self.is_at_least(version)

    def _values(self, enum: str) -> frozenset[str]:
        if enum not in self._enums:
            found = self.btf.find(enum, *ENUMS)
            self._enums[enum] = frozenset(each.name for each in found.values) if found else frozenset()
        return self._enums[enum]

    @cached_property
    def _enums(self) -> dict[str, frozenset[str]]:
        return {}
