"""Reads a verifier's log: its reason, the line of the source, a hint."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from ..kernel.host import kernel_is_before, kernel_release
from ..kernel.versions import helpers, version_of
from .verifier_report import SourceLocation, VerifierReport, read_report

# Printed after the reason, whatever that was (print_verification_stats in kernel/bpf/verifier.c).
STATISTICS = re.compile(r"processed \d+ insns|verification time|stack depth|max_states|insns processed|mark_precise")
# An instruction, a state, where paths meet, what is known of arguments: the log's course, not its verdict.
COURSE = re.compile(
    r"^(\d+: |from \d+ to \d+|last_idx|regs=|parent |propagating|; |cur state|old state|func#\d+ @|R\d+(_\w+)?=|"
    r"func '\w+' arg\d+ has btf_id|arg#\d+ reference type)"
)
# A conditional jump whose line newer kernels end only with their next message.
JUMP = re.compile(r"^(\d+: \([0-9a-f]{2}\) (?:if .* |may_goto |)goto pc[+-]\d+) +(?!; R\d|; refs|\s)(.+)$")
JUMP_BACK = re.compile(r"^(\d+): \(.*goto pc-\d+")
STATE = re.compile(r"^(cur state|old state|\d+: R\d|from \d+ to|R\d+(_\w+)?=|last_idx|regs=|parent |func '|arg#)")
RELATED_INSTRUCTION = re.compile(r"detected at insn (\d+)|alloc_insn=(\d+)")  # the instruction that the reason is about
RECENT_LINES = 2000  # lines at a log's end
LOOP_ROUNDS = 3  # an instruction that stands there so often is in a loop
SOURCE = re.compile(r"^; (?P<text>.*?)(?: @ (?P<place>[^@]+:\d+))?$")
NEED_PERFMON = "without CAP_PERFMON the verifier allows no such use of pointers: give the process CAP_PERFMON"
CHECK_NULL = "check the pointer against NULL first, on every path to this line"
CHECK_BOUNDS = "check the index or length against a constant right before its use"

# The verifier's reasons in the kernel's own words (kernel/bpf/verifier.c, 5.4 to 6.18), and the usual way out.
HINTS = tuple((re.compile(pattern), hint) for pattern, hint in (
    (r"back-edge|infinite loop|unreachable loop",
     "give the loop a bound that is a constant (bpf_for and bpf_loop take large ones)"),
    (r"program is too large|too many instructions|The sequence of \d+ jumps is too complex|too complex",
     "make it do less: fewer branches, bpf_loop or bpf_for for loops, global functions (not static), tail calls"),
    (r"mem access '\w*_or_null'|Possibly NULL pointer|NULL pointer passed", CHECK_NULL),
    (r"type=\w*_or_null expected=", CHECK_NULL),
    (r"mem access '(scalar|inv)'",
     "this is a number to the verifier: read kernel memory with BPF_CORE_READ or bpf_probe_read_kernel, "
     "a user's with bpf_probe_read_user"),
    (r"mem access '(fp|ctx|pkt_end|map_ptr|\w+)'", "a pointer of that kind can't be used to read or write there"),
    (r"off(set)? \(?-(51[3-9]|5[2-9]\d|[6-9]\d\d|\d{4,})|off=-(51[3-9]|5[2-9]\d|[6-9]\d\d|\d{4,})|combined stack size",
     "the stack has 512 bytes: keep large variables in a per-CPU array map"),
    (r"invalid (indirect )?(access|read) (to|from) (variable-offset )?(the )?stack|invalid read from stack|"
     r"invalid indirect read from stack",
     "initialise all of the variable first, its padding too: `= {}` or memset"),
    (r"invalid access to packet|outside of the packet",
     "compare data + length with data_end right before the access"),
    (r"unbounded (min|memory|max)|min value is (negative|outside)|max value is outside|unbounded variable-offset|"
     r"outside of the (allowed memory range|array range)|invalid access to m(ap value|emory)", CHECK_BOUNDS),
    (r"Unreleased reference|reference leak|unreleased reference|would lead to reference leak",
     "release it on every path: bpf_ringbuf_submit or _discard, bpf_sk_release, bpf_spin_unlock …"),
    (r"lock is still held|function calls are not allowed while holding a lock|bpf_spin_unlock is missing",
     "unlock before calling or returning"),
    (r"R0 !read_ok", "return a value on every path"),
    (r"R\d !read_ok", "a value is used that was never set: initialise it, and pass all arguments of the call"),
    (r"misaligned", "copy it with __builtin_memcpy, or align its struct and offset"),
    (r"GPL-restricted|GPL compatible",
     'that needs a licence that the kernel counts as GPL: char LICENSE[] SEC("license") = "GPL";'),
    (r"(R0|return value|At program exit).*(should have been|has unknown scalar)|At program exit the register R0",
     "return only what the hook allows, as the log states it"),
    (r"invalid bpf_context access",
     "that program type may not use that field of its context: check the struct, its size and the section"),
    (r"dereference of modified ctx|modified ctx ptr", "use the context's fields by their constant offsets only"),
    (r"is not modifiable",
     "fmod_ret takes functions that the kernel lets be modified: those named security_, and where it was built with "
     "CONFIG_FUNCTION_ERROR_INJECTION those of /sys/kernel/debug/error_injection/list; see it with fexit instead"),
    (r"doesn't have \d+\S* argument",
     "this kernel's function or tracepoint has fewer arguments: see `inspect` and its BTF"),
    (r"prohibited for !root|leaks addr|pointer comparison prohibited|pointer arithmetic .* prohibited", NEED_PERFMON),
    (r"only read is supported", "the kernel's structs can be read by programs, not written"),
    (r"write into map forbidden|cannot write into|write to rdonly|read-only",
     "that memory is read-only: constants (.rodata) and maps with BPF_F_RDONLY_PROG can't be written by programs"),
    (r"unreachable insn", "some code can't be reached, as after a __builtin_unreachable: remove it"),
    (r"last insn is not an exit|falls through",
     "end the function with a return (a shift or index that is undefined drops it)"),
    (r"call stack of \d+ frames is too deep|too many (nested )?calls|calls is too deep", "nest at most 8 functions"),
    (r"ot sleepable|sleepable program|only.* sleepable|in a sleepable|non-sleepable",
     "sleeping is for sections that end in .s, such as fentry.s and lsm.s, and for hooks that allow it"),
    (r"must be referenced or trusted|is not a trusted|trusted arg",
     "take the pointer from the hook's arguments or a kfunc that acquires it, not from memory read by hand"),
    (r"kernel function \S+ is not allowed|calling kernel function",
     "this program type may not call that kfunc, or the kernel lacks it"),
    (r"R\d+ type=\w+ expected=", "the call wants another kind of pointer for that argument, as the line states"),
))  # fmt: skip
HELPER = re.compile(r"(?:cannot use helper|unknown func) (?:bpf_)?(\w+)#(\d+)|invalid func unknown#(\d+)")


TOO_LARGE = "BPF program is too large"
IN_A_LOOP = ", in a loop without a bound, or with a large one"
BOUND_IT = "give the loop a small constant for a bound, or leave it to the kernel: bpf_for, bpf_loop"


class Diagnosis(NamedTuple):
    """The verifier's reason, its source line (empty if unknown), a hint (empty if none fits).

    `shown` are the lines of a loop to show, each once, without the registers; empty to show the log's end.
    """

    reason: str
    source: str
    hint: str
    shown: tuple[str, ...] = ()


def diagnose_log(log: tuple[str, ...]) -> Diagnosis:
    """Reads a log: the report that Linux 7.3 ends it with, else, and for what that lacks, its last lines."""
    report = read_report(log[-RECENT_LINES:])
    if not report:
        return _scan(log)
    before = max(0, len(log) - RECENT_LINES)
    course = (*log[: before + report.begins], *log[before + report.ends :])
    scan = _scan(course)
    return Diagnosis(
        report.reason or scan.reason,
        _source_of_report(report, course) or scan.source,
        report.suggestion or scan.hint,
    )


def states_anything(log: Sequence[str]) -> bool:
    """Returns True if the verifier states something in a log: it holds statistics alone if no program was checked."""
    return any(line.strip() and not STATISTICS.search(line) for line in log)


def _source_of_report(report: VerifierReport, course: Sequence[str]) -> str:
    """Returns a report's source line; where it names only the instruction, the log's line for that."""
    at = report.location
    return str(at) or (_source_of(course, at.instruction) if at.instruction >= 0 else "")


def _scan(log: tuple[str, ...]) -> Diagnosis:
    """Takes the last line that states something for the reason, as the logs of kernels before 7.3 end with it."""
    recent = [part for line in log[-RECENT_LINES:] for part in _split_jump(line)]
    index = next((i for i in range(len(recent) - 1, -1, -1) if _states_a_reason(recent[i])), len(recent))
    reason = recent[index].strip() if index < len(recent) else ""
    around = "\n".join(recent[max(0, index - 2) : index + 2])
    hint = _helper_hint(around) or _hint_for(reason) or _hint_for(around)
    if TOO_LARGE in reason and (jump := _loop_jump(recent)):
        return Diagnosis(reason + IN_A_LOOP, _source_of(log, jump), BOUND_IT, _loop_body(recent))
    related = RELATED_INSTRUCTION.search(around)
    source = _source_of(log, int(related[1] or related[2])) if related else ""
    shown = _loop_body(recent) if "infinite loop" in reason else ()
    return Diagnosis(reason, source or _source(recent[:index]), hint, shown)


def _split_jump(line: str) -> list[str]:
    """Splits a line into the jump and what the kernel went on to say on it."""
    found = JUMP.match(line)
    return [found[1], found[2]] if found else [line]


def _states_a_reason(line: str) -> bool:
    return bool(line.strip()) and not STATISTICS.search(line) and not COURSE.match(line)


def _source(lines: Sequence[str]) -> str:
    """Returns the last source line of the log, with its file and line where the log has them (see source_places.py)."""
    for line in reversed(lines):
        found = SOURCE.match(line)
        if found and (found["text"] or found["place"]):
            return str(SourceLocation(found["text"].strip(), found["place"] or ""))
    return ""


def _source_of(log: Sequence[str], instruction: int) -> str:
    """Returns the source line of an instruction: the last one before the log first comes to it."""
    begin = f"{instruction}: ("
    index = next((i for i, line in enumerate(log) if line.startswith(begin)), 0)
    return _source([part for line in log[max(0, index - RECENT_LINES) : index] for part in _split_jump(line)])


def _loop_jump(lines: Sequence[str]) -> int:
    """Returns the jump back of the loop at the log's end; 0 if there is none."""
    jumps = [int(found[1]) for found in map(JUMP_BACK.match, lines) if found]
    return jumps[-1] if jumps and jumps.count(jumps[-1]) >= LOOP_ROUNDS else 0


def _loop_body(lines: Sequence[str]) -> tuple[str, ...]:
    """Drops the registers' states and keeps the last of each instruction and source line."""
    bare = [re.sub(r"\s+; (R\d|refs).*$", "", line) for line in lines if not STATE.match(line)]
    return tuple(reversed(dict.fromkeys(reversed(bare))))


def _hint_for(text: str) -> str:
    return next((hint for pattern, hint in HINTS if pattern.search(text)), "")


def _helper_hint(text: str) -> str:
    """Returns the hint for a helper that this kernel, or this program type, doesn't have."""
    found = HELPER.search(text)
    if not found:
        return ""
    known = {helper.number: helper for helper in helpers()}.get(int(found[2] or found[3]))
    if not known:
        return f"this kernel ({kernel_release()}) doesn't have that helper"
    return too_old_hint(f"the helper bpf_{known.name}", known.kernel) or (
        f"programs of this type may not call bpf_{known.name} on this kernel: "
        "`python -m bpfloader probe` lists what may"
    )


def too_old_hint(what: str, needs: str) -> str:
    """Returns the hint for a feature of a later kernel than this one; empty if this one should have it."""
    if not version_of(needs)[0] or not kernel_is_before(needs):
        return ""
    return f"{what} came with Linux {needs}, this is {kernel_release()}"
