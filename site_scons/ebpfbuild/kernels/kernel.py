"""Holds a kernel that programs are checked against: its BTF, and what follows from its release."""

from collections.abc import Callable
from functools import cached_property

from ..btf.modules import Modules
from ..btf.reader import Btf
from ..btf.types import ENUMS, Kind, Type
from .problem import Problem
from .versions import version_of


class Kernel:
    """A kernel by the name that toolchain.toml gives it; `release` is its Linux, such as `6.1.192`, `arch` our name.

    One without BTF of its own has `btf` from elsewhere, for CO-RE alone. `read_modules` returns the modules that its
    package has, None where nothing tells; it is called for the first name that the kernel itself lacks.
    """

    def __init__(
        self,
        name: str,
        arch: str,
        release: str,
        btf: Btf,
        has_own_btf: bool = True,
        read_modules: Callable[[], Modules | None] = lambda: None,
    ):
        self.name, self.arch, self.release, self.btf = name, arch, release, btf
        self.has_own_btf, self._read_modules = has_own_btf, read_modules

    @cached_property
    def modules(self) -> Modules | None:
        """The kernel's modules; None where nothing tells."""
        return self._read_modules()

    def in_modules(self, name: str, *kinds: Kind, module: str = "") -> list[Type]:
        """Returns what modules, or one of them, have by a name."""
        return self.modules.named(name, *kinds, module=module) if self.modules else []

    @property
    def nowhere(self) -> str:
        """Says of what isn't there where that is."""
        return "in its vmlinux or its modules" if self.modules else "in its vmlinux; a module may have it"

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
        return _traced(typedef) if typedef else None

    def module_tracepoint(self, name: str) -> Type | None:
        """Returns the prototype of a module's tracepoint, as `tracepoint` does."""
        found = self.in_modules(f"btf_trace_{name}", Kind.TYPEDEF)
        return _traced(found[0]) if found else None

    def knows(self, enum: str, value: str, version: str) -> bool:
        """Returns True if an enum of linux/bpf.h has a value: what the kernel says itself, else by the release."""
        values = self._values(enum)
        return value in values if values else self.is_at_least(version)

    @property
    def count_of_helpers(self) -> int:
        """The number of the last helper that its BTF lists; 0 where it lists none."""
        values = self._values("bpf_func_id")
        return len(values) - 2 if "__BPF_FUNC_MAX_ID" in values else 0  # without BPF_FUNC_unspec and that one

    def _values(self, enum: str) -> frozenset[str]:
        if enum not in self._enums:
            found = self.btf.find(enum, *ENUMS)
            self._enums[enum] = frozenset(each.name for each in found.values) if found else frozenset()
        return self._enums[enum]

    @cached_property
    def _enums(self) -> dict[str, frozenset[str]]:
        return {}


def _traced(typedef: Type) -> Type | None:
    """Returns the prototype behind the typedef of a tracepoint."""
    btf = typedef.btf
    proto: Type = btf.resolve(btf.resolve(typedef.type).type)
    return proto if proto.kind == Kind.FUNC_PROTO else None


def module_problem(kind: str, what: str, found: Type) -> Problem:
    """Returns what can't be told of something that a module has: if that is loaded there."""
    module = found.btf.where
    fix = (f"modprobe {module}  // before the program is loaded",)
    return Problem(kind, what, f"the module {module} has it, which may not be loaded", fix, unsure=True)
