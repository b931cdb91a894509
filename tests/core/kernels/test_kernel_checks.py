"""Programs against kernels made by the compiler: each kind of failure found, with its line, what is there, since when and a fix that works."""

import pytest
from btfwriter import assemble, info
from ebpfbuild.btf.modules import ModuleBtf, Modules
from ebpfbuild.btf.reader import Btf
from ebpfbuild.btf.types import Kind
from ebpfbuild.elf.reader import Elf
from ebpfbuild.kernels import as_json, baseline, text
from ebpfbuild.kernels.kernel import Kernel
from ebpfbuild.kernels.matrix import check
from ebpfbuild.kernels.problem import Verdict
from ebpfbuild.spec.object import ObjectSpec
from ebpfbuild.errors import KernelCheckError

# What moved in Linux: task_struct.state (5.14), mm_struct.rss_stat (6.2), request_queue (5.15), inet_csk_accept (6.10).
KERNEL = """#include "mini_bpf.h"
#define NEW RELEASE >= 602
typedef struct { int counter; } atomic_t;
typedef struct { long counter; } atomic_long_t;
struct percpu_counter { long count; };
struct backing_dev_info { unsigned long id; };
struct gendisk { int number; struct backing_dev_info *bdi; };
struct sock_common { unsigned short skc_num; };
struct sock { struct sock_common __sk_common; };
struct proto_accept_arg { int flags; };
struct lists { char name[16]; };
struct mm_rss_stat { atomic_long_t count[4]; };
#if NEW
struct inode { int mode; long i_ctime_sec; unsigned int i_ctime_nsec; };
struct request_queue { int id; struct gendisk *disk; };
struct mm_struct { long pgd; struct percpu_counter rss_stat[4]; };
struct task_struct { int pid; unsigned int __state; struct mm_struct *mm; };
__attribute__((used)) __noinline struct sock *inet_csk_accept(struct sock *sk, struct proto_accept_arg *arg) { return sk; }
__attribute__((used)) __noinline int __blk_account_io_start(struct request_queue *q) { return q->id; }
__attribute__((used)) __noinline int within_error_injection_list(long at) { return 1; }
__attribute__((used)) __noinline long a_kfunc(struct task_struct *t, int flags) { return t->pid; }
enum bpf_func_id { BPF_FUNC_map_lookup_elem = 1, BPF_FUNC_probe_read_kernel = 113, BPF_FUNC_user_ringbuf_drain = 209 };
enum zone { ZONE_NORMAL = 2 };
struct ops { int (*first)(int); int (*second)(int); };
struct bpf_struct_ops_ops { struct ops data; };
typedef void (*btf_trace_sched_switch)(void *, bool preempt, struct task_struct *prev, struct task_struct *next, unsigned int state);
typedef void (*btf_trace_block_io_start)(void *, struct request_queue *q);
#else
struct timespec64 { long tv_sec, tv_nsec; };
struct inode { int mode; struct timespec64 i_ctime; };
struct request_queue { int id; struct backing_dev_info *backing_dev_info; };
struct mm_struct { long pgd; struct mm_rss_stat rss_stat; };
struct task_struct { int pid; volatile long state; struct mm_struct *mm; };
struct gone_type { int x; };
__attribute__((used)) __noinline struct sock *inet_csk_accept(struct sock *sk, int flags, int *err, bool kern) { return sk; }
__attribute__((used)) __noinline int blk_account_io_start(struct request_queue *q) { return q->id; }
enum bpf_func_id { BPF_FUNC_unspec, BPF_FUNC_map_lookup_elem = 1, BPF_FUNC_probe_read_kernel = 113, __BPF_FUNC_MAX_ID };
enum zone { ZONE_DMA = 0, ZONE_NORMAL = 2 };
struct ops { int (*first)(int); };
struct bpf_struct_ops_ops { struct ops data; };
typedef void (*btf_trace_sched_switch)(void *, bool preempt, struct task_struct *prev, struct task_struct *next);
#endif
__attribute__((used)) __noinline void quiet(int x) {}
__attribute__((used)) __noinline int security_file_open(int x) { return 0; }
__attribute__((used)) __noinline int __x64_sys_openat(int x) { return 0; }
__attribute__((used)) __noinline int bpf_lsm_file_open(struct task_struct *t) { return 0; }
struct all { struct request_queue a; struct task_struct b; struct sock c; struct gendisk d; struct backing_dev_info n; struct mm_struct o; enum bpf_func_id e; enum zone f;
	struct ops g; struct bpf_struct_ops_ops h; btf_trace_sched_switch i; atomic_t j; struct proto_accept_arg k; struct inode n1; struct lists p;
#if NEW
	btf_trace_block_io_start l; enum bpf_map_type m;
#else
	struct gone_type l;
#endif
} x SEC(".data");
"""
HEAD = """#include "mini_bpf.h"
struct task_struct___5_10 { volatile long state; } __core;
struct timespec64 { long tv_sec, tv_nsec; } __core;
struct inode___6_5 { struct timespec64 i_ctime; } __core;
struct backing_dev_info { unsigned long id; } __core;
struct request_queue___5_15 { struct backing_dev_info *backing_dev_info; } __core;
typedef struct { long counter; } __core atomic_long_t;
struct mm_rss_stat { atomic_long_t count[4]; } __core;
struct mm_struct___6_1 { struct mm_rss_stat rss_stat; } __core;
struct gone_type { int x; } __core;
struct task_struct { int pid; } __core;
struct sock_common { unsigned short skc_num; } __core;
struct sock { struct sock_common __sk_common; } __core;
enum zone { ZONE_DMA = 0 };
#define has(field) __builtin_preserve_field_info(field, 2)
static long (*bpf_user_ringbuf_drain)(void *map, void *callback, void *ctx, __u64 flags) = (void *)209;
typedef unsigned long long ctx_t;
char LICENSE[] SEC("license") = "GPL";
"""
OLD, NEW = "old", "new"


@pytest.fixture(scope="session")
def small_kernels(compile_bpf):
    """An old kernel and a new one, of Linux 5.10 and 6.12."""

    def kernel(name, release, number):
        data = compile_bpf(KERNEL, flags=(f"-DRELEASE={number}", "-Wno-unused"))
        return Kernel(name, "x86_64", release, Btf.parse(Elf.parse(data).section(".BTF").data, name, None))

    return [kernel(NEW, "6.12.3", 612), kernel(OLD, "5.10.223", 510)]


@pytest.fixture(scope="session")
def matrix_of(compile_bpf, small_kernels):
    """A function source -> its matrix."""

    def matrix(source: str, kernels=None):
        spec = ObjectSpec.from_bytes(compile_bpf(HEAD + source, flags=("-Wno-unused",)), "one.bpf.o")
        return check([("x86_64/one.bpf.o", "x86_64", spec)], kernels or small_kernels)

    return matrix


def verdicts(matrix) -> dict[str, list[str]]:
    return {name: [str(row.verdict) for row in rows] for each in matrix.objects for name, rows in each.results.items()}


def program(section: str, body: str, before: str = "") -> str:
    return f'{before}SEC("{section}") long p(ctx_t *ctx)\n{{\n\t{body}\n}}\n'


FAILURES = {  # name: (program, kernels that it fails on, kind, what, there, part of the fix)
    "renamed": (program("tp_btf/sched_switch", "return ((struct task_struct___5_10 *)ctx[1])->state;"), [NEW],
                "field", "struct task_struct___5_10: state", "struct task_struct has no state, but `unsigned int __state` (since Linux 5.14)", "struct task_struct___5_14 { unsigned int __state; }"),
    "retyped": (program("raw_tp/sched_switch", "return ((struct mm_struct___6_1 *)ctx[1])->rss_stat.count[1].counter;"), [NEW],
                "field", "struct mm_struct___6_1: rss_stat.count[1].counter", "struct mm_struct has `struct percpu_counter rss_stat[4]`, the program `struct mm_rss_stat rss_stat` (since Linux 6.2)", "then x->rss_stat.count[1].counter, else BPF_CORE_READ((struct mm_struct___6_2 *)x, rss_stat[1].count)"),
    "shorter": (program("raw_tp/sched_switch", "return ((struct lists___7 *)ctx)->name[20];", "struct lists___7 { char name[32]; } __core;\n"), [OLD, NEW],
                "field", "struct lists___7: name[20]", "struct lists has `char name[16]`, the program `char name[32]`", "if (bpf_core_field_exists(x->name[20])) …"),
    "in parts": (program("raw_tp/sched_switch", "return ((struct inode___6_5 *)ctx[1])->i_ctime.tv_sec;"), [NEW],
                 "field", "struct inode___6_5: i_ctime.tv_sec", "struct inode has no i_ctime, but `long i_ctime_sec`", "i_ctime_sec)"),
    "moved": (program("raw_tp/sched_switch", "return ((struct request_queue___5_15 *)ctx[1])->backing_dev_info->id;"), [NEW],
              "field", "struct request_queue___5_15: backing_dev_info", "struct request_queue has no backing_dev_info, but `disk->bdi` (since Linux 5.15)", "then x->backing_dev_info, else BPF_CORE_READ((struct request_queue___5_15 *)x, disk, bdi)"),
    "new parameters": (program("fexit/inet_csk_accept", "return ((struct sock *)ctx[4])->__sk_common.skc_num;"), [NEW],
                       "argument", "fexit/inet_csk_accept: argument 5", "`struct sock *inet_csk_accept(struct sock *sk, struct proto_accept_arg *arg)` has no such argument; its result is argument 3; they changed with Linux 6.10", "one program for each prototype"),
    "old parameters": (program("fexit/inet_csk_accept", "return ((struct sock *)ctx[2])->__sk_common.skc_num;"), [OLD],
                       "argument", "fexit/inet_csk_accept: argument 3", "`struct sock *inet_csk_accept(struct sock *sk, int flags, int *err, bool kern)`: before 5.17 a program can't have an argument `int *`", "one program"),
    "a tracepoint's new argument": (program("tp_btf/sched_switch", "return ctx[3];"), [OLD], "argument", "tp_btf/sched_switch: argument 4", "has no such argument", "SEC("),
    "gone type": (program("raw_tp/sched_switch", "return ((struct gone_type *)ctx)->x;"), [NEW], "type", "struct gone_type", "no type gone_type in its vmlinux", "bpf_core_type_exists(struct gone_type)"),
    "gone enumerator": (program("raw_tp/sched_switch", "return __builtin_preserve_enum_value(*(enum zone *)ZONE_DMA, 1);"), [NEW], "enum", "enum zone: ZONE_DMA", "enum zone has 1 other", "bpf_core_enum_value_exists(enum zone, ZONE_DMA)"),
    "gone function": (program("fentry/blk_account_io_start", "return 0;"), [NEW], "function", "fentry/blk_account_io_start", "but __blk_account_io_start", 'SEC("?fentry/__blk_account_io_start")'),
    "new tracepoint": (program("tp_btf/block_io_start", "return 0;"), [OLD], "tracepoint", "tp_btf/block_io_start", "no tracepoint block_io_start", 'SEC("?tp_btf/block_io_start")'),
    "no hook": (program("lsm/no_such_hook", "return 0;"), [OLD, NEW], "hook", "lsm/no_such_hook", "no function bpf_lsm_no_such_hook", "SEC("),
    "helper": (program("raw_tp/sched_switch", "return bpf_user_ringbuf_drain(0, 0, 0, 0);"), [OLD], "helper", "bpf_user_ringbuf_drain()", "it came with Linux 6.1", "BPF_FUNC_user_ringbuf_drain"),
    "no helper": (program("raw_tp/sched_switch", "long (*none)(void) = (void *)400; return none();"), [OLD], "helper", "helper 400", "it has 2 helpers", "bpf_core_enum_value_exists"),
    "no result": (program("fexit/quiet", "return ctx[1];"), [OLD, NEW], "argument", "fexit/quiet: argument 2", "`void quiet(int x)` has no such argument", "one program"),
    "kfunc": (program("raw_tp/sched_switch", "return a_kfunc((void *)ctx, 1);", "extern long a_kfunc(struct task_struct *, int) __ksym;\n"), [OLD], "kfunc", "a_kfunc", "no such symbol", "__ksym __weak"),
    "other kfunc": (program("raw_tp/sched_switch", "return a_kfunc(ctx);", "extern long a_kfunc(void *) __ksym;\n"), [OLD, NEW], "kfunc", "a_kfunc", "`long", "bpf_ksym_exists(a_kfunc)"),
    "variable": (program("raw_tp/sched_switch", "return a_variable;", "extern const int a_variable __ksym;\n"), [OLD, NEW], "ksym", "a_variable", "no such symbol", "__weak"),
    "struct_ops": ('struct ops { int (*first)(int); int (*second)(int); };\nSEC("struct_ops/second") int p(ctx_t *ctx) { return 0; }\nSEC(".struct_ops") struct ops mine = { .second = (void *)p };\n',
                   [OLD], "struct_ops", "struct ops: second", "struct ops has no second", "struct ops___old"),
    "map": ('struct { __uint(type, 31); __uint(max_entries, 4096); } ring SEC(".maps");\n' + program("raw_tp/sched_switch", "return (long)&ring;"), [OLD, NEW], "map", "map ring of type user_ringbuf", "it came with Linux 6.1", "autocreate"),
    "program": (program("kprobe.session/do_exit", "return 0;"), [OLD], "program", 'SEC("kprobe.session")', "it came with Linux 6.10", "SEC("),
    "instruction": (program("raw_tp/sched_switch", 'long n = ctx[0]; return __sync_fetch_and_or(&ctx[0], n);'), [OLD], "instruction", "atomic instructions beyond an addition", "it came with Linux 5.12", ""),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_is_named_where_it_is_with_what_is_there_and_what_to_write(matrix_of, name):
    source, kernels, kind, what, there, fix = FAILURES[name]
    matrix = matrix_of(source)
    found = [each for each in matrix.findings() if each.problem.kind == kind and each.problem.what == what and not each.problem.unsure]
    (finding,) = found
    assert sorted(finding.kernels) == sorted(kernels)
    assert any(there in text for text in finding.there), finding.there
    assert fix in "\n".join(finding.problem.fix)
    if kind not in ("kfunc", "ksym", "struct_ops", "map"):  # which are an object's, not a line's
        assert finding.problem.line.startswith("prog.bpf.c:")
    if kernels == [NEW]:
        assert finding.since == "since 6.12.3, and not yet in 5.10.223"
    if kernels == [OLD]:
        assert finding.since == "up to 5.10.223, and no more in 6.12.3"
    row = verdicts(matrix)["p"]  # the older kernel comes first
    assert [row[0] == "fails", row[1] == "fails"] == [OLD in kernels, NEW in kernels], matrix.findings()


GUARDED = {  # what the fixes say, written down: it does on both kernels
    "renamed": program("tp_btf/sched_switch", """struct task_struct___6_12 { unsigned int __state; } __attribute__((preserve_access_index)) *now = (void *)ctx[1];
	struct task_struct___5_10 *before = (void *)ctx[1];
	return has(now->__state) ? now->__state : before->state;"""),
    "moved": program("raw_tp/sched_switch", """struct gendisk { struct backing_dev_info *bdi; } __attribute__((preserve_access_index));
	struct request_queue { struct gendisk *disk; } __attribute__((preserve_access_index)) *now = (void *)ctx;
	struct request_queue___5_15 *before = (void *)ctx;
	return has(before->backing_dev_info) ? before->backing_dev_info->id : now->disk->bdi->id;"""),
    "gone type": program("raw_tp/sched_switch", "return __builtin_preserve_type_info(*(struct gone_type *)0, 0) ? ((struct gone_type *)ctx)->x : 0;"),
    "gone enumerator": program("raw_tp/sched_switch", "return __builtin_preserve_enum_value(*(enum zone *)ZONE_DMA, 0) ? __builtin_preserve_enum_value(*(enum zone *)ZONE_DMA, 1) : 0;"),
    "helper": program("raw_tp/sched_switch", "return __builtin_preserve_enum_value(*(enum bpf_func_id *)BPF_FUNC_user_ringbuf_drain, 0) ? bpf_user_ringbuf_drain(0, 0, 0, 0) : 0;",
                      "enum bpf_func_id { BPF_FUNC_user_ringbuf_drain = 209 };\n"),
    "kfunc": program("raw_tp/sched_switch", "return a_kfunc ? a_kfunc((void *)ctx, 1) : 0;", "extern long a_kfunc(struct task_struct *, int) __ksym __weak;\n"),
}


@pytest.mark.parametrize("name", GUARDED)
def test_the_fix_does_on_both_kernels(matrix_of, name):
    matrix = matrix_of(GUARDED[name])
    assert set(verdicts(matrix)["p"]) <= {"ok", "ok (guards)"}, matrix.findings()
    assert matrix.findings() == []


def test_a_release_decides_where_the_kernel_lists_nothing(matrix_of, small_kernels, compile_bpf):
    """A backport counts by the kernel's own list of helpers; one without the list is asked by its release, or believed."""
    source = program("raw_tp/sched_switch", "return bpf_user_ringbuf_drain(0, 0, 0, 0);")
    silent = compile_bpf(KERNEL, flags=("-DRELEASE=612", "-Dbpf_func_id=other", "-Wno-unused"))
    bare = Btf.parse(Elf.parse(silent).section(".BTF").data, "", None)
    listed = small_kernels[0].btf
    kernels = [Kernel("backport", "x86_64", "5.14.0-70.el9", listed), Kernel("5", "x86_64", "5.15.1", bare), Kernel("6", "x86_64", "6.1", bare)]
    assert verdicts(matrix_of(source, kernels))["p"] == ["ok", "fails", "ok"]
    assert verdicts(matrix_of(source, [Kernel("unknown", "x86_64", "", bare)]))["p"] == ["ok"]


@pytest.mark.parametrize("name", ["renamed", "gone function", "new tracepoint", "no hook", "old parameters", "helper", "program"])
def test_a_program_that_is_not_loaded_unasked_is_optional(matrix_of, tmp_path, name):
    """It does as the advice says: its section begins with `?`. What would fail is told all the same, and no failure."""
    source, kernels, kind, what, there, _fix = FAILURES[name]
    matrix = matrix_of(source.replace('SEC("', 'SEC("?', source.count('SEC("')).replace('SEC("?.', 'SEC(".'))
    row = verdicts(matrix)["p"]
    assert [verdict == "optional" for verdict in row] == [OLD in kernels, NEW in kernels] and "fails" not in row
    (finding,) = [each for each in matrix.findings() if each.problem.what == what]
    assert finding.problem.optional and not any('SEC("?' in line for line in finding.problem.fix)
    assert "isn't loaded unless asked, and would fail for p on" in text.problems(matrix)
    baseline.require_no_new(matrix, tmp_path / "none.txt", "none.txt")


def test_a_struct_ops_map_that_is_not_made_unasked_is_optional(matrix_of):
    source, *_ = FAILURES["struct_ops"]
    assert verdicts(matrix_of(source.replace('".struct_ops"', '"?.struct_ops"')))["p"] == ["optional", "ok"]


@pytest.mark.parametrize(("section", "fails"), [("fentry/inet_csk_accept", True), ("tp_btf/sched_switch", True), ("iter/task", True),
                                                ("raw_tp/sched_switch", False), ("kprobe/inet_csk_accept", False), ("?fentry/inet_csk_accept", False)])  # fmt: skip
def test_a_kernel_without_btf_of_its_own_has_nothing_that_goes_by_btf(matrix_of, small_kernels, section, fails):
    kernel = Kernel("board", "x86_64", "6.12.3", small_kernels[1].btf, has_own_btf=False)
    body = "return ((struct task_struct *)ctx)->pid;" if "btf" not in section else "return 0;"
    matrix = matrix_of(program(section, body), [kernel])
    assert (verdicts(matrix)["p"] == ["fails"]) == fails
    if fails:
        assert any("it has no BTF of its own" in there for there in matrix.findings()[0].there)
    called = program("raw_tp/sched_switch", "return a_kfunc((void *)ctx, 1);", "extern long a_kfunc(struct task_struct *, int) __ksym;\n")
    assert verdicts(matrix_of(called, [kernel]))["p"] == ["fails"]


def module_btf(base: Btf, name: str) -> ModuleBtf:
    """A module's split BTF: struct of_NAME { struct task_struct *task; }, long NAME_kfunc(int) and the tracepoint NAME_event."""
    names = [f"of_{name}", "task", f"{name}_kfunc", f"btf_trace_{name}_event", "int", "long", "value"]
    at, task = len(base), base.find("task_struct", Kind.STRUCT).id
    rows = [
        (4, info(Kind.INT), 4, 1 << 24 | 32), (5, info(Kind.INT), 8, 1 << 24 | 64), (None, info(Kind.PTR), task),
        (0, info(Kind.STRUCT, 1), 8, base.strings_end + len(names[0]) + 1, at + 2, 0), (None, info(Kind.FUNC_PROTO, 1), at + 1, 0, at),
        (2, info(Kind.FUNC, 1), at + 4), (None, info(Kind.FUNC_PROTO, 2), 0, 0, 0, 0, at + 2), (None, info(Kind.PTR), at + 6),
        (3, info(Kind.TYPEDEF), at + 7),
    ]  # fmt: skip
    return ModuleBtf(assemble(rows, names, at=base.strings_end))


KFUNC = "extern long mod_kfunc({}) __ksym{};\n"
OF_MODULES = {  # (program, verdict, kind, what is there)
    "a function": (program("fentry/mod_kfunc", "return 0;"), "unknown", "function", "the module mod has it, which may not be loaded"),
    "a function of a module that is named": (program("fentry/mod:mod_kfunc", "return 0;"), "unknown", "function", "the module mod has it"),
    "a function of another": (program("fentry/other:mod_kfunc", "return 0;"), "fails", "function", "no function mod_kfunc in the module other, but mod:mod_kfunc"),
    "of no module": (program("fentry/none:mod_kfunc", "return 0;"), "fails", "function", "no function mod_kfunc in the module none, but mod:mod_kfunc"),
    "of the kernel alone": (program("fentry/vmlinux:mod_kfunc", "return 0;"), "fails", "function", "no function mod_kfunc in the module vmlinux"),
    "an argument": (program("fexit/mod_kfunc", "return ctx[2];"), "fails", "argument", "`long mod_kfunc(int)` has no such argument"),
    "no function": (program("fentry/nowhere", "return 0;"), "fails", "function", "no function nowhere in its vmlinux or its modules"),
    "a kprobe": (program("kprobe/mod_kfunc", "return 0;"), "unknown", "function", "the module mod has it"),
    "a tracepoint": (program("tp_btf/mod_event", "return 0;"), "unknown", "tracepoint", "the module mod has it"),
    "an event": (program("tp/mod/mod_event", "return 0;"), "unknown", "tracepoint", "the module mod has it"),
    "an event's argument": (program("tp_btf/mod_event", "return ctx[1];"), "fails", "argument", "has no such argument"),
    "a kfunc": (program("tc", "return mod_kfunc(1);", KFUNC.format("int", "")), "unknown", "kfunc", "the module mod has it"),
    "another kfunc": (program("tc", "return mod_kfunc(ctx);", KFUNC.format("void *", "")), "fails", "kfunc", "`long mod_kfunc(int)`, the program"),
    "a weak kfunc": (program("tc", "return mod_kfunc ? mod_kfunc(1) : 0;", KFUNC.format("int", " __weak")), "ok", "", ""),
    "a type": (program("raw_tp/sched_switch", "return (long)((struct of_mod *)ctx)->task;", "struct of_mod { struct task_struct *task; } __core;\n"), "unknown", "type", "the module mod has it"),
    "a field": (program("raw_tp/sched_switch", "return ((struct of_mod *)ctx)->gone;", "struct of_mod { long gone; } __core;\n"), "fails", "field", "struct of_mod has no gone"),
    "a guarded type": (program("raw_tp/sched_switch", "return has(((struct of_mod *)ctx)->task) ? (long)((struct of_mod *)ctx)->task : 0;", "struct of_mod { struct task_struct *task; } __core;\n"), "ok (guards)", "", ""),
}


@pytest.mark.parametrize("name", OF_MODULES)
def test_what_a_module_of_the_kernel_has_is_found(matrix_of, small_kernels, name):
    source, verdict, kind, there = OF_MODULES[name]
    base = small_kernels[1].btf
    parts = {each: module_btf(base, each) for each in ("other", "mod")} | {"damaged": ModuleBtf(b"\0mod_kfunc\0of_mod\0"), "empty": ModuleBtf(b"")}
    kernel = Kernel("k", "x86_64", "6.12.3", base, read_modules=lambda: Modules(parts, base))
    matrix = matrix_of(source, [kernel])
    assert verdicts(matrix)["p"] == [verdict]
    found = [text for each in matrix.findings() for text in each.there if each.problem.kind == kind]
    assert any(there in text for text in found) or not kind, matrix.findings()


def test_modules_are_read_only_for_what_the_kernel_lacks(matrix_of, small_kernels):
    def read():
        raise AssertionError("they were read")

    kernel = Kernel("k", "x86_64", "6.12.3", small_kernels[1].btf, read_modules=read)
    assert verdicts(matrix_of(program("fentry/inet_csk_accept", "return 0;"), [kernel]))["p"] == ["ok"]


def test_what_btf_cannot_tell_is_unknown(matrix_of):
    for section in ("kprobe/no_such_function", "tp/no/such_event", "kprobe/no_such_function"):
        matrix = matrix_of(program(section, "return 0;"))
        assert verdicts(matrix)["p"] == ["unknown", "unknown"]
        assert all(each.problem.unsure for each in matrix.findings())
    for section in ("kprobe/inet_csk_accept", "tp/sched/sched_switch", "fentry", "kprobe.multi/tcp_*", "iter/task", "xdp"):
        expected = {"fails"} if section == "iter/task" else {"ok"}
        found = verdicts(matrix_of(program(section, "return 0;")))["p"]
        assert set(found) == expected if section != "kprobe.multi/tcp_*" else found == ["fails", "ok"], section


@pytest.mark.parametrize("name, expected", [("security_file_open", ["ok", "ok"]), ("__x64_sys_openat", ["unknown", "ok"]), ("inet_csk_accept", ["unknown", "unknown"]),
                                            ("nowhere", ["fails", "fails"])])  # fmt: skip
def test_btf_does_not_tell_whose_result_may_be_changed(matrix_of, name, expected):
    matrix = matrix_of(program(f"fmod_ret/{name}", "return 0;"))
    assert verdicts(matrix)["p"] == expected
    for each in matrix.findings() if expected == ["unknown", "unknown"] else ():
        assert each.there == {
            "BTF doesn't list whose result may be changed: what is named security_, and without error injection few others": [OLD],
            "BTF doesn't list whose result may be changed: what is named security_, and what /sys/kernel/debug/error_injection/list has": [NEW],
        }


def test_a_read_without_core_cannot_be_told(matrix_of):
    """A struct that lacks preserve_access_index is read where the compiler's header has the field."""
    plain = "struct task_struct___mine { int pad; int pid; };\n"
    body = "return ((struct task_struct___mine *)ctx[1])->pid;"
    matrix = matrix_of(program("tp_btf/sched_switch", body, plain))
    assert verdicts(matrix)["p"] == ["unknown", "unknown"]
    (finding,) = matrix.findings()
    assert finding.problem.what == "tp_btf/sched_switch: byte 4 of argument 2" and finding.problem.line.startswith("prog.bpf.c:")
    assert "preserve_access_index" in finding.problem.fix[0]
    for section, read in (("raw_tp/sched_switch", body), ("tp_btf/sched_switch", "return ctx[0] + 4;"), ("tp_btf/sched_switch", "return ((struct task_struct *)ctx[1])->pid;")):
        assert verdicts(matrix_of(program(section, read, plain)))["p"] == ["ok", "ok"]


def test_a_refusal_of_libbpf_counts_for_each_program(matrix_of, small_kernels, compile_bpf):
    twice = KERNEL.replace("struct proto_accept_arg {", "struct task_struct___2 { long before; int pid; } y SEC(\".data\");\nstruct proto_accept_arg {")
    data = compile_bpf(twice, flags=("-DRELEASE=612", "-Wno-unused"))
    kernel = Kernel("twice", "x86_64", "6.12", Btf.parse(Elf.parse(data).section(".BTF").data, "", None))
    source = program("raw_tp/sched_switch", "return ((struct task_struct *)ctx)->pid;") + 'SEC("xdp") long q(ctx_t *ctx) { return 2; }\n'
    matrix = matrix_of(source, [kernel])
    assert verdicts(matrix) == {"p": ["fails"], "q": ["fails"]}
    assert "2 types of the kernel match and differ" in next(iter(matrix.findings()[0].there))


def test_text_json_and_baseline_say_the_same(matrix_of, tmp_path):
    matrix = matrix_of(FAILURES["renamed"][0])
    shown = text.table(matrix).splitlines()
    assert shown[0].split() == ["x86_64", OLD, NEW] and shown[1].split() == ["5.10.223", "6.12.3"]
    assert shown[3].split() == ["p", "ok", "fails"]
    assert text.summary(matrix) == "1 program, 2 kernels: 1 ok, 1 fails"
    paragraph = text.problems(matrix)
    assert paragraph.startswith("prog.bpf.c:") and "fails for p on new (since 6.12.3, and not yet in 5.10.223)" in paragraph
    data = as_json.as_json(matrix)
    assert data["objects"][0]["programs"][0]["kernels"][NEW] == {"verdict": "fails", "guards": []}
    assert data["problems"][0]["there"] == {"struct task_struct has no state, but `unsigned int __state` (since Linux 5.14)": [NEW]}
    path = tmp_path / "kernels-baseline.txt"
    with pytest.raises(KernelCheckError, match="1 new failure on the declared kernels") as raised:
        baseline.require_no_new(matrix, path, path.name)
    assert raised.value.details == ("x86_64/one.bpf.o  p  new  field struct task_struct___5_10: state",)
    assert baseline.record(matrix, path) == 1
    baseline.require_no_new(matrix, path, path.name)
    more = matrix_of(FAILURES["renamed"][0] + FAILURES["new tracepoint"][0].replace(" p(", " q("))
    with pytest.raises(KernelCheckError) as raised:
        baseline.require_no_new(more, path, path.name)
    assert raised.value.details == ("x86_64/one.bpf.o  q  old  tracepoint tp_btf/block_io_start",)


def test_the_worst_verdict_is_the_last():
    assert list(Verdict) == [Verdict.OK, Verdict.GUARDED, Verdict.OPTIONAL, Verdict.UNKNOWN, Verdict.FAILS]
