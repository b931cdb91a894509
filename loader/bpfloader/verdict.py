"""Reads a verifier's log: what it objects to, at which line of the source, and what helps against that."""

from __future__ import annotations

import re
from typing import NamedTuple

from .features import helpers, version_of
from .host import kernel_is_before, kernel_release

# What the verifier prints after its reason, whatever that was (print_verification_stats in kernel/bpf/verifier.c).
STATISTICS = re.compile(r"processed \d+ insns|verification time|stack depth|max_states|insns processed|mark_precise")
# An instruction, a state, where paths meet: the log's course, not its verdict.
COURSE = re.compile(
    r"^(\d+: |from \d+ to \d+|last_idx|regs=|parent |propagating|; |cur state|old state|func#\d+ @|R\d+(_\w+)?=)"
)
SOURCE = re.compile(r"^; (?P<text>.*?)(?: @ (?P<place>\S+:\d+))?$")
RESTRICTED = "without CAP_PERFMON the verifier allows no such use of pointers: give the process CAP_PERFMON"
NULL = "check the pointer against NULL first, on every path to this line"
BOUNDS = "check the index or length against a constant right before its use"

# What the verifier says, by the kernel's own wording (kernel/bpf/verifier.c, 5.4 to 6.18), and the usual way out.
HINTS = tuple((re.compile(pattern), hint) for pattern, hint in (
    (r"back-edge|infinite loop|unreachable loop",
     "give the loop a bound that is a constant (bpf_for and bpf_loop take large ones)"),
    (r"program is too large|too many instructions|The sequence of \d+ jumps is too complex|too complex",
     "make it do less: fewer branches, bpf_loop or bpf_for for loops, global functions (not static), tail calls"),
    (r"mem access '\w*_or_null'|Possibly NULL pointer|NULL pointer passed", NULL),
    (r"type=\w*_or_null expected=", NULL),
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
     r"outside of the (allowed memory range|array range)|invalid access to m(ap value|emory)", BOUNDS),
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
    (r"doesn't have \d+\S* argument",
     "this kernel's function or tracepoint has fewer arguments: see `inspect` and its BTF"),
    (r"prohibited for !root|leaks addr|pointer comparison prohibited|pointer arithmetic .* prohibited", RESTRICTED),
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


class Verdict(NamedTuple):
    """The verifier's reason, the source line before it (empty if not told), and a hint (empty if none fits)."""

    reason: str
    source: str
    hint: str


def verdict(log: tuple[str, ...]) -> Verdict:
    """What a verifier's log comes to."""
    reason, place = "", len(log)
    for place in range(len(log) - 1, -1, -1):
        line = log[place].strip()
        if line and not STATISTICS.search(line) and not COURSE.match(line):
            reason = line
            break
    tail = "\n".join(log[max(0, place - 2) : place + 2])
    return Verdict(reason, _source(log[:place] if reason else log), _helper(tail) or _hint(reason) or _hint(tail))


def _source(log: tuple[str, ...]) -> str:
    """The source line that the log shows last, with its file and line where the kernel tells them (6.9 and newer)."""
    for line in reversed(log[-2000:]):
        found = SOURCE.match(line)
        if found and found["text"]:
            return f"`{found['text'].strip()}`" + (f" ({found['place']})" if found["place"] else "")
    return ""


def _hint(text: str) -> str:
    return next((hint for pattern, hint in HINTS if pattern.search(text)), "")


def _helper(text: str) -> str:
    """The hint for a helper that this kernel, or this program type, doesn't have."""
    found = HELPER.search(text)
    if not found:
        return ""
    known = {helper.number: helper for helper in helpers()}.get(int(found[2] or found[3]))
    if not known:
        return f"this kernel ({kernel_release()}) doesn't have that helper"
    return too_old(f"the helper bpf_{known.name}", known.kernel) or (
        f"programs of this type may not call bpf_{known.name} on this kernel: `python -m bpfloader probe` lists what may"
    )


def too_old(what: str, needs: str) -> str:
    """The hint for a feature that came with a later kernel than this one; empty if this one should have it."""
    if not version_of(needs)[0] or not kernel_is_before(needs):
        return ""
    return f"{what} came with Linux {needs}, this is {kernel_release()}"
