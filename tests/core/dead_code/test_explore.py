"""What of a program is dead: behind each form of a guard; and whatever runs is called reachable."""

import struct
from types import SimpleNamespace

import pytest
from ebpfbuild.btf.reader import Btf
from ebpfbuild.core_relo.patch import instructions
from ebpfbuild.core_relo.relocated import Relocated, read_ext, relocate
from ebpfbuild.dead_code.explore import Environment, Explorer
from ebpfbuild.dead_code.references import References
from ebpfbuild.dead_code.values import SOMEWHERE
from ebpfbuild.elf.reader import Elf
from ebpfbuild.spec.object import ObjectSpec, ProgramSpec
from hypothesis import given, settings
from hypothesis import strategies as st

HEAD = """#include "mini_bpf.h"
struct thing { long kept; long lost; long also_lost; } __core;
#define has(field) __builtin_preserve_field_info(field, 2)
extern int LINUX_KERNEL_VERSION __kconfig;
extern int CONFIG_UNKNOWN __kconfig __weak;
extern long a_kfunc(long) __ksym __weak;
static long (*bpf_loop)(__u32 nr, void *callback, void *ctx, __u64 flags) = (void *)181;
static long (*read_thing)(void *dst, __u32 size, const void *from) = (void *)113;
const volatile int is_new = 1;
const volatile int is_old = 0;
__attribute__((used)) __noinline long global(long x) { return x + 1; }
static __noinline int has_lost(struct thing *t) { return has(t->lost); }
static __noinline long choose(struct thing *t, int which) { return which ? t->lost : t->kept; }
static long callback(__u32 i, struct thing **t) { return (*t)->lost; }
#define PROGRAM(name) SEC("raw_tp/" #name) long name(struct thing *t)
"""
KERNEL = '#include "mini_bpf.h"\nstruct thing { long kept; } x SEC(".data");\n'
UNUSED = ("-Wno-unused",)
DEAD = {
    "exists": "return has(t->lost) ? t->lost : t->kept;",
    "both": "if (has(t->lost) && t->kept) return t->lost; return 0;",
    "negated": "if (!has(t->lost)) return t->kept; return t->lost + t->also_lost;",
    "function": "return has_lost(t) ? t->lost : t->kept;",
    "argument": "return choose(t, has(t->lost)) ;",
    "rodata": "if (is_old) return t->lost; return is_new ? t->kept : t->also_lost;",
    "version": "return LINUX_KERNEL_VERSION >= (6 << 16) + (5 << 8) ? t->lost : t->kept;",
    "kfunc": "return a_kfunc ? t->lost : t->kept;",
    "sum": "int n = has(t->lost) + 2 * has(t->kept) + 4; return n == 6 ? t->kept : t->lost;",
    "loop": "long n = 0; for (int i = 0; i < 4; i++) { n += t->kept; if (has(t->lost)) n += t->lost; } return n;",
    "enumerated": "switch (__builtin_preserve_field_info(t->kept, 1)) { case 4: return t->lost; case 8: return t->kept; } return t->also_lost;",
    "spilled": """long a = t->kept, b = a * 3, c = a * 5, d = a * 7, e = a * 11; int yes = has(t->lost);
        global(a); global(b); global(c); global(d); global(e); global(a ^ b ^ c ^ d ^ e);
        return yes ? t->lost : a + b + c + d + e;""",
}
ALIVE = {
    "unguarded": "return t->lost;",
    "other_way": "return has(t->lost) ? t->kept : t->lost;",
    "guards_another": "return has(t->kept) ? t->lost : 0;",
    "unknown_option": "return CONFIG_UNKNOWN ? t->lost : 0;",
    "only_sometimes": "int n = t->kept ? has(t->lost) : 1; return n ? t->lost : 0;",
    "through_call": "return choose(t, has(t->kept));",
    "in_callback": "return bpf_loop(3, callback, &t, 0);",
    "written_by_helper": "long n = 0; read_thing(&n, 8, t); return n ? t->lost : 0;",
    "written_by_callback": "long n = 0; bpf_loop(3, callback, &n, 0); return n ? t->also_lost : 0;",
}


def explorer_of(data: bytes, kernel: bytes, version=(6 << 16) + (1 << 8), ksyms=None):
    spec = ObjectSpec.from_bytes(data)
    functions = relocate(spec, read_ext(spec), Btf.parse(Elf.parse(kernel).section(".BTF").data, "", None))
    environment = Environment({"LINUX_KERNEL_VERSION": version}, {"a_kfunc": 0} if ksyms is None else ksyms)
    return Explorer(spec, functions, References(spec, functions), environment)


def lost(explorer, name: str) -> list[str]:
    """The relocations without a match that a program gets to."""
    number = next(n for n, each in enumerate(explorer.functions) if each.spec.name == name)
    places = explorer.explore(number).places
    poisoned = [(n, at, row) for n, each in enumerate(explorer.functions) for at, row in each.poisoned.items()]
    return [row.resolution.local.text for n, at, row in poisoned if (n, at) in places]


@pytest.fixture(scope="module", params=["bpfel", "bpfeb"])
def explorer(request, compile_bpf):
    programs = "".join(f"PROGRAM({name}) {{ {body} }}\n" for name, body in (DEAD | ALIVE).items())
    data = compile_bpf(HEAD + programs + 'char LICENSE[] SEC("license") = "GPL";\n', request.param)
    return explorer_of(data, compile_bpf(KERNEL, request.param))


@pytest.mark.parametrize("name", DEAD)
def test_what_a_guard_keeps_from_running_is_dead(explorer, name):
    assert any(each.poisoned for each in explorer.functions)
    assert lost(explorer, name) == []


@pytest.mark.parametrize("name", ALIVE)
def test_what_no_guard_of_its_own_keeps_is_reached(explorer, name):
    assert lost(explorer, name)


def test_a_newer_release_and_a_kfunc_that_is_there_bring_it_to_life(compile_bpf):
    bodies = {name: DEAD[name] for name in ("version", "kfunc")}
    source = HEAD + "".join(f"PROGRAM({name}) {{ {body} }}\n" for name, body in bodies.items())
    data, kernel = compile_bpf(source, flags=UNUSED), compile_bpf(KERNEL)
    newer = explorer_of(data, kernel, (6 << 16) + (6 << 8), {"a_kfunc": SOMEWHERE})
    assert [lost(newer, name) for name in bodies] == [["lost"], ["lost"]]
    unknown = explorer_of(data, kernel, ksyms={})
    assert lost(unknown, "kfunc") == ["lost"]


def test_the_arguments_that_are_read_and_as_what(compile_bpf):
    source = HEAD + """SEC("tp_btf/x") long x(unsigned long long *ctx)
{
	struct thing *second = (void *)ctx[1];
	return ctx[3] + second->kept;
}
"""
    found = explorer_of(compile_bpf(source, flags=UNUSED), compile_bpf(KERNEL))
    number = next(n for n, each in enumerate(found.functions) if each.spec.name == "x")
    assert found.explore(number).arguments == {1: {"thing"}, 3: set()}


def test_a_program_with_very_many_paths_ends_soon(compile_bpf):
    body = "long n = 0, x = t->kept;" + "".join(f"if (x & {1 << bit}) n += {bit * 7 + 1};" for bit in range(60))
    source = HEAD + f"PROGRAM(wide) {{ {body} return n == 12345 ? t->lost : n; }}\n"
    assert lost(explorer_of(compile_bpf(source, flags=UNUSED), compile_bpf(KERNEL)), "wide") == ["lost"]


# A machine of its own: registers r0 to r5, arithmetic and jumps as the instruction set's document has them.
OPERATIONS = {0x00: "+", 0x10: "-", 0x20: "*", 0x30: "/", 0x40: "|", 0x50: "&", 0x60: "<", 0x70: ">", 0x90: "%", 0xA0: "^", 0xB0: "=", 0xC0: "s"}
JUMPS = (0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0xA0, 0xB0, 0xC0, 0xD0)
REGISTER = st.integers(0, 5)
IMMEDIATE = st.one_of(st.integers(-3, 9), st.sampled_from([63, 64, 255, 1 << 30, -(1 << 31), (1 << 31) - 1]))
ALU_INSN = st.tuples(st.sampled_from([4, 7]), st.sampled_from(list(OPERATIONS)), st.booleans(), REGISTER, REGISTER, st.just(0), IMMEDIATE)
JUMP_INSN = st.tuples(st.sampled_from([5, 6]), st.sampled_from(JUMPS), st.booleans(), REGISTER, REGISTER, st.integers(0, 4), IMMEDIATE)
CODE = st.lists(st.one_of(ALU_INSN, JUMP_INSN), min_size=1, max_size=24)


def assembled(rows) -> bytes:
    """The rows, and six ends behind them, where any jump forward lands."""
    code = [struct.pack("<BBhi", kind | operation | (8 if register else 0), dst | (src if register else 0) << 4, off, 0 if register else imm)
            for kind, operation, register, dst, src, off, imm in rows]
    return b"".join(code) + struct.pack("<BBhi", 0x95, 0, 0, 0) * 6


def signed(n: int, bits: int) -> int:
    n %= 1 << bits
    return n - (1 << bits) if n >> (bits - 1) else n


def run(rows, registers: list[int]) -> set[int]:
    """The places that a run of the program gets to."""
    at, seen = 0, set()
    while at < len(rows):
        seen.add(at)
        kind, operation, register, dst, src, off, imm = rows[at]
        bits = 64 if kind in (5, 7) else 32
        size = 1 << bits
        a, b = registers[dst] % size, (registers[src] if register else imm) % size
        x, y = signed(a, bits), signed(b, bits)
        at += 1
        if kind in (4, 7):
            registers[dst] = {
                "+": lambda: a + b, "-": lambda: a - b, "*": lambda: a * b, "/": lambda: a // b if b else 0, "|": lambda: a | b, "&": lambda: a & b,
                "<": lambda: a << b % bits, ">": lambda: a >> b % bits, "%": lambda: a % b if b else a, "^": lambda: a ^ b, "=": lambda: b, "s": lambda: x >> b % bits,
            }[OPERATIONS[operation]]() % size
            continue
        taken = {0x10: a == b, 0x20: a > b, 0x30: a >= b, 0x40: bool(a & b), 0x50: a != b, 0x60: x > y, 0x70: x >= y, 0xA0: a < b, 0xB0: a <= b, 0xC0: x < y, 0xD0: x <= y}
        at += off if taken[operation] else 0
    return seen


@settings(max_examples=120, deadline=None)
@given(rows=CODE, start=st.lists(st.integers(0, (1 << 64) - 1), min_size=6, max_size=6))
def test_whatever_a_run_gets_to_is_called_reachable(rows, start):
    code = assembled(rows)
    function = Relocated(ProgramSpec("p", "x", "", 0, code, 0), instructions(code, True))
    elf = SimpleNamespace(little=True, sections=(), symbols=(), section=lambda name: None)
    spec = SimpleNamespace(elf=elf, data=(), kconfig=(), ksyms=())
    found = Explorer(spec, [function], References(spec, [function]), Environment({}, {})).explore(0)
    assert run(rows, list(start)) <= {place.at for place in found.places}


@settings(max_examples=60, deadline=None)
@given(code=st.binary(max_size=400))
def test_any_bytes_as_instructions_come_to_an_end(code):
    function = Relocated(ProgramSpec("p", "x", "", 0, code, 0), instructions(code, True))
    elf = SimpleNamespace(little=True, sections=(), symbols=(), section=lambda name: None)
    spec = SimpleNamespace(elf=elf, data=(), kconfig=(), ksyms=())
    Explorer(spec, [function], References(spec, [function]), Environment({}, {})).explore(0)
