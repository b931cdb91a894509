"""Checks all programs of an object against kernels: relocations, targets, symbols, and what the kernel has to know."""

from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from ..btf.ext import BtfExt, CoreKind, core_type_name
from ..core_relo.patch import LDX
from ..core_relo.relocated import Applied, Relocated, read_ext, relocate
from ..dead_code.explore import Environment, Explorer, Place, Reached
from ..dead_code.references import References
from ..elf.reader import INSN_SIZE
from ..spec.object import Extern, ObjectSpec, ProgramSpec
from ..spec.sections import TEXT
from .kernel import Kernel
from .missing import missing
from .needs import helper_problem, instruction_problem, map_problems, program_problems
from .options import option_problems
from .problem import Problem, ProgramResult
from .symbols import ksym_values, missing_symbol, symbol_problems
from .targets import plain_read_problem, target_problems

CALL_OPCODE = 0x85
# The contexts of linux/bpf.h that have pointers (__bpf_md_ptr): 8 bytes on any kernel, as the verifier wants them read.
CONTEXTS = frozenset((
    "__sk_buff", "bpf_sk_lookup", "bpf_sock_addr", "bpf_sock_ops", "bpf_sockopt", "sk_msg_md", "sk_reuseport_md",
))  # fmt: skip


class ObjectCheck:
    """An object that is checked against one kernel after the other.

    Kernels on which the same instructions are reached share one walk: offsets of fields don't decide any jump.
    """

    def __init__(self, spec: ObjectSpec):
        self.spec = spec
        self._ext: BtfExt = read_ext(spec)
        rows = self._ext.lines
        self._lines = sorted((row.section, row.offset, f"{row.file.removeprefix('./')}:{row.line}") for row in rows)
        self._references: References | None = None
        self._reached: dict[object, Reached] = {}

    def on(self, kernel: Kernel) -> list[ProgramResult]:
        """Returns the results of all programs on a kernel, in the object's order."""
        functions = relocate(self.spec, self._ext, kernel.btf)
        if self._references is None:
            self._references = References(self.spec, functions)
        shared = [*map_problems(self.spec, kernel), *symbol_problems(self.spec, kernel), *self._refused(functions)]
        options = {"LINUX_KERNEL_VERSION": kernel.version_code} if kernel.version_code else {}
        environment = Environment(options, ksym_values(self.spec, kernel))
        relocations = _Relocations.of(functions, kernel)
        explorer = Explorer(self.spec, functions, self._references, environment)
        return [
            self._program(number, explorer, relocations, kernel, shared)
            for number, function in enumerate(functions)
            if function.spec.section != TEXT
        ]

    def _refused(self, functions: list[Relocated]) -> Iterator[Problem]:
        """Yields the relocations for which libbpf refuses the whole object, of the programs that it loads."""
        for function in functions:
            for each in function.applied if function.spec.autoload else ():
                if each.refusal:
                    what = f"{function.spec.name}: {_asked(each)}"
                    yield Problem("relocation", what, each.refusal, (), self._line(function.spec, each.at))

    def _program(
        self, number: int, explorer: Explorer, relocations: "_Relocations", kernel: Kernel, shared: list[Problem]
    ) -> ProgramResult:
        program = explorer.functions[number].spec
        reached = self._reach(number, explorer, relocations)
        own = [*program_problems(program, kernel), *option_problems(program, kernel)]
        own += target_problems(program, kernel, reached.arguments)
        problems = [each._replace(line=self._line(program, 0)) for each in own]
        problems += self._code_problems(reached, explorer, relocations, kernel)
        problems += self._plain_reads(program, reached, explorer, kernel)
        if not program.autoload:
            problems = list(map(Problem.unless_asked, problems))
        guards = self._guards(reached, relocations)
        return ProgramResult(program.name, kernel.name, tuple(dict.fromkeys([*shared, *problems])), guards)

    def _reach(self, number: int, explorer: Explorer, relocations: "_Relocations") -> Reached:
        """Returns what a program gets to, from an earlier walk where nothing that decides a jump is another."""
        symbols, options = explorer.environment.ksyms, explorer.environment.kconfig if self.spec.kconfig else {}
        key = number, relocations.deciding, tuple(symbols.items()), tuple(options.items())
        if key not in self._reached:
            self._reached[key] = explorer.explore(number)
        return self._reached[key]

    def _code_problems(
        self, reached: Reached, explorer: Explorer, relocations: "_Relocations", kernel: Kernel
    ) -> Iterator[Problem]:
        externs = {each.name: each for each in self.spec.ksyms if each.function and each.weak}
        for place in sorted(reached.places):
            function = explorer.functions[place.function]
            lost = relocations.poisoned[place.function].get(place.at)
            if lost:
                yield self._lost(lost, function.spec, kernel)
                continue
            if narrow := relocations.narrowed[place.function].get(place.at):
                yield _narrow_read(narrow, self._line(function.spec, place.at))
            insn = function.code[place.at]
            if insn.code != CALL_OPCODE:
                problem = instruction_problem(insn, kernel, "")
            elif insn.src == 0:
                problem = helper_problem(insn.imm, kernel, "")
            else:
                problem = self._kfunc_problem(place, explorer, externs, kernel)
            if problem:
                yield problem._replace(line=self._line(function.spec, place.at))

    def _plain_reads(
        self, program: ProgramSpec, reached: Reached, explorer: Explorer, kernel: Kernel
    ) -> Iterator[Problem]:
        for place, (number, offset) in sorted(reached.plain.items()):
            line = self._line(explorer.functions[place.function].spec, place.at)
            problem = plain_read_problem(program, kernel, number, offset, line)
            if problem:
                yield problem

    def _kfunc_problem(
        self, place: Place, explorer: Explorer, externs: dict[str, Extern], kernel: Kernel
    ) -> Problem | None:
        reference = explorer.reference(place.function, place.at)
        extern = externs.get(reference.name) if reference else None
        if extern is None or explorer.environment.ksyms.get(extern.name) != 0:
            return None
        return missing_symbol(self.spec, extern, kernel)

    def _lost(self, lost: Applied, program: ProgramSpec, kernel: Kernel) -> Problem:
        line, access = self._line(program, lost.at), lost.resolution.local
        if lost.resolution.misfit and access:
            there = "the field has another size there, and a signed one or a struct can't be read by that"
            fix = (f"BPF_CORE_READ(x, {access.text})  // or bpf_core_read() of bpf_core_field_size() bytes",)
            return Problem("field", _asked(lost), there, fix, line)
        assert access  # what can't be read at all is refused
        return missing(access, kernel, line)

    def _guards(self, reached: Reached, relocations: "_Relocations") -> tuple[str, ...]:
        """Returns the relocations without a match in the functions that a program gets to, which it doesn't get to."""
        entered = {place.function for place in reached.places}
        return tuple(
            dict.fromkeys(
                _asked(each)
                for number in sorted(entered)
                for each in relocations.poisoned[number].values()
                if Place(number, each.at) not in reached.places
            )
        )

    def _line(self, program: ProgramSpec, at: int) -> str:
        """Returns the source line of an instruction, as `x.bpf.c:12`; empty where the object doesn't tell."""
        place = program.section, program.offset + at * INSN_SIZE
        index = bisect_right(self._lines, place, key=lambda row: row[:2]) - 1
        return self._lines[index][2] if index >= 0 and self._lines[index][0] == program.section else ""


class _Relocations(NamedTuple):
    """What all programs of an object ask of its relocations for one kernel, by function and instruction.

    `poisoned` have no match there, `narrowed` are loads of a context's pointers; `deciding` may decide jumps.
    """

    poisoned: list[dict[int, Applied]]
    narrowed: list[dict[int, Applied]]
    deciding: tuple[int, ...]

    @classmethod
    def of(cls, functions: list[Relocated], kernel: Kernel) -> "_Relocations":
        """Reads the functions' relocations."""
        return cls(
            [each.poisoned for each in functions],
            [_narrowed(each) if kernel.btf.pointer == 4 else {} for each in functions],
            tuple(_deciding(each) for function in functions for each in function.applied if each.patch),
        )


def _narrowed(function: Relocated) -> dict[int, Applied]:
    """Returns the loads of a context's pointers that libbpf makes as wide as a pointer of a 32-bit kernel."""
    return {
        each.at: each
        for each in function.applied
        if (access := each.resolution.local) and access.root.name in CONTEXTS and function.code[each.at].kind == LDX
        if (old := each.resolution.old) and (new := each.resolution.new) and old.size != new.size
    }


def _narrow_read(each: Applied, line: str) -> Problem:
    access = each.resolution.local
    assert access
    there = "CO-RE makes it a load of 4 bytes, a pointer's size there; the verifier wants all 8 of a context's"
    fix = (f"*(void **)((void *)ctx + __builtin_offsetof(struct {access.root.name}, {access.text}))  // as everywhere",)
    return Problem("field", _asked(each), there, fix, line)


def _deciding(each: Applied) -> int:
    """Returns what may decide a jump: the value of a relocation that is no offset; -1 for one without a match."""
    if each.patch is None or each.patch.poisoned:
        return -1
    return 0 if each.resolution.relocation.kind == CoreKind.FIELD_BYTE_OFFSET else each.patch.new


def _asked(each: Applied) -> str:
    """Writes what a relocation asks for, as `struct sock: sk_rcvbuf`."""
    access = each.resolution.local
    if access is None:
        return f"relocation {each.number}"
    root = core_type_name(access.root.btf, access.root.id)
    return f"{root}: {access.text}" if access.text else root
